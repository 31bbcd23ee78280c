/**
 * Keeps the kernel of a node as datapath.ts wants it. Woken by every rule, route, address and link
 * that changes (the kernel empties the tables of an interface without a word when its last address
 * goes), by pods that come and go, and every half minute; each pass compares everything, and writes
 * what differs.
 *
 * The CNI plugin makes what a pod needs by itself; here it is kept. A rule of a pod is deleted
 * under the plugin's lock, so that none goes that an ADD has just made.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { ERRNO } from '../lib/errno.ts'
import { errorText } from '../lib/errors.ts'
import type { Family } from '../lib/ip.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { PolicyNumbers } from '../model/interface-pool.ts'
import { removeAddress } from '../netlink/address.ts'
import { setLink } from '../netlink/link.ts'
import type { Request } from '../netlink/message.ts'
import { deleteRoute, replaceRoute } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { addRule, deleteRule } from '../netlink/rule.ts'
import type { Route } from '../netlink/types.ts'
import { Watch } from '../netlink/watch.ts'
import {
  type Changes,
  type Datapath,
  type DatapathInput,
  desiredDatapath,
  type Observed,
  type PodAddress,
  type PodInterface,
  planDatapath,
} from './datapath.ts'

export interface DatapathOptions {
  readonly clock: Clock
  readonly log: Log
  readonly numbers: PolicyNumbers
  /** Table of the routes between nodes. */
  readonly routeTable: number
  /** Path of the network namespace; absent: this one. */
  readonly netns?: string
  /** What pods have, as the plugin recorded it. Throws when that cannot be read. */
  readonly pods: () => readonly PodAddress[]
  /** Runs `action` while the plugin gives out and takes back nothing. */
  readonly locked: (action: () => void) => void
  /** Settings of the kernel for these interfaces. Returns problems. */
  readonly settings: (interfaces: SettingsNeeds) => readonly string[]
  /** After a pass. */
  readonly onPass: (pass: DatapathPass) => void
}

/** Names of interfaces. */
export interface SettingsNeeds {
  readonly primaries: readonly string[]
  /** For pods. */
  readonly interfaces: readonly string[]
  readonly ipv6: boolean
}

export interface DatapathPass {
  readonly datapath: Datapath | undefined
  readonly problems: readonly string[]
}

/** The names of the interfaces of a datapath. */
export function namesOf({ primaries, present }: Datapath): Omit<SettingsNeeds, 'ipv6'> {
  return {
    primaries: [...new Set(primaries.map(({ link }) => link.name))],
    interfaces: [...present.values()].map(({ name }) => name),
  }
}

const FULL_COMPARE_MILLISECONDS = 30_000
/** One change of the network comes as several messages. */
const SETTLE_MILLISECONDS = 5
/**
 * When so many passes in a row had to write, somebody undoes it: from then on it is done at most
 * once a second.
 */
const CONTEST_PASSES = 20
const CONTEST_PAUSE_MILLISECONDS = 1000

/** Some requests failed; each is a problem already. */
class Incomplete extends Error {}

export class DatapathKeeper {
  readonly #options: DatapathOptions
  readonly #loop: Loop
  #netlink: Rtnetlink | undefined
  #watch: Watch | undefined
  #wanted: { readonly interfaces: readonly PodInterface[]; readonly families: readonly Family[] } | undefined
  #writes = 0
  #cancelPause: Cancel | undefined

  constructor(options: DatapathOptions) {
    this.#options = options
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#pass(),
      onError: error => {
        if (error instanceof Incomplete) return
        this.#netlink?.close() // a conversation that broke off is not taken up again
        this.#netlink = undefined
        options.onPass({ datapath: undefined, problems: [errorText(error)] })
      },
      everyMilliseconds: FULL_COMPARE_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
  }

  want(interfaces: readonly PodInterface[], families: readonly Family[]): void {
    this.#wanted = { interfaces, families }
    this.#loop.wake()
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Stops; all stays as it is, so that pods go on over an upgrade. */
  async close(): Promise<void> {
    this.#cancelPause?.()
    this.#watch?.close()
    await this.#loop.close()
    this.#watch?.close()
    this.#netlink?.close()
  }

  async #pass(): Promise<void> {
    const { numbers, routeTable, pods } = this.#options
    const wanted = this.#wanted
    if (wanted === undefined) return
    const netlink = await this.#open()
    const look = (): DatapathInput => ({
      ...wanted,
      numbers,
      routeTable,
      observed: observeDatapath(netlink),
      pods: pods(),
    })
    let given = look()
    let datapath = desiredDatapath(given)
    let changes = planDatapath(datapath, given)
    const problems = [...this.#tend(datapath)]
    const before = changes.removeAddresses.length + changes.setLinks.length
    if (before > 0) {
      problems.push(...this.#prepare(netlink, datapath, changes))
      given = look() // tables may have been emptied by that
      datapath = desiredDatapath(given)
      changes = planDatapath(datapath, given)
    }
    const refused = this.#apply(netlink, changes, given)
    problems.push(...refused, ...problemsOf(given.observed, datapath, given.pods))
    this.#contest(before + changes.writeRoutes.length + changes.addRules.length, problems)
    this.#options.onPass({ datapath, problems })
    if (refused.length > 0) throw new Incomplete()
  }

  async #open(): Promise<Rtnetlink> {
    const { netns, clock } = this.#options
    const where = netns === undefined ? {} : { netns }
    this.#watch ??= await Watch.open({
      clock,
      ...where,
      kinds: ['link', 'address', 'route', 'rule'],
      onChange: () => this.#wakeByNetlink(),
      onLost: () => this.#wakeByNetlink(),
    })
    this.#netlink ??= Rtnetlink.open(where)
    return this.#netlink
  }

  #wakeByNetlink(): void {
    if (this.#writes < CONTEST_PASSES) {
      this.#loop.wake()
      return
    }
    this.#cancelPause ??= this.#options.clock.after(CONTEST_PAUSE_MILLISECONDS, () => {
      this.#cancelPause = undefined
      this.#loop.wake()
    })
  }

  #contest(written: number, problems: string[]): void {
    this.#writes = written === 0 ? 0 : this.#writes + 1
    if (this.#writes >= CONTEST_PASSES) {
      problems.push(
        'another program keeps undoing the policy routes of pods: see which one (ip monitor rule route address)',
      )
    }
  }

  #tend(datapath: Datapath): readonly string[] {
    return this.#options.settings({
      ...namesOf(datapath),
      ipv6: this.#wanted?.families.includes('ipv6') === true,
    })
  }

  /** Takes addresses off and brings interfaces up. Returns what was refused. */
  #prepare(netlink: Rtnetlink, { present }: Datapath, { removeAddresses, setLinks }: Changes): string[] {
    const names = new Map([...present.values()].map(({ index, name }) => [index, name]))
    for (const { address, interface: index } of removeAddresses) {
      this.#options.log.warn({ address, name: names.get(index) ?? '' }, 'address taken off an interface for pods')
    }
    return refusals(netlink, [
      ...removeAddresses.map(removeAddress),
      ...setLinks.map(({ index, ...settings }) => setLink(index, settings)),
    ])
  }

  #apply(netlink: Rtnetlink, changes: Changes, input: DatapathInput): string[] {
    const { log } = this.#options
    const { writeRoutes, addRules, deleteRules, deleteRoutes } = changes
    const refused = refusals(netlink, [...writeRoutes.map(replaceRoute), ...addRules.map(addRule)])
    if (deleteRules.length > 0) this.#deleteRules(netlink, input, refused)
    refused.push(...refusals(netlink, deleteRoutes.map(routeToDelete)))
    const count = writeRoutes.length + addRules.length + deleteRules.length + deleteRoutes.length
    if (count > 0) log.info({ count, detail: detailOf(changes) }, 'policy routes changed')
    return refused
  }

  /** As the pods are while none comes or goes. */
  #deleteRules(netlink: Rtnetlink, input: DatapathInput, refused: string[]): void {
    const { pods, locked } = this.#options
    locked(() => {
      const now = { ...input, pods: pods() }
      const { deleteRules } = planDatapath(desiredDatapath(now), now)
      refused.push(...refusals(netlink, deleteRules.map(deleteRule)))
    })
  }
}

/** What the kernel has, rules first: what they were made for is recorded before they are. */
export function observeDatapath(netlink: Rtnetlink): Observed {
  const rules = netlink.dumpRules()
  const source = (address: string) => netlink.lookup(address).source
  const [ipv4, ipv6] = [source('192.0.2.1'), source('2001:db8::1')]
  return {
    rules,
    links: netlink.dumpLinks(),
    addresses: netlink.dumpAddresses(),
    routes: netlink.dumpRoutes(),
    sources: { ...(ipv4 !== undefined && { ipv4 }), ...(ipv6 !== undefined && { ipv6 }) },
  }
}

/** Does all of them; what is so already, or gone, is well. */
function refusals(netlink: Rtnetlink, requests: readonly Request[]): string[] {
  const well: readonly number[] = [ERRNO.EEXIST, ERRNO.ENOENT, ERRNO.ESRCH, ERRNO.ENODEV, ERRNO.EADDRNOTAVAIL]
  return netlink
    .execute(requests)
    .flatMap(({ error }) => (error === undefined || well.includes(error.errno) ? [] : [error.message]))
}

function routeToDelete({ destination, table, type, priority, protocol }: Route): Request {
  return deleteRoute({ destination, table, type, protocol, ...(priority > 0 && { priority }) })
}

function detailOf({ writeRoutes, addRules, deleteRules, deleteRoutes }: Changes): string {
  return `${writeRoutes.length} routes and ${addRules.length} rules written, ${deleteRoutes.length} and ${deleteRules.length} deleted`
}

function problemsOf(observed: Observed, { missing, primaries }: Datapath, pods: readonly PodAddress[]): string[] {
  const kernels = observed.rules.some(({ table, source }) => table === 254 && source === undefined)
  return [
    ...missing.map(({ id, mac }) => {
      const count = pods.filter(pod => pod.mac === mac).length
      const cut = count === 0 ? '' : `, and ${count === 1 ? '1 pod on it reaches' : `${count} pods on it reach`} nobody`
      return `interface ${id} (${mac}) is not among the links of this node${cut}`
    }),
    ...(primaries.length === 0
      ? ['there is no default route by a primary interface: what is that of this machine?']
      : []),
    ...(kernels
      ? []
      : ["the kernel's rule for table main is gone (ip rule flush?): run ip rule add pref 32766 table main"]),
  ]
}
