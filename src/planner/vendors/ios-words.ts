/**
 * Words that FRR, Cisco IOS-XE, Ruijie and their kin share: prefix lists and route maps. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { nameOf, poolsOf, type SwitchIntent, type SwitchPool } from './intent.ts'
import { WHY } from './vendor.ts'

function prefixListWord(family: Family): string {
  return family === 'ipv4' ? 'ip prefix-list' : 'ipv6 prefix-list'
}

/** `ge` and `le` want to be longer than the prefix itself. */
export function prefixRule({ cidr, length, blockLength }: SwitchPool): string {
  return length === blockLength ? cidr : `${cidr} ge ${blockLength} le ${blockLength}`
}

export function prefixLists(intent: SwitchIntent): string[] {
  const lines = intent.families.flatMap(family =>
    poolsOf(intent, family).map(
      (pool, index) => `${prefixListWord(family)} ${nameOf(intent)} seq ${(index + 1) * 5} permit ${prefixRule(pool)}`,
    ),
  )
  return [`! ${WHY.prefixes}`, ...lines]
}

/** In and out, for both families at once. `end` closes a section where a dialect wants that. */
export function routeMaps(intent: SwitchIntent, end: readonly string[] = []): string[] {
  const name = nameOf(intent)
  return [
    ...intent.families.flatMap((family, index) => [
      `route-map ${name}-IN permit ${(index + 1) * 10}`,
      ` match ${family === 'ipv4' ? 'ip' : 'ipv6'} address prefix-list ${name}`,
      ...end,
    ]),
    `! ${WHY.nothing}`,
    `route-map ${name}-OUT deny 10`,
    ...end,
  ]
}

/** What takes the lists and maps back. */
export function undoLists(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `no route-map ${name}-IN`,
    `no route-map ${name}-OUT`,
    ...intent.families.map(family => `no ${prefixListWord(family)} ${name}`),
  ]
}
