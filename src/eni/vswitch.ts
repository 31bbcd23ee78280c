/**
 * Which vSwitch a new interface comes from, and the gateway of one. Pure.
 */
import type { VSwitch } from '../cloud/answers.ts'
import { formatAddress, parsePrefix } from '../lib/ip.ts'

export const SELECTION_POLICIES = ['ordered', 'random'] as const
/** `ordered`: the one with the most free addresses; `random`: any that is good. */
export type SelectionPolicy = (typeof SELECTION_POLICIES)[number]

export interface VSwitchChoice {
  /** Configured for the node's zone. */
  readonly configured: readonly string[]
  readonly zoneID: string
  /** As the cloud knows them; one that is missing here is taken for good: the call will tell. */
  readonly known: ReadonlyMap<string, VSwitch>
  readonly blocked: (id: string) => boolean
  readonly policy: SelectionPolicy
  /** In [0, 1), for `random`. */
  readonly random: number
  /** Addresses that are taken by what was chosen a moment ago. */
  readonly planned?: ReadonlyMap<string, number>
}

/** The vSwitch to use; undefined: none is left. */
export function chooseVSwitch(choice: VSwitchChoice): string | undefined {
  const { configured, zoneID, known, blocked, policy, random, planned } = choice
  const free = (id: string) => (known.get(id)?.availableAddresses ?? 1) - (planned?.get(id) ?? 0)
  const good = [...new Set(configured)].filter(id => {
    const zone = known.get(id)?.zoneID ?? ''
    return !blocked(id) && free(id) > 0 && (zone === '' || zoneID === '' || zone === zoneID)
  })
  if (policy === 'random') return good[Math.min(good.length - 1, Math.floor(random * good.length))]
  return good.reduce<string | undefined>(
    (best, id) => (best === undefined || free(id) > free(best) ? id : best),
    undefined,
  )
}

/**
 * The gateway of a vSwitch: the third address from its end. Undefined where the block is too small
 * to have one.
 */
export function gatewayOf(cidr: string): string | undefined {
  const prefix = parsePrefix(cidr)
  if (prefix === undefined || prefix.bytes.length * 8 - prefix.length < 2) return undefined
  const bytes = Uint8Array.from(prefix.bytes, (byte, index) => {
    const hostBits = Math.max(0, Math.min(8, (index + 1) * 8 - prefix.length))
    return byte | (2 ** hostBits - 1)
  })
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) - 2 // the last is odd with at least two host bits: no borrow
  return formatAddress(bytes)
}
