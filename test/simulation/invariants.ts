/**
 * What must hold after every step, whatever happens: judged by what the API server stored and what
 * kernels have, never by the product's own decisions. How things must be once faults have ended is
 * oracle.ts's.
 */
import { ERRNO } from '../../src/lib/errno.ts'
import type { Route } from '../../src/netlink/types.ts'
import type { ServerEvent, SimApiServer } from './api-server.ts'
import type { Machine } from './machine.ts'
import { addressText, type Entry, overlap, podCIDRsOf, publishedEntries, spanOf } from './published.ts'
import type { Replica } from './replica.ts'
import { GATEWAY_HOSTS, PROTOCOL } from './topology.ts'
import { Violation } from './violation.ts'

/** What was published for so long without a break is known to every node that can know it. */
const KNOWN_MILLISECONDS = 300_000
/** After a restored backup two may lead until one looks at the Lease. */
const RESTORED_MILLISECONDS = 15_000

export class Invariants {
  readonly #server: SimApiServer
  readonly #now: () => number
  /** Pool blocks in all. */
  readonly #blocks: number
  /** Every `podCIDR address` that was ever published. */
  readonly #everPublished = new Set<string>()
  /** Since when each podCIDR is published without a break, with its owner. */
  #since = new Map<string, { readonly at: number; readonly node: string }>()
  #entries: ReadonlyMap<string, Entry> = new Map()
  /** Since when each Node exists with just these podCIDRs. */
  readonly #nodes = new Map<string, { readonly at: number; readonly podCIDRs: string }>()
  /** Who had each podCIDR ever, as published: of what was not, no pod got an address. */
  readonly #owners = new Map<string, Set<string>>()
  #restoredAt = Number.NEGATIVE_INFINITY
  #isHuman = false
  blockSize: number

  constructor(server: SimApiServer, now: () => number, pool: { readonly blocks: number; readonly blockSize: number }) {
    this.#server = server
    this.#now = now
    this.#blocks = pool.blocks
    this.blockSize = pool.blockSize
    server.subscribe(event => this.#changed(event))
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries
  }

  /** Changes made by people within `action` are not the product's. */
  byHuman(action: () => void): void {
    this.#isHuman = true
    try {
      action()
    } finally {
      this.#isHuman = false
    }
  }

  /** A backup came back: all begins from what it says. */
  restored(): void {
    this.#restoredAt = this.#now()
    this.#nodes.clear()
    for (const node of this.#server.collection('nodes')) this.#noteNode(node.metadata.name, podCIDRsOf(node))
    this.#entries = new Map()
    this.#since = new Map()
    this.#publish()
  }

  /** At most one controller leads at any time. */
  leaders(replicas: readonly Replica[]): void {
    const leading = replicas.filter(({ controller }) => controller?.leadership().isLeader === true)
    if (leading.length > 1 && this.#now() - this.#restoredAt > RESTORED_MILLISECONDS)
      throw new Violation('one writer', `${leading.map(({ name }) => name).join(' and ')} lead at once`)
  }

  /** Who does not lead writes nothing that is the leader's. */
  writes({ name, controller }: Replica, what: string): void {
    if (controller?.leadership().isLeader === false)
      throw new Violation('one writer', `${name}, which does not lead, sends ${what}`)
  }

  /** A route of ours changed in a kernel. */
  route(machine: Machine, change: 'add' | 'replace' | 'delete', route: Route): void {
    if (route.protocol !== PROTOCOL) return
    if (change === 'delete') this.#lost(machine, route)
    else this.#wanted(machine, route)
  }

  #wanted({ place }: Machine, { destination, nextHops, type }: Route): void {
    for (const block of this.#blocksIn(destination)) {
      const everOwned = this.#owners.get(block)
      if (everOwned === undefined)
        throw new Violation('wanted routes only', `${place.name} routes ${destination}, but no node ever had ${block}`)
      for (const { gateway } of type === 'unicast' ? nextHops : []) {
        const host = Number(gateway?.split('.')[3])
        const isGateway =
          gateway?.startsWith(`172.16.${place.lan}.`) === true && GATEWAY_HOSTS.some(one => one === host)
        if (!isGateway && !this.#everPublished.has(`${block} ${gateway}`))
          throw new Violation(
            'wanted routes only',
            `${place.name} routes ${destination} via ${gateway}, which never had ${block}`,
          )
      }
    }
  }

  /** What has been published all the time has a way still. */
  #lost(machine: Machine, { destination }: Route): void {
    const { place, kernel, running } = machine
    const now = this.#now()
    const own = this.#entries.get(place.name)?.podCIDRs[0]
    // a node that no entry names keeps its last good routes, all of them
    if (own !== undefined && !this.#isKnown(own, now)) return
    if (
      running === undefined ||
      running.view.problems.some(text => text.includes('held') || text.includes('taken back'))
    )
      return
    for (const block of this.#blocksIn(destination)) {
      if (!this.#isKnown(block, now)) continue
      const way = kernel.lookup(addressText(spanOf(block).first + 1))
      const isRouted = way === ERRNO.EHOSTUNREACH || (typeof way !== 'number' && way.protocol === PROTOCOL)
      if (!isRouted)
        throw new Violation(
          'nothing removed because it is unknown',
          `${place.name} removed the route ${destination}, and nothing leads to ${block} now, which is published all the time`,
        )
    }
  }

  #isKnown(podCIDR: string, now: number): boolean {
    const since = this.#since.get(podCIDR)?.at
    return since !== undefined && now - since > KNOWN_MILLISECONDS && now - this.#restoredAt > KNOWN_MILLISECONDS
  }

  #blocksIn(destination: string): string[] {
    const { first, size } = spanOf(destination)
    const count = Math.max(1, size / this.blockSize)
    const length = 32 - Math.log2(this.blockSize)
    return Array.from({ length: count }, (_, index) => `${addressText(first + index * this.blockSize)}/${length}`)
  }

  #changed(event: ServerEvent): void {
    const { collection, key, type, object } = event
    if (collection === 'nodes') {
      if (type === 'DELETED') this.#nodes.delete(key)
      else this.#node(key, podCIDRsOf(object))
    }
    if (collection === 'routeslices') this.#publish()
  }

  #node(name: string, podCIDRs: readonly string[]): void {
    const text = podCIDRs.join()
    if (this.#nodes.get(name)?.podCIDRs === text) return
    for (const other of this.#server.collection('nodes')) {
      if (other.metadata.name === name) continue
      for (const [mine, theirs] of podCIDRs.flatMap(a => podCIDRsOf(other).map(b => [a, b] as const))) {
        if (overlap(mine, theirs))
          throw new Violation('one podCIDR, one node', `${name} has ${mine}, ${other.metadata.name} has ${theirs}`)
      }
    }
    const isRestored = this.#restoredAt > Number.NEGATIVE_INFINITY
    for (const podCIDR of podCIDRs) {
      const owners = this.#owners.get(podCIDR)
      if (owners !== undefined && !owners.has(name) && !isRestored && this.#owners.size < this.#blocks)
        throw new Violation(
          'freed podCIDRs are given away last',
          `${name} got ${podCIDR}, which ${[...owners].join()} had, while ${this.#blocks - this.#owners.size} blocks were never given`,
        )
    }
    this.#returned(name, podCIDRs)
    this.#noteNode(name, podCIDRs)
  }

  /** Pods of a node that is registered anew still have the addresses that it had. */
  #returned(name: string, podCIDRs: readonly string[]): void {
    const former = [...this.#owners].flatMap(([podCIDR, owners]) => (owners.has(name) ? [podCIDR] : []))
    const isRestored = this.#restoredAt > Number.NEGATIVE_INFINITY
    if (podCIDRs.length === 0 || former.length === 0 || isRestored || former.some(one => podCIDRs.includes(one))) return
    const others = this.#server.collection('nodes').filter(({ metadata }) => metadata.name !== name)
    if (others.some(other => podCIDRsOf(other).some(one => former.includes(one)))) return
    throw new Violation(
      'a node that returns gets its own back',
      `${name} had ${former.join()}, which nobody has, and got ${podCIDRs.join()}`,
    )
  }

  #noteNode(name: string, podCIDRs: readonly string[]): void {
    this.#nodes.set(name, { at: this.#now(), podCIDRs: podCIDRs.join() })
  }

  #publish(): void {
    const now = this.#now()
    const before = this.#entries
    this.#entries = publishedEntries(this.#server.collection('routeslices'))
    for (const [name, entry] of before) {
      const exists = this.#nodes.get(name)
      if (this.#entries.has(name) || this.#isHuman || exists === undefined) continue
      if (exists.podCIDRs === entry.podCIDRs.join() && now - exists.at > KNOWN_MILLISECONDS)
        throw new Violation(
          'entries of nodes that exist stay',
          `the entry of ${name} was removed, and the Node is there`,
        )
    }
    const since = new Map<string, { at: number; node: string }>()
    for (const { node, podCIDRs, addresses } of this.#entries.values()) {
      for (const podCIDR of podCIDRs) {
        const former = this.#since.get(podCIDR)
        this.#owners.set(podCIDR, (this.#owners.get(podCIDR) ?? new Set()).add(node))
        since.set(podCIDR, former?.node === node ? former : { at: now, node })
        for (const address of addresses) this.#everPublished.add(`${podCIDR} ${address}`)
      }
    }
    this.#since = since
  }
}
