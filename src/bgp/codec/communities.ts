/**
 * Communities between text and number: `high:low` (RFC 1997), `global:local1:local2` (RFC 8092) and
 * the registered names. Extended communities (RFC 4360) are passed through as hexadecimal and are
 * not interpreted here. Pure.
 */
import { nameOf, WellKnownCommunity } from './registry.ts'

/**
 * The number of `high:low` or of a registered name (`no-export`, `graceful-shutdown`); undefined
 * when it is neither.
 */
export function parseCommunity(text: string): number | undefined {
  if (Object.hasOwn(WellKnownCommunity, text)) return WellKnownCommunity[text as keyof typeof WellKnownCommunity]
  const parts = numbers(text, 2, 0xffff)
  return parts && (parts[0] ?? 0) * 0x10000 + (parts[1] ?? 0)
}

export function formatCommunity(community: number): string {
  return `${community >>> 16}:${community & 0xffff}`
}

/** The registered name of `high:low`, if it has one. */
export function communityName(text: string): string | undefined {
  const community = parseCommunity(text)
  return community === undefined ? undefined : nameOf(WellKnownCommunity, community)
}

/**
 * The three numbers of `global:local1:local2`; undefined when it is not that. RFC 8092 section 5:
 * decimal, no leading zeros.
 */
export function parseLargeCommunity(text: string): readonly number[] | undefined {
  return numbers(text, 3, 0xffffffff)
}

function numbers(text: string, count: number, maximum: number): readonly number[] | undefined {
  const parts = text.split(':')
  if (parts.length !== count || !parts.every(part => /^(0|[1-9]\d{0,9})$/.test(part))) return undefined
  const values = parts.map(Number)
  return values.every(value => value <= maximum) ? values : undefined
}
