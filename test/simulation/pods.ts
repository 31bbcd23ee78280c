/**
 * The container runtime of a machine and what it calls: pods are added and deleted by the product's
 * store of addresses on the simulated disk, in the steps and the order of cni/add.ts and
 * cni/operations.ts (reserve, wire, look whether the reservation stands; unwire, release), each a
 * step of the bus, so that several run at once and any may die between two steps. What is wired is
 * a name and addresses.
 */
import { AddressStore } from '../../src/cni/address-store.ts'
import { type AttachmentRecord, type Attachments, findRecord, NO_ATTACHMENTS } from '../../src/cni/attachments.ts'
import { readReadiness } from '../../src/cni/readiness.ts'
import { release, reserve } from '../../src/cni/reservation.ts'
import type { Machine } from './machine.ts'
import { Dead, Mortal } from './mortal.ts'
import { Process } from './process.ts'

const STEP_MILLISECONDS = 20
const STATE = '/state'
const CONFIG = '/cni/10-terway-edge.conflist'

export interface PodsOptions {
  readonly machine: Machine
  readonly seed: number
  /** A pod has got its addresses. */
  readonly onPod: (node: string, pod: string, addresses: readonly string[]) => void
  readonly onGone: (pod: string) => void
}

interface Wired {
  readonly attempt: string
  readonly pod: string
  readonly addresses: readonly string[]
}

export class Pods {
  readonly #options: PodsOptions
  /** What is wired in the kernel, by host interface; gone with it. */
  readonly #links = new Map<string, Wired>()
  readonly #running = new Set<string>()
  #calls = 0

  constructor(options: PodsOptions) {
    this.#options = options
  }
  get running(): readonly string[] {
    return [...this.#running]
  }

  /** No pod outlives its machine. */
  lose(): void {
    for (const pod of this.#running) this.#options.onGone(pod)
    this.#running.clear()
    this.#links.clear()
  }

  /** Starts a pod, if the node says that it can; the plugin dies after so many effects. */
  add(pod: string, effects: number): void {
    const { machine } = this.#options
    const podCIDRs = configured(machine.disk.textOf(CONFIG))
    if (!machine.isOn || podCIDRs === undefined) return
    const { process, mortal, store, disk } = this.#plugin(effects)
    if (readReadiness(STATE, disk).state !== 'ready') return
    const record = this.#within(() =>
      reserve(
        store,
        [{ source: { kind: 'podCIDRs', podCIDRs }, requestedAddresses: [], record: this.#recordOf(pod, process.name) }],
        one => this.#links.get(one.hostInterface)?.attempt === one.attempt,
      ),
    )?.[0]
    if (record === undefined || 'kind' in record) return
    this.#later(process, () => {
      mortal.gate()
      if (this.#links.has(record.hostInterface)) {
        release(store, [record.attempt])
        return
      }
      this.#links.set(record.hostInterface, { attempt: record.attempt, pod, addresses: record.addresses })
      this.#later(process, () => this.#finish(pod, { mortal, store, record }))
    })
  }

  #finish(
    pod: string,
    { mortal, store, record }: { mortal: Mortal; store: AddressStore; record: AttachmentRecord },
  ): void {
    if (findRecord(store.read(), record)?.attempt === record.attempt) {
      mortal.gate()
      this.#running.add(pod)
      this.#options.onPod(this.#options.machine.place.name, pod, record.addresses)
      return
    }
    if (this.#links.get(record.hostInterface)?.attempt === record.attempt) this.#links.delete(record.hostInterface)
  }

  del(pod: string, effects: number): void {
    if (!this.#options.machine.isOn) return
    const { process, mortal, store } = this.#plugin(effects)
    this.#within(() => {
      const record = findRecord(store.read(), { containerId: pod, interfaceName: 'eth0' })
      mortal.gate()
      this.#unwire(pod)
      if (record === undefined) return
      this.#later(process, () => release(store, [record.attempt]))
    })
  }

  /** The runtime says which pods there are: all others are taken down. */
  collect(effects: number): void {
    if (!this.#options.machine.isOn) return
    const { process, mortal, store } = this.#plugin(effects)
    this.#within(() => {
      const stale = store.read().records.filter(record => !this.#running.has(record.containerId))
      // an ADD that is under way is not among the pods yet; a runtime does not collect meanwhile
      if (stale.some(record => this.#links.get(record.hostInterface)?.attempt === record.attempt)) return
      mortal.gate()
      this.#later(process, () =>
        release(
          store,
          stale.map(({ attempt }) => attempt),
        ),
      )
    })
  }

  #unwire(pod: string): void {
    this.#links.delete(linkOf(pod))
    if (this.#running.delete(pod)) this.#options.onGone(pod)
  }

  #plugin(effects: number) {
    const { machine, seed } = this.#options
    const process = new Process(machine.bus, `${machine.place.name} cni ${this.#calls++}`, seed)
    const mortal = new Mortal(process, () => {})
    mortal.dieAfter(effects)
    machine.plugins.add(process)
    const disk = machine.disk.door(mortal.gate, { writeBytes: 0 })
    return { process, mortal, disk, store: new AddressStore(STATE, { disk, rebuild: () => this.#rebuilt() }) }
  }

  /** As the kernel knows them (cni/rebuild.ts). */
  #rebuilt(): Attachments {
    const records = [...this.#links].map(([hostInterface, { pod, addresses, attempt }]) => ({
      ...this.#recordOf(pod, attempt),
      hostInterface,
      addresses,
    }))
    return { ...NO_ATTACHMENTS, records }
  }

  #recordOf(pod: string, attempt: string): Omit<AttachmentRecord, 'addresses'> {
    return {
      containerId: pod,
      interfaceName: 'eth0',
      attempt,
      network: 'terway-edge',
      hostInterface: linkOf(pod),
      namespacePath: `/run/netns/${pod}`,
      bootId: this.#options.machine.bootId,
    }
  }

  #later(process: Process, action: () => void): void {
    process.bus.post(process, process.random.between(1, STEP_MILLISECONDS), 'cni', () => this.#within(action))
  }

  /** A plugin that dies, or is refused by the disk, has failed; nobody else is told. */
  #within<T>(action: () => T): T | undefined {
    try {
      return action()
    } catch (error) {
      if (error instanceof Dead || (error instanceof Error && error.name === 'StoreError')) return undefined
      throw error
    }
  }
}

function linkOf(pod: string): string {
  return `veth-${pod}`
}

function configured(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined
  try {
    const { plugins } = JSON.parse(text) as { plugins?: readonly { podCIDRs?: readonly string[] }[] }
    return plugins?.[0]?.podCIDRs
  } catch {
    return undefined // torn: the runtime waits for another
  }
}
