/**
 * DEL (CNI 1.1.0 section 2). Taking down is forgiving: what is not there is taken down. Links go
 * before the record that names them, so that an address is free only when nothing bears it.
 */
import { isUnwritable } from '../lib/errors.ts'
import type { AddressStore } from './address-store.ts'
import { findRecord } from './attachments.ts'
import { type Detached, detachPods } from './detach.ts'
import { LinkNameTaken } from './errors.ts'
import { removePodRules } from './node-interfaces.ts'
import type { DetachRequest } from './protocol.ts'
import { release } from './reservation.ts'
import { vethNames } from './veth-names.ts'

/**
 * Takes attachments down, many in one go (`detach.ts`); one that fails stops no other. Returns
 * those of which something may be left, and why. Throws `StoreError`, `StoreBusy`, whereupon all
 * may be asked for again.
 */
export function del(requests: readonly DetachRequest[], store: AddressStore): ReadonlyMap<DetachRequest, unknown> {
  const errors = new Map<DetachRequest, unknown>()
  let pending = requests
  // Once more until there is nothing: an ADD that is under way may have recorded itself or made its
  // link since, and looks for its record when it is done. What it finds released it takes back
  // itself; what it did before is found here.
  while (pending.length > 0) {
    const before = store.read()
    const found = pending.flatMap(request => {
      const record = findRecord(before, request.attachment)
      // The same interface of the same container in another network: a runtime undoes a list that
      // never got this far.
      if (record !== undefined && record.network !== request.config.name) return []
      const hostInterface = record?.hostInterface ?? vethNames(request.attachment).hostInterface
      return [{ request, record, hostInterface }]
    })
    const detached = detachPods(found.map(({ hostInterface }) => hostInterface))
    const unlinked = found.filter(({ hostInterface }) => stillThere(detached.get(hostInterface)) === undefined)
    const ruled = removePodRules(
      unlinked.flatMap(({ record }) => record ?? []),
      store.stateDir,
    )
    const done = found.filter(({ request, record, hostInterface }) => {
      const error = stillThere(detached.get(hostInterface)) ?? (record && ruled.get(record))
      if (error !== undefined) errors.set(request, error)
      return error === undefined
    })
    const attempts = done.flatMap(({ record }) => record?.attempt ?? [])
    const isReleased = attempts.length === 0 || releasedIfWritable(store, attempts)
    const after = done.some(({ record }) => record === undefined) ? store.read() : before
    const goesOn = ({ request, record }: (typeof done)[number]) =>
      record === undefined ? findRecord(after, request.attachment) !== undefined : isReleased
    pending = done.filter(goesOn).map(({ request }) => request)
  }
  return errors
}

/**
 * A runtime that cannot take a pod down cannot free a full disk either. So the record may stay
 * there, and the address with it, until the node process sees that nothing bears it any more
 * (leaks.ts).
 */
function releasedIfWritable(store: AddressStore, attempts: readonly string[]): boolean {
  try {
    release(store, attempts)
    return true
  } catch (error) {
    if (!isUnwritable(error)) throw error
    return false
  }
}

/** Why a link of ours may still be there. One of that name that somebody else made is not ours. */
export function stillThere(outcome: Detached | undefined): unknown {
  if (typeof outcome !== 'object' || outcome.error instanceof LinkNameTaken) return undefined
  return outcome.error
}
