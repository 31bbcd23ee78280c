/**
 * The addresses of a node's elastic network interfaces, as the node's process leaves them for the
 * CNI plugin: `cni/interfaces.json` in the state folder. From this file alone a pod is attached,
 * whoever else is away. It is replaced whole, and under the lock of the attachments, so that what
 * left it is given to no pod afterwards. Which pod has which address it does not say. Pure.
 */

import { present } from '../lib/fields.ts'
import { canonicalAddress } from '../lib/ip.ts'
import { isObject } from '../lib/json.ts'

/** In the state folder. */
export const INTERFACE_POOL_FILE = 'cni/interfaces.json'

/** Numbers of the policy routes; `protocol` marks what is ours. */
export interface PolicyNumbers {
  readonly protocol: number
  /** Leads to the pods of this node. */
  readonly pods: { readonly priority: number; readonly table: number }
  /** For what is answered by the primary interface. `mark` is one bit. */
  readonly marked: { readonly priority: number; readonly table: number; readonly mark: number }
  /** From a pod to the table of its interface: `tableBase` and the interface's index. */
  readonly interfaces: { readonly priority: number; readonly tableBase: number }
}

export interface PoolInterface {
  /** `eni-…`, as the cloud calls it. */
  readonly id: string
  /** Lower case, with colons: by this it is found among the links. */
  readonly mac: string
  /** Of its vSwitch, at most one of a family. */
  readonly gateways: readonly string[]
  /** What pods may get. */
  readonly addresses: readonly string[]
}

export interface InterfacePool {
  readonly numbers: PolicyNumbers
  /** Whether a pod gets an address of both families, or of IPv4 alone. */
  readonly dualStack: boolean
  readonly interfaces: readonly PoolInterface[]
  /** Why there are no more addresses, for operators; absent: more come when they are needed. */
  readonly shortage?: string
}

/**
 * How long a pod that got no address counts as one that waits for it: its runtime tries again
 * within seconds.
 */
export const WAITING_MILLISECONDS = 90_000

/**
 * Addresses in the order in which they are given out: the longest idle first. `freed`: what pods
 * gave back, the last one at the end.
 */
export function longestIdleFirst(addresses: readonly string[], freed: readonly string[]): string[] {
  const since = new Map(freed.map((address, index) => [address, index]))
  return [...addresses].sort((a, b) => (since.get(a) ?? -1) - (since.get(b) ?? -1))
}

const FORMAT = 1

/** Equal pools give equal texts. */
export function formatInterfacePool(pool: InterfacePool): string {
  return `${JSON.stringify({ format: FORMAT, ...pool }, undefined, 1)}\n`
}

/** Throws when `text` is not what `formatInterfacePool` writes. */
export function parseInterfacePool(text: string): InterfacePool {
  const json: unknown = JSON.parse(text)
  if (!isObject(json) || json.format !== FORMAT) throw new Error(`not interfaces of format ${FORMAT}`)
  const { numbers, dualStack, interfaces, shortage } = json
  if (!isNumbers(numbers) || typeof dualStack !== 'boolean' || !Array.isArray(interfaces)) {
    throw new Error('"numbers", "dualStack" or "interfaces" is missing')
  }
  return present<InterfacePool>({
    numbers,
    dualStack,
    interfaces: interfaces.map(parseInterface),
    shortage: typeof shortage === 'string' ? shortage : undefined,
  })
}

function isNumbers(value: unknown): value is PolicyNumbers {
  if (!isObject(value)) return false
  const { protocol, pods, marked, interfaces } = value
  return (
    isNumber(protocol) &&
    [pods, marked, interfaces].every(part => isObject(part) && isNumber(part.priority)) &&
    [pods, marked].every(part => isObject(part) && isNumber(part.table)) &&
    isObject(marked) &&
    isNumber(marked.mark) &&
    isObject(interfaces) &&
    isNumber(interfaces.tableBase)
  )
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0
}

function parseInterface(value: unknown): PoolInterface {
  if (!isObject(value) || typeof value.id !== 'string' || typeof value.mac !== 'string') {
    throw new Error('an interface has no id or mac')
  }
  const { id, mac } = value
  return { id, mac, gateways: addresses(value.gateways, id), addresses: addresses(value.addresses, id) }
}

function addresses(value: unknown, id: string): string[] {
  const texts = Array.isArray(value) ? value : [value]
  return texts.map(text => {
    const address = typeof text === 'string' ? canonicalAddress(text) : undefined
    if (address === undefined) throw new Error(`${JSON.stringify(text)} of ${id} is not an address`)
    return address
  })
}
