/**
 * What a ruleset of nftables does with one packet: passes, is dropped or given another source and
 * by which rule, or what the answer depends on that is not known here. The packet is a sample, as
 * between pods of two nodes, at addresses that no pod ever has, so that a policy for one pod is not
 * taken for a fault. Pure; reading the rules is for who asks (`chainsMissing` says which).
 */
import { addressBits, addressBytes, addressNumber, covers, familyOf } from '../lib/ip.ts'
import type { NftChain, NftFamily } from './nftables-listing.ts'
import { asPrefix, type Comparison, type Fate, type Statement } from './statements.ts'

/** A TCP connection that begins, on its way through this machine. */
export interface SamplePacket {
  readonly source: string
  readonly destination: string
  readonly inputInterface: string
  readonly outputInterface: string
}

export interface ReadRule {
  readonly handle: number
  readonly statements: readonly Statement[]
}

export interface RulesetChain extends NftChain {
  /** Undefined: not read yet, or more than is read. */
  readonly rules: readonly ReadRule[] | undefined
}

/** A rule, or (without a handle) the policy of its chain. */
export interface RulePlace {
  readonly family: NftFamily
  readonly table: string
  readonly chain: string
  readonly handle?: number
}

export interface SampleVerdict {
  readonly fate: 'passes' | 'dropped' | 'translated' | 'unknown'
  /** What drops or translates it. */
  readonly by?: RulePlace
  /** Rules that might drop it, depending on what is not known here. */
  readonly doubts: readonly RulePlace[]
}

/** The hooks that a forwarded packet meets, in order. */
const HOOKS = ['prerouting', 'forward', 'postrouting']
const CALLS_DEEP = 16

export function sampleVerdict(packet: SamplePacket, chains: readonly RulesetChain[]): SampleVerdict {
  const walk = new Walk(packet, chains)
  let end: BaseEnd | undefined
  for (const base of basesFor(packet, chains)) {
    end = walk.base(base)
    if (end !== undefined) break
  }
  const found = end?.fate === 'dropped' ? end : (walk.translation ?? end ?? { fate: 'passes' })
  return { ...found, doubts: walk.doubts }
}

/** Chains that the packet meets and whose rules are not read yet. */
export function chainsMissing(packet: SamplePacket, chains: readonly RulesetChain[]): readonly RulesetChain[] {
  const walk = new Walk(packet, chains)
  for (const base of basesFor(packet, chains)) walk.base(base)
  return [...walk.missing]
}

function basesFor({ source }: SamplePacket, chains: readonly RulesetChain[]): RulesetChain[] {
  const families: readonly NftFamily[] = familyOf(source) === 'ipv4' ? ['ip', 'inet'] : ['ip6', 'inet']
  const met = chains.filter(chain => HOOKS.includes(chain.hook ?? '') && families.includes(chain.family))
  return met.toSorted((a, b) => HOOKS.indexOf(a.hook ?? '') - HOOKS.indexOf(b.hook ?? ''))
}

type Truth = 'yes' | 'no' | 'maybe'
/** What a chain did with the packet; `next`: it goes on behind the rule that led there. */
type End = 'accept' | 'next' | { readonly fate: 'dropped' | 'translated'; readonly by: RulePlace }

type BaseEnd = Pick<SampleVerdict, 'fate' | 'by'>

/** One packet's way; what it might meet is collected on it. */
class Walk {
  /** What gave it another source, on its way to further chains. */
  translation: BaseEnd | undefined
  readonly doubts: RulePlace[] = []
  readonly missing = new Set<RulesetChain>()
  readonly #packet: SamplePacket
  readonly #chains: ReadonlyMap<string, RulesetChain>
  /** Whether a rule that is not known might have accepted the packet before. */
  #perhapsAccepted = false

  constructor(packet: SamplePacket, chains: readonly RulesetChain[]) {
    this.#packet = packet
    this.#chains = new Map(chains.map(chain => [keyOf(chain, chain.name), chain]))
  }

  /** Undefined: the packet goes on to the next base chain. */
  base(chain: RulesetChain): BaseEnd | undefined {
    this.#perhapsAccepted = false
    const end = this.#chain(chain, 0)
    const byPolicy = end === 'next' && chain.policy === 'drop'
    const found =
      typeof end === 'object' ? end : byPolicy ? ({ fate: 'dropped', by: placeOf(chain) } as const) : undefined
    if (found?.fate === 'translated') {
      // what may be translated is not said: rules of Services do so by marks that nobody knows here
      if (!this.#perhapsAccepted) this.translation ??= found
      return undefined
    }
    if (found === undefined || !this.#perhapsAccepted) return found
    this.doubts.push(found.by)
    return { fate: 'unknown' }
  }

  #chain(chain: RulesetChain, depth: number): End {
    if (chain.rules === undefined) this.missing.add(chain)
    if (chain.rules === undefined || depth > CALLS_DEEP) return 'next'
    for (const rule of chain.rules) {
      const { truth, fate } = this.#rule(rule)
      if (fate === undefined || truth === 'no') continue
      const end = this.#fate(fate, chain, rule, depth)
      if (truth === 'maybe') this.#perhaps(end)
      else if (end === 'return') return 'next'
      else if (end !== 'next') return end
      else if (fate.kind === 'goto') return 'next'
    }
    return 'next'
  }

  #fate(fate: Fate, chain: RulesetChain, rule: ReadRule, depth: number): End | 'return' {
    switch (fate.kind) {
      case 'accept':
        return 'accept'
      case 'return':
        return 'return'
      case 'block':
        return { fate: 'dropped', by: { ...placeOf(chain), handle: rule.handle } }
      case 'translate':
        return { fate: 'translated', by: { ...placeOf(chain), handle: rule.handle } }
      default: {
        const target = this.#chains.get(keyOf(chain, fate.target))
        return target === undefined ? 'next' : this.#chain(target, depth + 1)
      }
    }
  }

  #perhaps(end: End | 'return'): void {
    if (end === 'next') return
    if (typeof end === 'object' && end.fate === 'dropped') this.doubts.push(end.by)
    else this.#perhapsAccepted = true
  }

  /** Whether the rule applies, and what it does; of several cases the one for this packet. */
  #rule({ statements }: ReadRule): { truth: Truth; fate: Fate | undefined } {
    let truth: Truth = 'yes'
    for (const statement of statements) {
      if (statement.kind === 'fate') return { truth, fate: statement.fate }
      const one =
        statement.kind === 'choice' ? this.#choice(statement) : { truth: this.#holds(statement), fate: undefined }
      truth = both(truth, one.truth)
      if (truth === 'no') return { truth, fate: undefined }
      if (one.fate !== undefined) return { truth, fate: one.fate }
    }
    return { truth, fate: undefined }
  }

  #choice({ subject, cases }: Extract<Statement, { kind: 'choice' }>): { truth: Truth; fate: Fate | undefined } {
    for (const { values, fate } of cases ?? []) {
      const truth = this.#compared({ subject, negated: false, values })
      if (truth !== 'no') return { truth, fate }
    }
    return { truth: cases === undefined ? 'maybe' : 'no', fate: undefined }
  }

  #holds(statement: Statement): Truth {
    if (statement.kind === 'compare') return this.#compared(statement.comparison)
    return statement.kind === 'unknown' ? 'maybe' : 'yes'
  }

  /** What its source is after a translation is not known here. */
  #compared(comparison: Comparison): Truth {
    const source = familyOf(this.#packet.source) === 'ipv4' ? 'ip saddr' : 'ip6 saddr'
    const isKnown = this.translation === undefined || comparison.subject !== source
    return isKnown ? compared(comparison, this.#packet) : 'maybe'
  }
}

function both(a: Truth, b: Truth): Truth {
  if (a === 'no' || b === 'no') return 'no'
  return a === 'maybe' || b === 'maybe' ? 'maybe' : 'yes'
}

const PORT = '8080'

/** What of the packet a comparison looks at; null: it has no such thing; undefined: not known. */
function factOf(subject: string, packet: SamplePacket): string | null | undefined {
  const ipv4 = familyOf(packet.source) === 'ipv4'
  const facts: Readonly<Record<string, string | null>> = {
    'ip saddr': ipv4 ? packet.source : null,
    'ip daddr': ipv4 ? packet.destination : null,
    'ip6 saddr': ipv4 ? null : packet.source,
    'ip6 daddr': ipv4 ? null : packet.destination,
    'ip protocol': ipv4 ? 'tcp' : null,
    'ip6 nexthdr': ipv4 ? null : 'tcp',
    'meta iifname': packet.inputInterface,
    'meta oifname': packet.outputInterface,
    'meta l4proto': 'tcp',
    'meta nfproto': ipv4 ? 'ipv4' : 'ipv6',
    'meta protocol': ipv4 ? 'ip' : 'ip6',
    'ct state': 'new',
    'tcp dport': PORT,
    'th dport': PORT,
    'udp dport': null,
    'udp sport': null,
    'icmp type': null,
    'icmpv6 type': null,
  }
  return facts[subject]
}

function compared({ subject, negated, values }: Comparison, packet: SamplePacket): Truth {
  const fact = factOf(subject, packet)
  if (fact === null) return 'no'
  if (fact === undefined || values === undefined) return 'maybe'
  return values.some(value => isValue(fact, value)) === negated ? 'no' : 'yes'
}

function isValue(fact: string, value: string): boolean {
  if (fact === value) return true
  if (value.endsWith('*')) return fact.startsWith(value.slice(0, -1))
  const [from = '', to] = value.split('-')
  const number = numberOf(fact)
  if (to !== undefined && number !== undefined) {
    const [first, last] = [numberOf(from), numberOf(to)]
    return first !== undefined && last !== undefined && first <= number && number <= last
  }
  const prefix = asPrefix(value)
  return prefix !== undefined && asPrefix(fact) !== undefined && covers(prefix, fact)
}

/** Of an address, or of a port. */
function numberOf(text: string): bigint | undefined {
  if (/^\d+$/.test(text)) return BigInt(text)
  return asPrefix(text)?.endsWith(`/${addressBits(familyOf(text))}`) ? addressNumber(addressBytes(text)) : undefined
}

function keyOf({ family, table }: Pick<NftChain, 'family' | 'table'>, name: string): string {
  return `${family} ${table} ${name}`
}

function placeOf({ family, table, name }: RulesetChain): RulePlace {
  return { family, table, chain: name }
}

/** A rule in words: `inet filter forward, rule 5`. */
export function placeText({ family, table, chain, handle }: RulePlace): string {
  return `${family} ${table} ${chain}, ${handle === undefined ? 'its policy' : `rule with handle ${handle}`}`
}
