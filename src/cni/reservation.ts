/**
 * Where a pod's address comes from: the node's podCIDRs, or the addresses of its elastic network
 * interfaces, by way of the store. The only way from wiring and plugin to addresses.
 */
import type { InterfacePool } from '../model/interface-pool.ts'
import { allocate, type LastGiven, type Refusal } from './address-pool.ts'
import type { AddressStore, Change } from './address-store.ts'
import {
  type AttachmentRecord,
  type Attachments,
  findRecord,
  type InterfaceName,
  takenAddresses,
  withOnly,
  withoutAttempt,
  withoutWaiting,
  withRecord,
  withWaiting,
} from './attachments.ts'
import { allocateOfInterfaces } from './interface-addresses.ts'
import { CNI_ERROR, type Failure, failure } from './protocol.ts'

export type AddressSource =
  | {
      readonly kind: 'podCIDRs'
      readonly podCIDRs: readonly string[]
      /** Whether the host has the address itself, or a route of its own to it; absent: never. */
      readonly isOfHost?: (address: string) => boolean
    }
  | {
      readonly kind: 'interfaces'
      /**
       * Asked while the store is locked, for the pool changes under that lock. Throws `StoreError`.
       */
      readonly pool: () => InterfacePool | undefined
      /** Whether an interface is among the links. */
      readonly present: (mac: string) => boolean
    }

export interface ReservationRequest {
  readonly source: AddressSource
  readonly requestedAddresses: readonly string[]
  /** All of the record but the addresses. */
  readonly record: Omit<AttachmentRecord, 'addresses' | 'interface'>
}

/**
 * Reserves addresses for attachments and records them, all with one write. An attempt that left its
 * record behind is replaced, unless `isAlive` says that its pod is there (asked while the store is
 * locked). As many answers as requests. Throws `StoreError`, `StoreBusy`.
 */
export function reserve(
  store: AddressStore,
  requests: readonly ReservationRequest[],
  isAlive: (record: AttachmentRecord) => boolean,
): (AttachmentRecord | Failure)[] {
  return store.update(before => {
    let attachments: Attachments | undefined
    const result = requests.map(request => {
      const change = reserveOne(attachments ?? before, request, isAlive)
      attachments = change.attachments ?? attachments
      return change.result
    })
    return attachments === undefined ? { result } : { attachments, result }
  })
}

function reserveOne(
  attachments: Attachments,
  request: ReservationRequest,
  isAlive: (record: AttachmentRecord) => boolean,
): Change<AttachmentRecord | Failure> {
  const before = findRecord(attachments, request.record)
  if (before !== undefined && isAlive(before)) return { result: attachedAlready(before) }
  const free = before === undefined ? attachments : withoutAttempt(attachments, before.attempt)
  let kept = free
  let choice = choose(free, request)
  if ('kind' in choice) {
    // no pod outlived a reboot: their addresses are free, whoever forgot to say so
    kept = withOnly(free, record => record.bootId === request.record.bootId || isAlive(record))
    if (kept.records.length < free.records.length) choice = choose(kept, request)
  }
  const pod = podKey(request.record)
  if ('kind' in choice) {
    if (choice.code !== CNI_ERROR.tryAgainLater) return { result: choice }
    return { attachments: withWaiting(attachments, pod, Date.now()), result: choice }
  }
  const { last = kept.last, ...chosen } = choice
  const record = { ...request.record, ...chosen }
  return { attachments: withRecord({ ...withoutWaiting(kept, pod), last }, record), result: record }
}

interface Choice {
  readonly addresses: readonly string[]
  readonly interface?: InterfaceName
  readonly last?: LastGiven
}

function choose(attachments: Attachments, { source, requestedAddresses }: ReservationRequest): Choice | Failure {
  if (source.kind === 'interfaces') return chooseOfInterfaces(source, attachments, requestedAddresses)
  return chooseOfPodCIDRs(source, attachments, requestedAddresses)
}

function chooseOfPodCIDRs(
  { podCIDRs, isOfHost = () => false }: Extract<AddressSource, { kind: 'podCIDRs' }>,
  attachments: Attachments,
  requested: readonly string[],
): Choice | Failure {
  const taken = new Set(takenAddresses(attachments))
  for (;;) {
    const allocation = allocate({ podCIDRs, requested, last: attachments.last, taken })
    if (allocation.kind === 'full') return noFreeAddress(podCIDRs, allocation.capacity)
    const place = `in the podCIDRs of this node (${podCIDRs.join(', ')})`
    if (allocation.kind === 'refused') return addressRefused(allocation.address, allocation.reason, place)
    const { addresses, last } = allocation
    const ofHost = addresses.filter(isOfHost)
    if (ofHost.length === 0) return { addresses, last }
    const asked = ofHost.find(address => requested.includes(address))
    if (asked !== undefined) return addressRefused(asked, 'host', place)
    for (const address of ofHost) taken.add(address)
  }
}

function chooseOfInterfaces(
  source: Extract<AddressSource, { kind: 'interfaces' }>,
  attachments: Attachments,
  requested: readonly string[],
): Choice | Failure {
  const pool = source.pool()
  if (pool === undefined) return noInterfaceAddress('the node agent has not written yet which there are')
  const { present } = source
  const { freed } = attachments
  const allocation = allocateOfInterfaces({ pool, present, taken: takenAddresses(attachments), freed, requested })
  switch (allocation.kind) {
    case 'none':
      return noInterfaceAddress(allocation.why)
    case 'refused':
      return addressRefused(allocation.address, allocation.reason, 'on an elastic network interface of this node')
    case 'allocated': {
      const { id, mac } = allocation.interface
      return { addresses: allocation.addresses, interface: { id, mac } }
    }
  }
}

function podKey({ pod, containerId }: ReservationRequest['record']): string {
  return pod === undefined ? containerId : `${pod.namespace}/${pod.name}`
}

/** The answer of ADD, and of STATUS on a node that has no address at all. */
export function noInterfaceAddress(why: string): Failure {
  return failure(
    CNI_ERROR.tryAgainLater,
    `this node has no free address for the pod: ${why}`,
    'the runtime tries again by itself; more addresses are asked for by the controller: look at the conditions and Events of the ENINode of this node (kubectl describe eninode)',
  )
}

/** Forgets attempts, and so frees their addresses. Throws `StoreError`. */
export function release(store: AddressStore, attempts: readonly string[]): void {
  store.update(attachments => {
    const left = attempts.reduce(withoutAttempt, attachments)
    const unchanged = left.records.length === attachments.records.length
    return unchanged ? { result: undefined } : { attachments: left, result: undefined }
  })
}

function attachedAlready(record: AttachmentRecord): Failure {
  return failure(
    CNI_ERROR.attachedAlready,
    `interface ${record.interfaceName} of container ${record.containerId} is attached already, with ${record.addresses.join(' and ')}`,
    'a runtime must not ADD the same interface twice; call DEL first',
  )
}

function noFreeAddress(podCIDRs: readonly string[], capacity: bigint): Failure {
  return failure(
    CNI_ERROR.noFreeAddress,
    `all ${capacity} addresses of ${podCIDRs.join(', ')} are in use`,
    'remove pods from this node or lower the pods per node of kubelet (--max-pods); the node agent frees leaked addresses every few minutes',
  )
}

function addressRefused(address: string, reason: Refusal | 'host', place: string): Failure {
  const why = {
    taken: 'another pod has it',
    host: 'the host has it, or a route of its own to it (ip route get)',
    outside: `it is not ${place}`,
    reserved: 'it is the first or last address of a podCIDR, which no pod gets',
    'second-of-family': 'a pod gets one address of each family, and two were asked for',
  }[reason]
  return failure(
    CNI_ERROR.addressRefused,
    `the static address ${address} cannot be given: ${why}`,
    'ask for another address, or for none; it came from the ips capability, args.cni.ips or IP in CNI_ARGS',
  )
}
