/**
 * Addresses that nobody will give back: of pods of a former boot, and of pods whose namespace is gone without a DEL. The node process
 * frees them when it starts; while it runs, GC of the runtime does. A pod whose ADD is under way has its namespace and is left alone.
 */
import { existsSync } from 'node:fs'
import { AddressStore } from './address-store.ts'
import { type AttachmentRecord, type Attachments, withoutAttempt } from './attachments.ts'
import { currentBootId } from './boot.ts'
import { detachPod } from './veth.ts'

/** Frees what leaked and returns it, for the log. Throws `StoreError`, `NetlinkError`, `LinkNameTaken`. */
export function freeLeaks(stateDir: string): readonly AttachmentRecord[] {
  const store = new AddressStore(stateDir)
  const bootId = currentBootId()
  const leaked = leaksOf(store.read(), { bootId, exists: existsSync })
  if (leaked.length === 0) return []
  // The link first, as everywhere: an address is free only when nothing bears it.
  for (const record of leaked) if (record.bootId === bootId) detachPod(record.hostInterface)
  store.update(attachments => ({
    attachments: leaked.reduce((left, { attempt }) => withoutAttempt(left, attempt), attachments),
    result: undefined,
  }))
  return leaked
}

/** Pure: what has leaked, given the boot that is now and which paths are there. */
export function leaksOf(
  attachments: Attachments,
  now: { readonly bootId: string; readonly exists: (path: string) => boolean },
): AttachmentRecord[] {
  return attachments.records.filter(record => record.bootId !== now.bootId || !now.exists(record.namespacePath))
}
