/**
 * Takes every pod of this node off the network, when the node leaves it: what the plugin made on
 * the host goes, and the records of it. The round robin's place stays, for a node that comes back.
 */
import { errorText } from '../lib/errors.ts'
import { AddressStore } from './address-store.ts'
import { withOnly } from './attachments.ts'
import { detachPods } from './detach.ts'
import { ourLinks } from './veth.ts'

/**
 * In the network namespace of the caller. Returns how many host ends went, and what could not be
 * done. Throws `NetlinkError`.
 */
export function removePodLinks(stateDir: string): { readonly removed: number; readonly problems: readonly string[] } {
  const problems: string[] = []
  let removed = 0
  for (const outcome of detachPods(ourLinks().map(({ name }) => name)).values()) {
    if (outcome === 'gone') removed++
    if (typeof outcome === 'object') problems.push(errorText(outcome.error))
  }
  try {
    const store = new AddressStore(stateDir)
    if (problems.length === 0 && store.read().records.length > 0) {
      store.update(attachments => ({ attachments: withOnly(attachments, () => false), result: undefined }))
    }
  } catch (error) {
    problems.push(errorText(error))
  }
  return { removed, problems }
}
