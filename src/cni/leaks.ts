/**
 * Addresses that nobody will give back: of pods of a former boot, and of pods whose namespace is
 * gone without a DEL. The node process frees them when it starts and every few minutes; GC of the
 * runtime does too. A pod whose ADD is under way has its namespace and is left alone.
 */
import { existsSync } from 'node:fs'
import { interfaceIndex } from '../lib/libc.ts'
import { AddressStore } from './address-store.ts'
import { type AttachmentRecord, type Attachments, withoutAttempt } from './attachments.ts'
import { currentBootId } from './boot.ts'

/** What of the machine tells a leak. */
export interface Present {
  readonly bootId: string
  readonly path: (path: string) => boolean
  readonly link: (name: string) => boolean
}

/** The attempts that leaked, in the network namespace of the caller. Throws `StoreError`. */
export function leakedAttempts(stateDir: string): ReadonlySet<string> {
  return new Set(leaksOf(new AddressStore(stateDir).read(), presentNow()).map(({ attempt }) => attempt))
}

/**
 * Frees what leaked, in the network namespace of the caller, and returns it for the log; of
 * attempts that may be under way in another process only those of `among`, which were leaks a while
 * ago. Throws `StoreError`.
 */
export function freeLeaks(stateDir: string, among?: ReadonlySet<string>): readonly AttachmentRecord[] {
  const store = new AddressStore(stateDir)
  const present = presentNow()
  const leaksIn = (attachments: Attachments) =>
    leaksOf(attachments, present).filter(({ attempt }) => among?.has(attempt) ?? true)
  if (leaksIn(store.read()).length === 0) return []
  return store.update(attachments => {
    const leaked = leaksIn(attachments)
    const left = leaked.reduce((rest, { attempt }) => withoutAttempt(rest, attempt), attachments)
    return leaked.length === 0 ? { result: leaked } : { attachments: left, result: leaked }
  })
}

function presentNow(): Present {
  return { bootId: currentBootId(), path: existsSync, link: name => interfaceIndex(name) !== undefined }
}

/**
 * Pure. A namespace takes its links along, so a host end that is there means a pod that lives, even
 * where its path cannot be seen or the boot goes by another name (from inside a container, say).
 */
export function leaksOf(attachments: Attachments, present: Present): AttachmentRecord[] {
  return attachments.records.filter(
    ({ bootId, namespacePath, hostInterface }) =>
      !present.link(hostInterface) && (bootId !== present.bootId || !present.path(namespacePath)),
  )
}
