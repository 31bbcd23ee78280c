/**
 * Which address of the node's elastic network interfaces a pod gets: one that has been idle the
 * longest, of both families from one interface where pods get both. Pure: the pool, which
 * interfaces are there, and what is taken are given, the answer is a value.
 */
import { type Family, familyOf } from '../lib/ip.ts'
import { type InterfacePool, longestIdleFirst, type PoolInterface } from '../model/interface-pool.ts'
import type { Refusal } from './address-pool.ts'

export interface InterfaceAllocationInput {
  readonly pool: InterfacePool
  /** Whether an interface is among the links of this machine. */
  readonly present: (mac: string) => boolean
  readonly taken: ReadonlySet<string>
  /** What pods gave back, the last one at the end. */
  readonly freed: readonly string[]
  /** Addresses that the pod asks for. */
  readonly requested: readonly string[]
}

export type InterfaceAllocation =
  | { readonly kind: 'allocated'; readonly addresses: readonly string[]; readonly interface: PoolInterface }
  | { readonly kind: 'none'; readonly why: string }
  | { readonly kind: 'refused'; readonly address: string; readonly reason: Refusal }

export function allocateOfInterfaces(input: InterfaceAllocationInput): InterfaceAllocation {
  const { pool, present, taken, requested } = input
  for (const [index, address] of requested.entries()) {
    const reason = refusalOf(address, requested.slice(0, index), input)
    if (reason !== undefined) return { kind: 'refused', address, reason }
  }
  const usable = pool.interfaces.filter(({ mac }) => present(mac))
  const order = longestIdleFirst(
    usable.flatMap(({ addresses }) => addresses),
    input.freed,
  )
  const free = order.filter(address => !taken.has(address))
  const families: readonly Family[] = pool.dualStack ? ['ipv4', 'ipv6'] : ['ipv4']
  const owners = new Map(usable.flatMap(owner => owner.addresses.map(address => [address, owner])))
  for (const first of free.filter(address => familyOf(address) === families[0])) {
    const owner = owners.get(first)
    if (owner === undefined || !requested.every(address => owner.addresses.includes(address))) continue
    const ofOwner = free.filter(address => owners.get(address) === owner)
    const addresses = families.flatMap(family => {
      const wanted = requested.find(address => familyOf(address) === family)
      return wanted ?? ofOwner.find(address => familyOf(address) === family) ?? []
    })
    if (addresses.length === families.length) return { kind: 'allocated', addresses, interface: owner }
  }
  return { kind: 'none', why: whyNone(pool, usable, free.length) }
}

/** How many addresses there are for pods; of one family where pods get both. */
export function addressCount({ interfaces }: Pick<InterfacePool, 'interfaces'>): number {
  return interfaces.flatMap(({ addresses }) => addresses.filter(address => familyOf(address) === 'ipv4')).length
}

function refusalOf(address: string, before: readonly string[], input: InterfaceAllocationInput): Refusal | undefined {
  if (before.some(other => familyOf(other) === familyOf(address))) return 'second-of-family'
  const { pool, present, taken } = input
  if (!pool.interfaces.some(({ mac, addresses }) => present(mac) && addresses.includes(address))) return 'outside'
  return taken.has(address) ? 'taken' : undefined
}

function whyNone(pool: InterfacePool, usable: readonly PoolInterface[], free: number): string {
  const absent = pool.interfaces.filter(one => !usable.includes(one)).map(({ id, mac }) => `${id} (${mac})`)
  const count = addressCount({ interfaces: usable })
  const reasons = [
    ...(pool.interfaces.length === 0 ? ['it has no interface for pods yet'] : []),
    ...(absent.length > 0 ? [`${absent.join(', ')} is not among its links`] : []),
    ...(count > 0 && free === 0 ? [`all ${count} addresses are in use`] : []),
    ...(free > 0 ? ['no interface has a free address of both families'] : []),
    ...(pool.shortage !== undefined ? [pool.shortage] : []),
  ]
  return reasons.length === 0 ? 'its interfaces have no addresses yet' : reasons.join('; ')
}
