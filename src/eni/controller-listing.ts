/**
 * What the cloud says there is of one node, and the record brought in line with it: what no record
 * explains is adopted, what is gone is told, and what only a listing misses is believed to be gone
 * when it stays so.
 */
import type { CloudInterface } from '../cloud/answers.ts'
import { noteTexts, withSharedTexts } from '../lib/shared-texts.ts'
import type { NodeRecord } from './controller-record.ts'
import type { WorkerShared } from './controller-shared.ts'
import { MissingThings } from './missing.ts'
import { readBack } from './operations.ts'
import { isOurs, madeFor } from './tags.ts'

/** The cloud says no code for it. */
const NOT_ATTACHED = {
  kind: 'wrong-moment',
  scope: 'interface',
  waitSeconds: 30,
  reason: 'WrongState',
  advice: 'see in the console whether the instance runs and takes interfaces; some types do so only while stopped',
  code: '',
  tell: true,
} as const

/** A detaching or deleting that takes longer is asked for again. */
const STUCK_MILLISECONDS = 60_000

export class NodeListing {
  readonly #shared: WorkerShared
  readonly #record: NodeRecord
  readonly #missing = new MissingThings()
  readonly #stateSince = new Map<string, { state: string; at: number }>()
  #items: readonly CloudInterface[] | undefined

  constructor(shared: WorkerShared, record: NodeRecord) {
    this.#shared = shared
    this.#record = record
  }

  /** As it was last read; undefined: not in this term. */
  get items(): readonly CloudInterface[] | undefined {
    return this.#items
  }
  /** Whether something is missing that is not believed to be gone yet. */
  get isMissing(): boolean {
    return this.#missing.any
  }
  forget(): void {
    this.#items = undefined
  }

  /** Asks the cloud and brings the record in line. Throws `CloudReadError`. */
  async read(): Promise<void> {
    const { reader, clock } = this.#shared
    const { node, recorded, name } = this.#record
    if (node === undefined) throw new Error('nothing is known of the node')
    const { spec } = node
    const ens = spec.platform === 'ens'
    const listed = await reader.interfaces({
      platform: spec.platform,
      regionID: spec.regionID,
      instanceID: spec.instanceID,
      vSwitchIDs: [...new Set([...spec.vSwitchIDs, ...recorded.interfaces.map(({ vSwitchID }) => vSwitchID)])],
      interfaceIDs: recorded.interfaces.map(({ id }) => id),
      urgent: (node.report?.waiting ?? 0) > 0,
      name,
      claims: item => {
        const { instanceID, node: made } = madeFor(item)
        return this.#isOurs(item) && (instanceID === spec.instanceID || made === name || item.id === name)
      },
    })
    const texts = new Map<string, string>()
    noteTexts(this.#record.recorded.interfaces, texts)
    const items = withSharedTexts(listed, texts)
    if (!ens) {
      const own = items.filter(item => this.#isOurs(item)).map(item => item.vSwitchID)
      await reader.vSwitches(
        spec.regionID,
        [...new Set(own)].filter(id => id !== ''),
      )
    }
    const before = this.#items ?? []
    const { interfaces } = this.#record.recorded
    const there = this.#missing.filled(items, { before, interfaces, now: clock.monotonic() })
    this.#items = there
    const mine = there.filter(item => (ens ? item.type !== 'Primary' && item.state === 'InUse' : this.#isOurs(item)))
    const vSwitches = reader.knownVSwitches()
    const attaching = this.#record.recorded.interfaces.filter(({ state }) => state === 'Attaching')
    const result = readBack(this.#record.recorded, { interfaces: mine, spec, vSwitches })
    this.#record.recorded = result.recorded
    this.#tell(result)
    this.#tellOfAttaching(attaching.map(({ id }) => id))
    this.noteStates()
  }

  /**
   * Whether it is this node's to take care of. One that was made for another node is that one's, as
   * long as there is an ENINode of it: an instance may have got another Node, and has two for a
   * while.
   */
  #isOurs(item: CloudInterface): boolean {
    const { clusterID, hasENINode } = this.#shared
    const { node } = madeFor(item)
    return isOurs(item, clusterID) && (node === this.#record.name || !hasENINode(node))
  }

  /** What was being attached and is free again was not attached: not again at once. */
  #tellOfAttaching(ids: readonly string[]): void {
    const { blocks, clock, log, event } = this.#shared
    const { name: node, recorded } = this.#record
    for (const { id } of recorded.interfaces.filter(item => ids.includes(item.id) && item.state === 'Available')) {
      const message = `interface ${id} was not attached: the cloud has taken it back`
      if (!blocks.add(id, { ...NOT_ATTACHED, message }, clock.monotonic())) continue
      log.warn({ node, name: id }, 'an interface was not attached')
      event(node, 'Warning', NOT_ATTACHED.reason, `${message}; ${NOT_ATTACHED.advice}`)
    }
  }

  /** Since when each interface is in its state. */
  noteStates(): void {
    const now = this.#shared.clock.monotonic()
    const { interfaces } = this.#record.recorded
    const present = new Set(interfaces.map(({ id }) => id))
    for (const id of this.#stateSince.keys()) if (!present.has(id)) this.#stateSince.delete(id)
    for (const { id, state } of interfaces) {
      if (this.#stateSince.get(id)?.state !== state) this.#stateSince.set(id, { state, at: now })
    }
  }

  /** Interfaces that have been in their state for too long. */
  stuck(): ReadonlySet<string> {
    const now = this.#shared.clock.monotonic()
    return new Set([...this.#stateSince].filter(([, { at }]) => now - at > STUCK_MILLISECONDS).map(([id]) => id))
  }

  #tell(found: ReturnType<typeof readBack>): void {
    const { log, event } = this.#shared
    const { name: node } = this.#record
    const { adoptedInterfaces, adoptedAddresses, lostInterfaces, lostAddresses } = found
    for (const name of adoptedInterfaces) log.info({ node, name }, 'adopted an interface that no record explains')
    if (adoptedAddresses.length > 0)
      log.info({ node, count: adoptedAddresses.length }, 'adopted addresses that no record explains')
    for (const item of lostInterfaces.filter(({ state }) => state !== 'Deleting')) {
      log.warn({ node, name: item.id }, 'an interface is gone')
      const message = `interface ${item.id} is gone: it was deleted outside of the cluster, with the addresses ${item.addresses.join(', ')}`
      event(node, 'Warning', 'InterfaceGone', message)
    }
    if (lostAddresses.length === 0) return
    const message = `addresses were taken off outside of the cluster: ${lostAddresses.join(', ')}`
    event(node, 'Warning', 'AddressesGone', message)
  }
}
