/**
 * What a node says of its addresses (`status.node` of its ENINode), and when: starts and stops of
 * pods within the bounds of the pool are nobody's business and are not written. Pure.
 */
import type { ENIInterface, ENINode, ENINodeReport } from '../kube/eni-node.ts'
import { nothingLeft } from '../lib/fields.ts'
import { familyOf } from '../lib/ip.ts'
import { type InterfacePool, longestIdleFirst, type PolicyNumbers } from '../model/interface-pool.ts'

/** What the plugin has recorded. */
export interface Attached {
  /** Addresses of interfaces that pods have. */
  readonly addresses: ReadonlySet<string>
  /** Attachments with such addresses. */
  readonly pods: number
  /** Pods that got no address. */
  readonly waiting: number
  /** What pods gave back, the last one at the end. */
  readonly freed: readonly string[]
}

/**
 * What the plugin may give out. Interfaces that are on the way or whose gateway nobody knows, and
 * addresses that are to leave, are not in it.
 */
export function poolOf({ spec, status }: ENINode, numbers: PolicyNumbers): InterfacePool {
  const unmet = status.conditions.find(({ status: value }) => value === 'False')
  const [closed] = withoutGateway(status.interfaces)
  const reason = unmet === undefined ? closed : `${unmet.reason}: ${unmet.message}`
  return {
    numbers,
    dualStack: spec.ipFamilies.includes('IPv6'),
    interfaces: status.interfaces
      .filter(({ state, gateways }) => state === 'InUse' && hasGateway(gateways))
      .map(({ id, mac, gateways, addresses }) => ({ id, mac, gateways, addresses })),
    ...(reason !== undefined && { shortage: reason }),
  }
}

function hasGateway(gateways: readonly string[]): boolean {
  return gateways.some(gateway => familyOf(gateway) === 'ipv4')
}

/** What keeps pods off interfaces that are attached. */
export function withoutGateway(interfaces: readonly ENIInterface[]): readonly string[] {
  return interfaces
    .filter(({ state, gateways }) => state === 'InUse' && !hasGateway(gateways))
    .map(
      ({ id }) =>
        `the gateway of interface ${id} is not known: neither the metadata service nor the controller says it, and its addresses are not in the network of the primary interface`,
    )
}

/** `left`: the node was drained for good. */
export function reportOf(node: ENINode, attached: Attached, left: boolean): ENINodeReport {
  const { interfaces } = node.status
  const given = interfaces.filter(({ state }) => state === 'InUse').flatMap(({ addresses }) => addresses)
  const unused = (addresses: readonly string[]) => addresses.filter(address => !attached.addresses.has(address))
  return {
    inUse: attached.pods,
    waiting: attached.waiting,
    released: unused(interfaces.flatMap(({ releasing }) => releasing)).sort(),
    idle: longestIdleFirst(unused(given), attached.freed),
    left: left && attached.pods === 0,
  }
}

/**
 * Whether the API server must hear of it: somebody waits, an address may leave, or the number of
 * idle ones is beyond a bound.
 */
export function isDue(wanted: ENINodeReport, written: ENINodeReport | undefined, node: ENINode): boolean {
  if (written === undefined) return true
  const { waiting, left, released, inUse, idle, ...others } = wanted
  nothingLeft(others)
  if (waiting !== written.waiting || left !== written.left) return true
  if (JSON.stringify(released) !== JSON.stringify([...written.released].sort())) return true
  const [now, before] = [boundsTouched(inUse, node), boundsTouched(written.inUse, node)]
  if (now !== before || (now !== 'none' && inUse !== written.inUse)) return true
  // only what is named idle can be taken back
  return now === 'many' && !isSameSet(idle, written.idle)
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  const set = new Set(a)
  return set.size === new Set(b).size && b.every(item => set.has(item))
}

type Bound = 'few' | 'many' | 'none'

function boundsTouched(inUse: number, { spec, status }: ENINode): Bound {
  const addresses = status.interfaces.flatMap(one => one.addresses).filter(address => familyOf(address) === 'ipv4')
  const idle = addresses.length - inUse
  if (idle < spec.pool.minIdle) return 'few'
  return idle > spec.pool.maxIdle ? 'many' : 'none'
}
