/**
 * The policy routes of a node whose pods sit on elastic network interfaces, as values: which rules
 * and routes there are to be. The CNI plugin makes those of a pod, the node's process keeps all of
 * them, and so both ask here.
 *
 * - A rule leads everything to the pods of this node, whoever sends it; their routes name the
 *   node's address as source.
 * - Answers to what came in by the primary interface (marked by the firewall) leave by it.
 * - What a pod sends goes to the table of its interface: to the gateway of the vSwitch, and nowhere
 *   else. The `unreachable` route behind that stands on no interface, so it stays when the kernel
 *   empties the table (an address that goes, a link that is down), and no packet ever finds its way
 *   to the primary interface, where its source does not belong.
 * Pure.
 */
import { type Family, familyOf, hostPrefix } from '../lib/ip.ts'
import type { PolicyNumbers } from '../model/interface-pool.ts'
import { DEFAULT_DESTINATIONS, type RouteSpec } from './route.ts'
import type { Rule } from './types.ts'

/** Behind every other route of its table. */
const LAST_PRIORITY = 2 ** 32 - 1

/** The rules of a node, the same for all of its pods. */
export function nodeRules(family: Family, { pods, marked, protocol }: PolicyNumbers): Rule[] {
  const { mark } = marked
  return [
    { family, protocol, priority: pods.priority, table: pods.table },
    { family, protocol, priority: marked.priority, table: marked.table, mark, markMask: mark },
  ]
}

/** Of interface 0, which no link has: the table of an interface that is not there. */
export const NO_INTERFACE = 0

function interfaceTable(index: number, { interfaces }: PolicyNumbers): number {
  return interfaces.tableBase + index
}

/**
 * What stands in the table of an interface for a family; without a gateway, or for `NO_INTERFACE`,
 * only that nothing is reachable.
 */
export function interfaceRoutes(
  { index, gateways }: { readonly index: number; readonly gateways: readonly string[] },
  family: Family,
  numbers: PolicyNumbers,
): RouteSpec[] {
  const { protocol } = numbers
  const [table, destination] = [interfaceTable(index, numbers), DEFAULT_DESTINATIONS[family]]
  const gateway = index === NO_INTERFACE ? undefined : gateways.find(address => familyOf(address) === family)
  const guard: RouteSpec = { destination, table, protocol, type: 'unreachable', priority: LAST_PRIORITY }
  if (gateway === undefined) return [guard]
  return [guard, { destination, table, protocol, nextHops: [{ gateway, interface: index, onlink: true }] }]
}

/**
 * The route to a pod. `source`: the node's address of that family, for what the node itself sends.
 */
export function podRoute(
  pod: { readonly address: string; readonly hostIndex: number; readonly source?: string },
  { protocol, pods }: PolicyNumbers,
): RouteSpec {
  return {
    destination: hostPrefix(pod.address),
    protocol,
    table: pods.table,
    nextHops: [{ interface: pod.hostIndex }],
    ...(pod.source !== undefined && { preferredSource: pod.source }),
  }
}

/** The rule for what a pod sends by the interface of that index. */
export function podRule(address: string, index: number, numbers: PolicyNumbers): Rule {
  return { ...anyPodRule(address, numbers), table: interfaceTable(index, numbers) }
}

/** To delete: the rule of a pod whatever its table (the kernel takes 0 for any). */
export function anyPodRule(address: string, { protocol, interfaces }: PolicyNumbers): Rule {
  const family = familyOf(address)
  return { family, protocol, priority: interfaces.priority, table: 0, source: hostPrefix(address) }
}
