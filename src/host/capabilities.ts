/**
 * The capabilities (capabilities(7)) that a service needs, asked for before anything is touched:
 * better now than half-way.
 */
import { readFileSync } from 'node:fs'
import { UserError } from '../lib/errors.ts'

/** Linux capabilities (linux/capability.h). */
const CAPABILITIES = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const

export type Capability = keyof typeof CAPABILITIES

/** Those of `names` that this process lacks. */
export function lackingCapabilities(names: readonly Capability[]): Capability[] {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  const effective = BigInt(`0x${line?.[1] ?? '0'}`)
  return names.filter(name => (effective & (1n << BigInt(CAPABILITIES[name]))) === 0n)
}

/** Throws when this process lacks a capability: better now than half-way. */
export function requireCapabilities(names: readonly Capability[]): void {
  const lacking = lackingCapabilities(names)
  if (lacking.length === 0) return
  throw new UserError(
    `it needs ${lacking.join(' and ')}: run it as root or by its systemd unit (terway-edge install writes one)`,
  )
}
