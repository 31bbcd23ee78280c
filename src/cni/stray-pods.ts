/**
 * Pods whose addresses do not lie in the node's podCIDRs: nobody routes to them, while every check
 * of the node itself is green. That happens where a Node registered anew and got other podCIDRs:
 * its pods keep their addresses until they are made anew. Pure.
 */
import { covers, hostPrefix } from '../lib/ip.ts'
import type { AttachmentRecord } from './attachments.ts'

/** A line for all of them; undefined where there are none, or nothing is known of the podCIDRs. */
export function strayPods(records: readonly AttachmentRecord[], podCIDRs: readonly string[]): string | undefined {
  if (podCIDRs.length === 0) return undefined
  const lies = (address: string) => podCIDRs.some(podCIDR => covers(podCIDR, hostPrefix(address)))
  const stray = records
    .filter(record => record.interface === undefined) // else the addresses are an interface's
    .flatMap(({ addresses, pod, containerId }) => {
      const outside = addresses.filter(address => !lies(address))
      const name = pod === undefined ? containerId : `${pod.namespace}/${pod.name}`
      return outside.length === 0 ? [] : [`${name} (${outside.join(', ')})`]
    })
  if (stray.length === 0) return undefined
  const shown = stray.length > 5 ? `${stray.slice(0, 5).join(', ')} and ${stray.length - 5} more` : stray.join(', ')
  return `pods with addresses that are not of this node's pod CIDRs (${podCIDRs.join(', ')}) and that nobody routes to: ${shown}; delete them, so that they are made anew`
}
