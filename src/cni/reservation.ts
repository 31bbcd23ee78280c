/**
 * Where a pod's address comes from: the node's podCIDRs by way of the store. The only way from wiring and plugin to addresses, so that
 * another source (an interface of the cloud, say) can take its place.
 */
import { allocate, type Refusal } from './address-pool.ts'
import type { AddressStore } from './address-store.ts'
import { type AttachmentRecord, findRecord, takenAddresses, withoutAttempt, withRecord } from './attachments.ts'
import { CNI_ERROR, type Failure, failure } from './protocol.ts'

export interface ReservationRequest {
  readonly podCIDRs: readonly string[]
  readonly requestedAddresses: readonly string[]
  /** All of the record but the addresses. */
  readonly record: Omit<AttachmentRecord, 'addresses'>
}

/**
 * Reserves addresses for an attachment and records it. An attempt that left its record behind is replaced, unless `isAlive` says that
 * its pod is there (asked while the store is locked). Throws `StoreError`.
 */
export function reserve(
  store: AddressStore,
  request: ReservationRequest,
  isAlive: (record: AttachmentRecord) => boolean,
): AttachmentRecord | Failure {
  return store.update<AttachmentRecord | Failure>(attachments => {
    const before = findRecord(attachments, request.record)
    if (before !== undefined && isAlive(before)) return { result: attachedAlready(before) }
    const free = before === undefined ? attachments : withoutAttempt(attachments, before.attempt)
    const { podCIDRs, requestedAddresses } = request
    const input = { podCIDRs, requested: requestedAddresses, last: attachments.last }
    let kept = free
    let allocation = allocate({ ...input, taken: takenAddresses(free) })
    if (allocation.kind !== 'allocated') {
      // no pod outlived a reboot: their addresses are free, whoever forgot to say so
      kept = {
        ...free,
        records: free.records.filter(record => record.bootId === request.record.bootId || isAlive(record)),
      }
      if (kept.records.length < free.records.length) allocation = allocate({ ...input, taken: takenAddresses(kept) })
    }
    switch (allocation.kind) {
      case 'full':
        return { result: noFreeAddress(podCIDRs, allocation.capacity) }
      case 'refused':
        return { result: addressRefused(allocation.address, allocation.reason, podCIDRs) }
      case 'allocated': {
        const record = { ...request.record, addresses: allocation.addresses }
        return { attachments: withRecord({ ...kept, last: allocation.last }, record), result: record }
      }
    }
  })
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

function addressRefused(address: string, reason: Refusal, podCIDRs: readonly string[]): Failure {
  const why = {
    taken: 'another pod has it',
    outside: `it is not in the podCIDRs of this node (${podCIDRs.join(', ')})`,
    reserved: 'it is the first or last address of a podCIDR, which no pod gets',
    'second-of-family': 'a pod gets one address of each family, and two were asked for',
  }[reason]
  return failure(
    CNI_ERROR.addressRefused,
    `the static address ${address} cannot be given: ${why}`,
    'ask for another address, or for none; it came from the ips capability, args.cni.ips or IP in CNI_ARGS',
  )
}
