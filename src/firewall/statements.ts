/**
 * The statements of a rule of nftables (libnftables-json(5)) as far as the fate of one packet
 * depends on them: what is compared with what, and what becomes of the packet. What is not known
 * here is `unknown`, never passed over. Pure.
 */
import { hostPrefix } from '../lib/ip.ts'

/** What of a packet is compared; as nft names it, such as `ip saddr` or `meta iifname`. */
export type Subject = string

/** Values are addresses and prefixes in canonical form, ranges `a-b`, names, or words of nft. */
export interface Comparison {
  readonly subject: Subject
  readonly negated: boolean
  /** Undefined: they are in a named set, or of a kind that is not known here. */
  readonly values: readonly string[] | undefined
}

/** `translate`: its source address becomes another. */
export type Fate =
  | { readonly kind: 'accept' | 'block' | 'return' | 'translate' }
  | { readonly kind: 'jump' | 'goto'; readonly target: string }

export type Statement =
  | { readonly kind: 'compare'; readonly comparison: Comparison }
  | { readonly kind: 'fate'; readonly fate: Fate }
  /** By the value of something: the fate of each value; undefined: a named map. */
  | { readonly kind: 'choice'; readonly subject: Subject; readonly cases: readonly Case[] | undefined }
  | { readonly kind: 'pass' }
  | { readonly kind: 'unknown' }

export interface Case {
  readonly values: readonly string[]
  readonly fate: Fate
}

type Fields = Readonly<Record<string, unknown>>

const PASSING = new Set(['counter', 'log', 'mangle', 'set', 'notrack', 'ct helper', 'ct timeout', 'secmark', 'comment'])
/** Other translations end a chain as an accept does. */
const ACCEPTING = new Set(['accept', 'queue', 'dnat', 'redirect', 'tproxy'])
const TRANSLATING = new Set(['snat', 'masquerade'])
/** Targets of xtables that let packets go on. */
const PASSING_TARGETS = new Set(['LOG', 'NFLOG', 'MARK', 'CONNMARK', 'TCPMSS', 'CHECKSUM', 'AUDIT', 'TRACE', 'CT'])
const BLOCKING_TARGETS = new Set(['REJECT', 'DROP'])
const TRANSLATING_TARGETS = new Set(['MASQUERADE', 'SNAT'])

/** The statements of `expr` of a rule; undefined where there are none. */
export function statementsOf(expr: unknown): Statement[] {
  return Array.isArray(expr) ? expr.map(statementOf) : []
}

function statementOf(value: unknown): Statement {
  if (!isFields(value)) return { kind: 'unknown' }
  const fate = fateOf(value)
  if (fate !== undefined) return { kind: 'fate', fate }
  const [kind = ''] = Object.keys(value)
  if (kind === 'match') return compare(value.match)
  if (kind === 'vmap') return choice(value.vmap)
  if (kind === 'xt') return extension(value.xt)
  if (kind === 'set' && isFields(value.set) && value.set.stmt !== undefined) return { kind: 'unknown' }
  return { kind: PASSING.has(kind) ? 'pass' : 'unknown' }
}

function fateOf(value: Fields): Fate | undefined {
  const [kind = ''] = Object.keys(value)
  if (ACCEPTING.has(kind)) return { kind: 'accept' }
  if (TRANSLATING.has(kind)) return { kind: 'translate' }
  if (kind === 'drop' || kind === 'reject') return { kind: 'block' }
  if (kind === 'return') return { kind: 'return' }
  if (kind !== 'jump' && kind !== 'goto') return undefined
  const to = value[kind]
  return isFields(to) && typeof to.target === 'string' ? { kind, target: to.target } : undefined
}

function extension(value: unknown): Statement {
  const { type, name } = isFields(value) ? value : {}
  if (name === 'comment') return { kind: 'pass' }
  if (type !== 'target' || typeof name !== 'string') return { kind: 'unknown' }
  if (BLOCKING_TARGETS.has(name)) return { kind: 'fate', fate: { kind: 'block' } }
  if (TRANSLATING_TARGETS.has(name)) return { kind: 'fate', fate: { kind: 'translate' } }
  return { kind: PASSING_TARGETS.has(name) ? 'pass' : 'unknown' }
}

function compare(value: unknown): Statement {
  if (!isFields(value)) return { kind: 'unknown' }
  const subject = subjectOf(value.left)
  const negated = value.op === '!='
  if (subject === undefined || !(negated || value.op === '==' || value.op === 'in')) return { kind: 'unknown' }
  return { kind: 'compare', comparison: { subject, negated, values: valuesOf(value.right) } }
}

function choice(value: unknown): Statement {
  const subject = isFields(value) ? subjectOf(value.key) : undefined
  if (!isFields(value) || subject === undefined) return { kind: 'unknown' }
  const elements = isFields(value.data) ? value.data.set : undefined
  if (!Array.isArray(elements)) return { kind: 'choice', subject, cases: undefined }
  const cases = elements.map((element): Case | undefined => {
    const [key, verdict] = Array.isArray(element) ? element : []
    const fate = isFields(verdict) ? fateOf(verdict) : undefined
    const values = valuesOf(key)
    return fate === undefined || values === undefined ? undefined : { values, fate }
  })
  const known = cases.filter(one => one !== undefined)
  return { kind: 'choice', subject, cases: known.length === cases.length ? known : undefined }
}

/** `{payload: {protocol, field}}`, `{meta: {key}}`, `{ct: {key}}`. */
function subjectOf(left: unknown): Subject | undefined {
  if (!isFields(left)) return undefined
  const { payload, meta, ct } = left
  if (isFields(payload) && payload.tunnel === undefined && typeof payload.protocol === 'string')
    return `${payload.protocol} ${String(payload.field)}`
  if (isFields(meta) && typeof meta.key === 'string') return `meta ${meta.key}`
  if (isFields(ct) && typeof ct.key === 'string' && ct.dir === undefined) return `ct ${ct.key}`
  return undefined
}

/** Undefined where one of them is not known here. */
function valuesOf(right: unknown): readonly string[] | undefined {
  if (typeof right === 'string') return right.startsWith('@') ? undefined : [right]
  if (typeof right === 'number') return [String(right)]
  const list = Array.isArray(right) ? right : isFields(right) && Array.isArray(right.set) ? right.set : undefined
  if (list !== undefined) {
    const each = list.map(valuesOf)
    return each.every(values => values !== undefined) ? each.flat() : undefined
  }
  if (!isFields(right)) return undefined
  if (isFields(right.prefix)) return [`${String(right.prefix.addr)}/${String(right.prefix.len)}`]
  if (Array.isArray(right.range)) return [right.range.map(String).join('-')]
  if (isFields(right.elem)) return valuesOf(right.elem.val)
  return undefined
}

/** A value that is an address or a prefix, as a prefix. */
export function asPrefix(value: string): string | undefined {
  if (/^[0-9a-f.:]+\/\d+$/.test(value)) return value
  return /^[0-9a-f.:]+$/.test(value) && /[.:]/.test(value) ? hostPrefix(value) : undefined
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
