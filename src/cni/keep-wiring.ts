/**
 * Pods' wiring on the host is watched and repaired as routes between nodes are: a host end that
 * went down (IPv4 routes and IPv6 addresses go with it), a route, address or setting that somebody
 * removed. Looks at each change that the kernel tells and every half minute; writes only what is
 * missing.
 *
 * Policy routes of pods on elastic network interfaces are kept by eni/. A pod whose ADD is under
 * way is left alone: what was never seen whole is repaired only when it is still the same a while
 * later. What is inside of a pod is the pod's.
 *
 * A host without an IPv4 address (IPv6 alone, or booted without a link) would send to its pods from
 * 0.0.0.0, kubelet's probes too, and get no answer: until it has one, what it sends to them bears
 * the address at which it answers probes (a `local` route, paths/probe-routes.ts).
 */
import type { Clock } from '../lib/clock.ts'
import { ERRNO } from '../lib/errno.ts'
import { errorText } from '../lib/errors.ts'
import { familyOf, hostPrefix } from '../lib/ip.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { ANY_SOURCE_GROUP, POD_GROUP } from '../model/pod-interfaces.ts'
import { RT_SCOPE, RT_TABLE, RTPROT } from '../netlink/constants.ts'
import { setLink } from '../netlink/link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { InterfaceAddress, Link, Route } from '../netlink/types.ts'
import { Watch } from '../netlink/watch.ts'
import { AddressStore } from './address-store.ts'
import type { AttachmentRecord } from './attachments.ts'
import { hostEndRequests, POD_GATEWAY, sourceRequest } from './pod-wire.ts'
import { setHostEnd } from './veth.ts'
import { isOurAlias } from './veth-names.ts'

export interface WiringKeeper {
  /** What could not be repaired. */
  readonly problems: readonly string[]
  close(): Promise<void>
}

const EVERY_MILLISECONDS = 30_000
const SETTLE_MILLISECONDS = 20
/** How long an ADD may take that has made its link. */
const UNDER_WAY_MILLISECONDS = 3000

interface KeeperOptions {
  readonly clock: Clock
  readonly log: Log
  /** Is called when `problems` changed. */
  readonly onChange: () => void
}

/** Looks at once, and from then on. Works in the network namespace of the caller. */
export function keepWiring(stateDir: string, options: KeeperOptions): WiringKeeper {
  return new Keeper(stateDir, options)
}

class Keeper implements WiringKeeper {
  readonly #store: AddressStore
  readonly #options: KeeperOptions
  readonly #loop: Loop
  /** Indexes of host ends that were whole once, and when others were first seen otherwise. */
  readonly #whole = new Set<number>()
  readonly #seenAt = new Map<number, number>()
  #watch: Watch | undefined
  #problems: readonly string[] = []

  constructor(stateDir: string, options: KeeperOptions) {
    this.#store = new AddressStore(stateDir)
    this.#options = options
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#pass(),
      onError: error => this.#tell([`the wiring of pods cannot be looked at: ${errorText(error)}`]),
      everyMilliseconds: EVERY_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#loop.wake()
  }

  get problems(): readonly string[] {
    return this.#problems
  }
  async close(): Promise<void> {
    this.#watch?.close()
    await this.#loop.close()
    this.#watch?.close()
    this.#problems = []
  }

  async #pass(): Promise<void> {
    const { clock } = this.#options
    const wake = () => this.#loop.wake()
    this.#watch ??= await Watch.open({
      clock,
      kinds: ['link', 'address', 'route', 'netconf'],
      onChange: wake,
      onLost: wake,
    })
    const { records } = this.#store.read()
    const host = Rtnetlink.open()
    try {
      const seen: Seen = {
        links: host.dumpLinks(),
        addresses: host.dumpAddresses(),
        routes: host.dumpRoutes({ protocol: RTPROT.BOOT }),
      }
      const problems = records.flatMap(record => this.#keep(host, record, seen))
      this.#tell([...problems, ...this.#keepSources(host, records, seen)])
    } finally {
      host.close()
    }
  }

  /** Returns what could not be repaired. */
  #keep(host: Rtnetlink, record: AttachmentRecord, seen: Seen): string[] {
    const link = seen.links.find(({ name }) => name === record.hostInterface)
    if (link === undefined || !isOurAlias(link.alias)) return []
    const anySource = link.group === ANY_SOURCE_GROUP
    const routed = record.interface === undefined
    const damages = damagesOf({ link, addresses: record.addresses, routed }, seen)
    if (damages.length > 0 && this.#isUnderWay(link.index)) return []
    const end = { hostInterface: link.name, addresses: record.addresses, anySource }
    try {
      setHostEnd(end)
      if (damages.length > 0) repair(host, link, { addresses: record.addresses, routed })
    } catch (error) {
      if (host.getLink(link.index) === undefined) return [] // its DEL came meanwhile
      return [`the wiring of pod ${nameOf(record)} is damaged (${damages.join(', ')}): ${errorText(error)}`]
    }
    this.#whole.add(link.index)
    this.#seenAt.delete(link.index)
    for (const detail of damages) this.#options.log.warn({ name: nameOf(record), detail }, 'wiring of a pod repaired')
    return []
  }

  /** Has what the host sends to IPv4 pods bear an address that they can answer to. */
  #keepSources(host: Rtnetlink, records: readonly AttachmentRecord[], seen: Seen): string[] {
    const lacks = lacksIPv4(seen.addresses)
    const source = lacks ? answeringAddress(host.dumpRoutes({ table: RT_TABLE.LOCAL, family: 'ipv4' })) : undefined
    const pods = records.filter(({ interface: eni }) => eni === undefined).flatMap(({ addresses }) => addresses)
    const routes = seen.routes.filter(({ destination }) => pods.some(address => hostPrefix(address) === destination))
    const ipv4 = routes.filter(({ family }) => family === 'ipv4')
    const wrong = ipv4.filter(({ preferredSource }) => preferredSource !== source)
    const requests = wrong.flatMap(({ destination, nextHops: [hop] }) =>
      hop?.interface === undefined ? [] : [sourceRequest(destination.split('/')[0] ?? '', hop.interface, source)],
    )
    for (const { error } of host.execute(requests)) if (error !== undefined) throw error
    if (requests.length > 0)
      this.#options.log.info({ address: source ?? 'the usual one', count: requests.length }, 'source towards pods set')
    if (!lacks || source !== undefined || ipv4.length === 0) return []
    return ['this host has no IPv4 address: pods do not answer its kubelet; set paths.enabled, or give it an address']
  }

  #isUnderWay(index: number): boolean {
    if (this.#whole.has(index)) return false
    const { clock } = this.#options
    const since = this.#seenAt.get(index) ?? clock.monotonic()
    this.#seenAt.set(index, since)
    if (clock.monotonic() - since >= UNDER_WAY_MILLISECONDS) return false
    clock.after(UNDER_WAY_MILLISECONDS, () => this.#loop.wake())
    return true
  }

  #tell(problems: readonly string[]): void {
    if (problems.join() === this.#problems.join()) return
    this.#problems = problems
    for (const detail of problems) this.#options.log.error({ detail }, 'problem')
    this.#options.onChange()
  }
}

interface Seen {
  readonly links: readonly Link[]
  readonly addresses: readonly InterfaceAddress[]
  readonly routes: readonly Route[]
}

/** Link-local ones and those of loopback are not for others. */
function lacksIPv4(addresses: readonly InterfaceAddress[]): boolean {
  return !addresses.some(({ address, scope }) => familyOf(address) === 'ipv4' && scope < RT_SCOPE.LINK)
}

/** An IPv4 address at which this host answers without having it on an interface. */
function answeringAddress(local: readonly Route[]): string | undefined {
  const single = local.filter(({ type, destination }) => type === 'local' && destination.endsWith('/32'))
  return single.map(({ destination }) => destination.split('/')[0] ?? '').find(address => !address.startsWith('127.'))
}

/** What is not as ADD left it, a phrase each. Pure. */
function damagesOf(
  { link, addresses, routed }: { link: Link; addresses: readonly string[]; routed: boolean },
  seen: Omit<Seen, 'links'>,
): string[] {
  const over = (destination: string) =>
    seen.routes.some(route => route.destination === destination && route.nextHops[0]?.interface === link.index)
  const has = (address: string) => seen.addresses.some(one => one.interface === link.index && one.address === address)
  const ipv6 = addresses.some(address => familyOf(address) === 'ipv6')
  return [
    ...(link.up ? [] : [`${link.name} is down`]),
    ...(isOfPods(link.group) ? [] : [`${link.name} is in no group of pods`]),
    ...(ipv6 && !has(POD_GATEWAY.ipv6) ? [`${link.name} has no ${POD_GATEWAY.ipv6}`] : []),
    ...(routed ? addresses.map(hostPrefix) : [])
      .filter(prefix => !over(prefix))
      .map(prefix => `there is no route ${prefix} to ${link.name}`),
  ]
}

/** Who died within DEL leaves a host end in a group that is about to go (detach.ts). */
function isOfPods(group: number | undefined): boolean {
  return group === POD_GROUP || group === ANY_SOURCE_GROUP
}

function repair(
  host: Rtnetlink,
  link: Link,
  { addresses, routed }: { addresses: readonly string[]; routed: boolean },
): void {
  host.run(setLink(link.index, { up: true, ...(!isOfPods(link.group) && { group: POD_GROUP }) }))
  for (const { error } of host.execute(hostEndRequests(link.index, addresses, routed))) {
    if (error !== undefined && error.errno !== ERRNO.EEXIST) throw error
  }
}

function nameOf({ pod, containerId }: AttachmentRecord): string {
  return pod === undefined ? containerId : `${pod.namespace}/${pod.name}`
}
