/**
 * What this node lives by: the addresses of the API server (or of the proxy before it) as its name
 * resolves and as connections reach it, the gateways and name servers of the machine, the far ends
 * of its tunnels, its own addresses. Looked up when the network changes and every minute; addresses
 * of the API server are kept in the state folder, so that a start without a name server knows them
 * too.
 *
 * Says what there is; what follows from it is decided in kube/sound-entries.ts.
 */
import { lookup } from 'node:dns/promises'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Lifeline } from '../kube/sound-entries.ts'
import type { LifelineSource } from '../kube/sound-view.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { canonicalAddress, covers } from '../lib/ip.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { NUD, RT_TABLE } from '../netlink/constants.ts'
import { hasIpsec } from '../netlink/ipsec.ts'
import { probeNeighbour } from '../netlink/neighbour.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Neighbour, NextHop, Route, Rule } from '../netlink/types.ts'
import { Watch } from '../netlink/watch.ts'
import { type ApiAddresses, countingAddresses, nextAddresses } from './api-addresses.ts'
import { entersTunnel, isWayKnown } from './api-way.ts'
import { nameServersOf, plainAddress, tcpConnectionsOf } from './lifeline-texts.ts'
import { ownAddresses } from './observe.ts'
import { PodLinks } from './pod-links.ts'

export interface LifelinesOptions {
  /** URLs of the API server and of proxies on the way to it, now. */
  readonly urls: () => Promise<readonly string[]>
  /** When the API server answered last, Clock.now() milliseconds. */
  readonly contactAt: () => number | undefined
  readonly stateDir: string
  /** rtm_protocol of our routes: their gateways are not the machine's. */
  readonly protocol: number
  /** Ranges of Services, as far as they are known: who has an address of these is not. */
  readonly serviceCIDRs: readonly string[]
  /** Path of the network namespace to look in; absent: this one. */
  readonly netns?: string
  readonly clock: Clock
  readonly log: Log
}

export interface Lifelines extends LifelineSource {
  /** Looks again: call it when the API server has answered, as the connection tells its address. */
  readonly wake: () => void
  close(): Promise<void>
}

const EVERY_MILLISECONDS = 60_000
const SETTLE_MILLISECONDS = 200
/** How long a way that was not known makes it doubtful: what carried it may be gone since. */
const DOUBT_MILLISECONDS = 600_000
/**
 * Where name servers stand; the second behind the stub of systemd-resolved, the third behind that
 * of NetworkManager.
 */
const RESOLV_CONFS = [
  '/etc/resolv.conf',
  '/run/systemd/resolve/resolv.conf',
  '/run/NetworkManager/no-stub-resolv.conf',
] as const

/**
 * Knows at its return what the state folder and the kernel say; names are resolved from then on.
 */
export function createLifelines(options: LifelinesOptions): Lifelines {
  return new Finder(options)
}

class Finder implements Lifelines {
  readonly #options: LifelinesOptions
  readonly #loop: Loop
  readonly #listeners = new Listeners()
  readonly #podLinks = new PodLinks()
  #api: ApiAddresses
  #watch: Watch | undefined
  #current: readonly Lifeline[] = []
  #text = ''
  #failing = false
  #storing = true
  /** Whether an address of the API server is asked for by its name. */
  #asksNames = false
  /** When the way to the API server was last not known (Clock.monotonic() milliseconds). */
  #unknownAt = Number.NEGATIVE_INFINITY

  constructor(options: LifelinesOptions) {
    this.#options = options
    this.#api = { known: loadAddresses(options.stateDir), doubtful: new Map() }
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#pass(),
      onError: error => {
        if (!this.#failing)
          options.log.warn({ detail: errorText(error) }, 'what this node lives by cannot be looked up')
        this.#failing = true
      },
      everyMilliseconds: EVERY_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#look()
    this.#loop.wake()
  }

  current(): readonly Lifeline[] {
    return this.#current
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  readonly wake = (): void => this.#loop.wake()
  async close(): Promise<void> {
    this.#watch?.close()
    await this.#loop.close()
    this.#watch?.close()
    this.#listeners.clear()
  }

  /**
   * The next hops on the ways to the API server, and the gateways of the default routes, which a
   * tunnel goes by.
   */
  probePath(): void {
    withKernel(this.#options.netns, kernel => {
      const neighbours = kernel.dumpNeighbours()
      const hops = [...this.#apiHops(kernel), ...this.#defaultHops(kernel)]
      kernel.execute(
        hops.flatMap(hop => {
          const known = neighbours.find(one => isAt(one, hop))
          const lasting = known !== undefined && (known.state & (NUD.PERMANENT | NUD.NOARP)) !== 0
          const hardwareAddress =
            known === undefined || known.hardwareAddress === '' ? undefined : known.hardwareAddress
          return lasting ? [] : [probeNeighbour({ ...hop, ...(hardwareAddress !== undefined && { hardwareAddress }) })]
        }),
      )
    })
  }

  /**
   * Whether no address of the API server has a way whose link is up and whose next hop answers, or
   * no default gateway answers.
   */
  pathIsDown(): boolean {
    return withKernel(this.#options.netns, kernel => {
      const [neighbours, links] = [kernel.dumpNeighbours(), kernel.dumpLinks()]
      const isDead = (hop: Hop) => {
        const link = links.find(({ index }) => index === hop.interface)
        // what a tunnel leads to may be silent because of a route of ours over its far end
        if (link !== undefined && entersTunnel(links, link)) return false
        if (link?.up !== true || !link.carrier) return true
        const state = neighbours.find(one => isAt(one, hop))?.state ?? 0
        return (state & (NUD.FAILED | NUD.INCOMPLETE)) !== 0
      }
      const ways = [this.#apiHops(kernel), this.#defaultHops(kernel)]
      return ways.some(hops => hops.length > 0 && hops.every(isDead)) || ways.every(hops => hops.length === 0)
    })
  }

  wayIsKnown(): boolean {
    const now = this.#options.clock.monotonic()
    if (!this.#isWayKnownNow()) this.#unknownAt = now
    return now - this.#unknownAt > DOUBT_MILLISECONDS
  }

  #isWayKnownNow(): boolean {
    const addresses = this.#apiAddresses()
    if (addresses.length === 0 || (this.#asksNames && nameServers().length === 0)) return false
    const { netns, serviceCIDRs } = this.#options
    if (addresses.some(address => serviceCIDRs.some(range => covers(range, address)))) return false
    try {
      if (hasIpsec(netns === undefined ? {} : { netns })) return false
      return withKernel(netns, kernel => isWayKnown(kernel, addresses))
    } catch {
      return false // the kernel does not say
    }
  }

  #apiHops(kernel: Rtnetlink): Hop[] {
    return this.#apiAddresses().flatMap(address => {
      const way = kernel.lookup(address)
      return way.type !== 'unicast' || way.interface === undefined
        ? []
        : [{ address: way.gateway ?? address, interface: way.interface }]
    })
  }

  #defaultHops(kernel: Rtnetlink): Hop[] {
    return defaultHops(kernel.dumpRoutes({ table: RT_TABLE.MAIN })).flatMap(hop =>
      hop.gateway === undefined || hop.interface === undefined
        ? []
        : [{ address: hop.gateway, interface: hop.interface }],
    )
  }

  async #pass(): Promise<void> {
    const { netns, clock } = this.#options
    const wake = () => this.#loop.wake()
    this.#watch ??= await Watch.open({
      clock,
      ...(netns !== undefined && { netns }),
      kinds: ['link', 'address', 'route', 'rule'],
      onChange: wake,
      onNamed: change => this.#podLinks.isOfPod(change),
      onLost: wake,
    })
    await this.#findApi()
    this.#look()
    this.wayIsKnown()
    this.#failing = false
  }

  #apiAddresses(): readonly string[] {
    return countingAddresses(this.#api, this.#options.clock.now())
  }

  /** A name that does not resolve now takes no address away. */
  async #findApi(): Promise<void> {
    const { urls, contactAt, clock, stateDir, log } = this.#options
    const known = [...this.#api.known.keys()].join()
    const places = (await urls()).filter(url => URL.canParse(url)).map(url => new URL(url))
    const hosts = places.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ''))
    this.#asksNames = hosts.some(host => plainAddress(host) === undefined)
    const resolved = await Promise.all(hosts.map(addressesOf))
    this.#api = nextAddresses(this.#api, {
      written: hosts.flatMap(host => plainAddress(host) ?? []),
      found: [...resolved.flat(), ...connectedAddresses(places.map(portOf))],
      contactAt: contactAt(),
      now: clock.now(),
    })
    if ([...this.#api.known.keys()].join() === known && this.#storing) return
    try {
      writeFileWhole(addressesPath(stateDir), `${JSON.stringify(Object.fromEntries(this.#api.known))}\n`)
      this.#storing = true
    } catch (error) {
      if (this.#storing) log.warn({ detail: errorText(error) }, 'the addresses of the API server cannot be stored')
      this.#storing = false
    }
  }

  #look(): void {
    const { netns, protocol } = this.#options
    const seen = withKernel(netns, kernel => ({
      addresses: kernel.dumpAddresses(),
      links: kernel.dumpLinks(),
      routes: kernel.dumpRoutes().filter(route => route.protocol !== protocol),
      tables: ownTables(kernel.dumpRules()),
    }))
    this.#podLinks.see(seen.links)
    const routes = seen.routes.filter(({ table }) => seen.tables.has(table))
    const gateways = routes.flatMap(({ nextHops }) => nextHops.flatMap(({ gateway }) => gateway ?? []))
    const lifelines: Lifeline[] = [
      ...this.#apiAddresses().map(address => ({ address, what: 'the API server' })),
      ...gateways.map(address => ({ address, what: 'a gateway of this machine' })),
      ...seen.links.flatMap(({ name, remote }) =>
        remote === undefined ? [] : [{ address: remote, what: `the far end of ${name}` }],
      ),
      ...nameServers().map(address => ({ address, what: 'a name server' })),
      ...ownAddresses(seen).map(address => ({ address, what: 'an address of this machine', own: true })),
    ]
    const unique = [...new Map(lifelines.map(one => [`${one.address} ${one.what}`, one])).values()]
    const text = JSON.stringify(unique)
    if (text === this.#text) return
    this.#text = text
    this.#current = unique
    this.#listeners.tell()
  }
}

/** Somebody on a link. */
interface Hop {
  readonly address: string
  /** Interface index. */
  readonly interface: number
}

function isAt(neighbour: Neighbour, hop: Hop): boolean {
  return neighbour.address === hop.address && neighbour.interface === hop.interface
}

function defaultHops(routes: readonly Route[]): readonly NextHop[] {
  return routes
    .filter(({ destination }) => destination === '0.0.0.0/0' || destination === '::/0')
    .flatMap(({ nextHops }) => nextHops)
}

/** Tables that this machine's own packets are led to: not those of VRFs and of what it forwards. */
function ownTables(rules: readonly Rule[]): ReadonlySet<number> {
  const own = rules.filter(({ inputInterface }) => inputInterface === undefined || inputInterface === 'lo')
  return new Set([RT_TABLE.MAIN, ...own.map(({ table }) => table)])
}

function withKernel<T>(netns: string | undefined, ask: (kernel: Rtnetlink) => T): T {
  const kernel = Rtnetlink.open(netns === undefined ? {} : { netns })
  try {
    return ask(kernel)
  } finally {
    kernel.close()
  }
}

/** What a name resolves to; none of an address, or where nobody knows it. */
async function addressesOf(host: string): Promise<string[]> {
  if (plainAddress(host) !== undefined) return []
  try {
    const answers = await lookup(host, { all: true })
    return answers.flatMap(({ address }) => plainAddress(address) ?? [])
  } catch {
    return []
  }
}

function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

/** The far ends of this process's connections to one of the ports. */
function connectedAddresses(ports: readonly number[]): string[] {
  const own = new Set<string>()
  for (const name of listed('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkAt(`/proc/self/fd/${name}`))?.[1]
    if (inode !== undefined) own.add(inode)
  }
  return ['/proc/thread-self/net/tcp', '/proc/thread-self/net/tcp6']
    .flatMap(path => tcpConnectionsOf(textAt(path)))
    .filter(({ inode, remotePort }) => own.has(inode) && ports.includes(remotePort))
    .map(({ remoteAddress }) => remoteAddress)
}

function nameServers(): string[] {
  return RESOLV_CONFS.flatMap(path => nameServersOf(textAt(path)))
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // not every machine has it
  }
}

function linkAt(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed meanwhile
  }
}

function listed(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function addressesPath(stateDir: string): string {
  return join(stateDir, 'api-addresses.json')
}

/** What was stored; a file that is damaged says nothing, and is written anew. */
function loadAddresses(stateDir: string): Map<string, number> {
  const known = new Map<string, number>()
  try {
    const stored: unknown = JSON.parse(readFileIfPresent(addressesPath(stateDir)) ?? '{}')
    if (typeof stored !== 'object' || stored === null) return known
    for (const [text, seen] of Object.entries(stored)) {
      const address = canonicalAddress(text)
      if (address !== undefined && typeof seen === 'number') known.set(address, seen)
    }
  } catch {
    // looked up again
  }
  return known
}
