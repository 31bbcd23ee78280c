/**
 * Which rules let pods' packets through where a host's firewall drops what it forwards: Docker and
 * ufw set the policy of FORWARD to DROP, firewalld and others end it with REJECT. An `accept` in a
 * table of our own would not help: a packet must pass every base chain of the hook. So their chain
 * gets one jump to a chain of ours in their table, right before whatever would drop everything:
 * rules that drop something in particular (network policies) keep their say, and a host that drops
 * nothing gets nothing.
 *
 * The rules are of the kind that iptables-nft makes itself, matches of an address and of
 * interfaces; anything else would make iptables refuse the whole table. What they accept is given
 * as texts, the conditions of a rule each: `iif te* oif eth0 saddr 10.0.1.0/25`. Pure.
 */
import { covers, familyOf } from '../lib/ip.ts'
import type { NftChain, NftFamily, NftRule } from './nftables-listing.ts'

/** Our chain in tables of others, named in the manner of theirs. */
export const FORWARD_CHAIN = 'TERWAY-EDGE'
/** Our tables. */
export const OWN_TABLE = 'terway-edge'

/**
 * A table with base chains on the forward hook, as far as it was read: rules by name of their
 * chain.
 */
export interface ForwardTable {
  readonly family: NftFamily
  readonly table: string
  readonly bases: readonly NftChain[]
  readonly rules: ReadonlyMap<string, readonly NftRule[]>
}

/**
 * The tables of others that see forwarded packets, with nothing read yet but which chains there
 * are.
 */
export function forwardTables(chains: readonly NftChain[]): { tables: ForwardTable[]; marked: NftChain[] } {
  const tables = new Map<string, { family: NftFamily; table: string; bases: NftChain[] }>()
  for (const chain of chains) {
    if (chain.hook !== 'forward' || chain.table === OWN_TABLE) continue
    const key = `${chain.family} ${chain.table}`
    const known = tables.get(key) ?? { family: chain.family, table: chain.table, bases: [] }
    known.bases.push(chain)
    tables.set(key, known)
  }
  const marked = chains.filter(({ name }) => name === FORWARD_CHAIN)
  return { tables: [...tables.values()].map(table => ({ ...table, rules: new Map() })), marked }
}

/** Chains whose rules must be read before `forwardScript` can decide; none when all is known. */
export function chainsToRead(table: ForwardTable): string[] {
  const { bases, rules } = table
  const missing = new Set(bases.map(({ name }) => name).filter(name => !rules.has(name)))
  for (const rule of [...rules.values()].flat()) {
    const target = rule.unconditional ? targetOf(rule) : undefined
    if (target !== undefined && target !== FORWARD_CHAIN && !rules.has(target)) missing.add(target)
  }
  return [...missing]
}

/** Whether what is forwarded through the table ends, without our rules, by being dropped. */
export function dropsForwarded(table: ForwardTable): boolean {
  return table.bases.some(base => placeIn(base, table) !== undefined)
}

/**
 * Whether packets of the kinds in `accepted` pass the table: by our rules or by those of others.
 */
export function letsThrough(table: ForwardTable, accepted: readonly string[]): boolean {
  return accepted.length > 0 && forwardScript(table, accepted) === undefined
}

/**
 * What to tell nft so that packets of the kinds in `accepted` pass the table; undefined when all is
 * as it should be. None: our chain and the jumps to it go.
 */
export function forwardScript(table: ForwardTable, accepted: readonly string[]): string | undefined {
  const wanted = accepted.filter(text => isOfFamily(text, table.family))
  const lines: string[] = []
  const jumps: string[] = []
  for (const base of table.bases) {
    const place = wanted.length === 0 || othersAccept(base, table, wanted) ? undefined : placeIn(base, table)
    const rules = table.rules.get(base.name) ?? []
    const ours = rules.filter(isOurJump)
    const kept = place === undefined ? undefined : ours.find(rule => stands(rule, place, rules))
    const at = `${table.family} ${table.table} ${base.name}`
    for (const rule of ours) if (rule !== kept) lines.push(`delete rule ${at} handle ${rule.handle}`)
    if (place === undefined) continue
    if (kept === undefined) {
      const where = place === 'end' ? `add rule ${at}` : `insert rule ${at} handle ${place.handle}`
      lines.push(`${where} counter jump ${FORWARD_CHAIN}`)
    }
    jumps.push(base.name)
  }
  const chain = chainScript(table, jumps.length === 0 ? undefined : wanted)
  if (jumps.length === 0) lines.push(...chain)
  else lines.unshift(...chain)
  return lines.length === 0 ? undefined : `${lines.join('\n')}\n`
}

/** Makes our chain so, or (undefined) removes it. */
function chainScript({ family, table, rules }: ForwardTable, wanted: readonly string[] | undefined): string[] {
  const at = `${family} ${table} ${FORWARD_CHAIN}`
  const present = rules.get(FORWARD_CHAIN)
  if (wanted === undefined) return present === undefined ? [] : [`flush chain ${at}`, `delete chain ${at}`]
  const now = present?.map(({ matches = [], verdict }) => (verdict?.kind === 'accept' ? matches.join(' ') : undefined))
  if (now !== undefined && now.length === wanted.length && wanted.every((text, index) => now[index] === text)) return []
  return [
    `add chain ${at}`,
    `flush chain ${at}`,
    ...wanted.map(text => `add rule ${at} ${nftText(text)} counter accept`),
  ]
}

/** The conditions of a text, `saddr 10.0.1.0/25` each. */
function conditionsOf(text: string): string[] {
  return text.match(/\S+ \S+/g) ?? []
}

/** As nft writes it. */
function nftText(text: string): string {
  const words = conditionsOf(text).map(condition => {
    const [field = '', value = ''] = condition.split(' ')
    if (field === 'iif' || field === 'oif') return `${field}name "${value}"`
    return `${value.includes(':') ? 'ip6' : 'ip'} ${field} ${value}`
  })
  return words.join(' ')
}

function isOfFamily(text: string, family: NftFamily): boolean {
  const [, prefix = ''] = /[sd]addr (\S+)/.exec(text) ?? []
  return family === 'inet' || (familyOf(prefix) === 'ipv4') === (family === 'ip')
}

/**
 * The rule that would drop everything, or `end` for the policy; undefined when neither does. Our
 * own jump does not count.
 */
function placeIn(base: NftChain, { rules }: ForwardTable): NftRule | 'end' | undefined {
  for (const rule of rules.get(base.name) ?? []) {
    if (!rule.unconditional || isOurJump(rule)) continue
    const fate = fateOf(rule, rules, [base.name])
    if (fate === 'block') return rule
    if (fate === 'accept') return undefined
    if (fate === 'return' || rule.verdict?.kind === 'goto') break
  }
  return base.policy === 'drop' ? 'end' : undefined
}

/**
 * Whether rules of others accept all of `wanted` before whatever drops everything, on the way that
 * every packet takes. What stands in a chain behind a rule by which some packets leave it again
 * does not count.
 */
function othersAccept(base: NftChain, { rules }: ForwardTable, wanted: readonly string[]): boolean {
  const accepted: (readonly string[])[] = []
  const walk = (chain: string, path: readonly string[], met: 'by all' | 'by some'): 'end' | undefined => {
    let meets = met
    for (const rule of rules.get(chain) ?? []) {
      const { verdict, matches, unconditional } = rule
      if (matches !== undefined && verdict?.kind === 'accept' && meets === 'by all') accepted.push(matches)
      // those that leave a base chain meet its policy, and no rule of ours
      if (rule.diverts && path.length > 1) meets = 'by some'
      const target = targetOf(rule)
      if (!unconditional || verdict === undefined || target === FORWARD_CHAIN) continue
      if (verdict.kind === 'accept' || verdict.kind === 'block') return 'end'
      if (verdict.kind === 'return') return undefined
      const ended = target === undefined || path.includes(target) ? undefined : walk(target, [...path, target], meets)
      if (ended === 'end' || verdict.kind === 'goto') return ended
    }
    return undefined
  }
  walk(base.name, [base.name], 'by all')
  return wanted.every(text =>
    accepted.some(others => others.every(wide => conditionsOf(text).some(one => coversMatch(wide, one)))),
  )
}

/** `saddr 10.0.0.0/8` covers `saddr 10.0.1.0/24`, `iif e*` covers `iif eth0`. */
function coversMatch(wide: string, narrow: string): boolean {
  const [field, value = ''] = wide.split(' ')
  const [otherField, other = ''] = narrow.split(' ')
  if (field !== otherField) return false
  if (field === 'saddr' || field === 'daddr') return covers(value, other)
  return value === other || (value.endsWith('*') && other.startsWith(value.slice(0, -1)))
}

/**
 * What becomes of every packet that meets an unconditional rule; undefined: it goes on to the next
 * rule.
 */
function fateOf(
  rule: NftRule,
  rules: ReadonlyMap<string, readonly NftRule[]>,
  path: readonly string[],
): 'accept' | 'block' | 'return' | undefined {
  const { verdict } = rule
  if (verdict === undefined) return undefined
  if (verdict.kind !== 'jump' && verdict.kind !== 'goto') return verdict.kind
  if (path.includes(verdict.target)) return undefined
  for (const next of rules.get(verdict.target) ?? []) {
    if (!next.unconditional) continue
    const fate = fateOf(next, rules, [...path, verdict.target])
    if (fate === 'return' || (fate === undefined && next.verdict?.kind === 'goto')) return undefined
    if (fate !== undefined) return fate
  }
  return undefined
}

function stands(jump: NftRule, place: NftRule | 'end', rules: readonly NftRule[]): boolean {
  return place === 'end' || rules.indexOf(jump) < rules.indexOf(place)
}

function isOurJump(rule: NftRule): boolean {
  return targetOf(rule) === FORWARD_CHAIN
}

function targetOf({ verdict }: NftRule): string | undefined {
  return verdict?.kind === 'jump' || verdict?.kind === 'goto' ? verdict.target : undefined
}
