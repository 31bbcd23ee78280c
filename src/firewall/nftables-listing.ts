/**
 * What `nft -j list` says, as values: base chains and their hooks, and of each rule whether it
 * applies to every packet and what becomes of those it applies to. Only what the decisions of the
 * firewall need; the JSON is libnftables-json(5). Pure.
 *
 * What is not known here counts as a condition: a rule that is not understood never counts as one
 * that drops everything.
 */
import { hostPrefix } from '../lib/ip.ts'
import { type Statement, statementsOf } from './statements.ts'

/** The families whose chains see IP packets that are forwarded, and ARP. */
export type NftFamily = 'ip' | 'ip6' | 'inet' | 'arp'
const FAMILIES_READ: readonly string[] = ['ip', 'ip6', 'inet', 'arp']

export interface NftChain {
  readonly family: NftFamily
  readonly table: string
  readonly name: string
  /** Of base chains. */
  readonly hook?: string
  readonly policy?: string
  readonly type?: string
}

export type Verdict =
  | { readonly kind: 'accept' | 'block' | 'return' }
  /**
   * `block` is drop or reject; a verdict of other kinds (queue, nat) is somebody's decision to let
   * packets go on.
   */
  | { readonly kind: 'jump' | 'goto'; readonly target: string }

export interface NftRule {
  readonly chain: string
  readonly handle: number
  /** It applies to every packet. */
  readonly unconditional: boolean
  readonly verdict?: Verdict
  /** Its conditions, where all are known: `saddr 10.0.0.0/25`, `iif te*`, `oif eth0`; sorted. */
  readonly matches?: readonly string[]
  /**
   * Whether packets may leave its chain here for another, or for the one that jumped to it,
   * depending on what they are.
   */
  readonly diverts: boolean
  /** In their order, for who asks what becomes of one packet. */
  readonly statements: readonly Statement[]
}

export interface Listing {
  readonly chains: readonly NftChain[]
  readonly rules: readonly NftRule[]
}

type Fields = Readonly<Record<string, unknown>>

/** The listing in `text`. Throws when it is not JSON of nft. */
export function decodeListing(text: string): Listing {
  const document: unknown = JSON.parse(text)
  const items = isFields(document) && Array.isArray(document.nftables) ? document.nftables : undefined
  if (items === undefined) throw new Error('nft answered with something that is not its JSON')
  const fields = items.filter(isFields)
  return {
    chains: fields.flatMap(item => chainOf(item.chain) ?? []),
    rules: fields.flatMap(item => ruleOf(item.rule) ?? []),
  }
}

function chainOf(value: unknown): NftChain | undefined {
  if (!isFields(value) || typeof value.table !== 'string' || typeof value.name !== 'string') return undefined
  if (!isFamily(value.family)) return undefined
  const { family, table, name, hook, policy, type } = value
  return {
    family,
    table,
    name,
    ...(typeof hook === 'string' && { hook }),
    ...(typeof policy === 'string' && { policy }),
    ...(typeof type === 'string' && { type }),
  }
}

function ruleOf(value: unknown): NftRule | undefined {
  if (!isFields(value) || typeof value.chain !== 'string' || typeof value.handle !== 'number') return undefined
  const statements = Array.isArray(value.expr) ? value.expr.filter(isFields) : []
  const conditions = statements.filter(isCondition)
  const verdict = statements.map(verdictOf).find(found => found !== undefined)
  const known = conditions.map(condition => addressMatch(condition) ?? interfaceMatch(condition))
  const matches = known.filter(text => text !== undefined).sort()
  return {
    chain: value.chain,
    handle: value.handle,
    unconditional: conditions.length === 0,
    statements: statementsOf(value.expr),
    diverts: conditions.length > 0 && statements.some(isDiversion),
    ...(verdict !== undefined && { verdict }),
    ...(matches.length > 0 && matches.length === conditions.length && { matches }),
  }
}

/** Statements that let every packet go on to the next one. */
const PASSING = new Set(['counter', 'log', 'mangle', 'set', 'notrack', 'ct helper', 'ct timeout', 'secmark'])
const VERDICTS = new Set(['accept', 'drop', 'reject', 'return', 'jump', 'goto', 'queue'])
/** Targets of xtables that iptables-nft wraps and that let packets go on. */
const PASSING_TARGETS = new Set(['LOG', 'NFLOG', 'MARK', 'CONNMARK', 'TCPMSS', 'CHECKSUM', 'AUDIT', 'TRACE', 'CT'])
const BLOCKING_TARGETS = new Set(['REJECT', 'DROP'])

function isCondition(statement: Fields): boolean {
  const [kind = ''] = Object.keys(statement)
  // a set that is added to may hold a limit for each of its elements
  if (kind === 'set' && isFields(statement.set) && statement.set.stmt !== undefined) return true
  if (kind !== 'xt') return !PASSING.has(kind) && !VERDICTS.has(kind)
  const xt = isFields(statement.xt) ? statement.xt : {}
  const name = typeof xt.name === 'string' ? xt.name : ''
  if (xt.type === 'target') return !PASSING_TARGETS.has(name) && !BLOCKING_TARGETS.has(name)
  return name !== 'comment'
}

function verdictOf(statement: Fields): Verdict | undefined {
  if ('accept' in statement || 'queue' in statement) return { kind: 'accept' }
  if ('drop' in statement || 'reject' in statement) return { kind: 'block' }
  if ('return' in statement) return { kind: 'return' }
  for (const kind of ['jump', 'goto'] as const) {
    const to = statement[kind]
    if (isFields(to) && typeof to.target === 'string') return { kind, target: to.target }
  }
  const { xt } = statement
  if (!isFields(xt) || xt.type !== 'target' || typeof xt.name !== 'string') return undefined
  return BLOCKING_TARGETS.has(xt.name) ? { kind: 'block' } : undefined
}

function isDiversion(statement: Fields): boolean {
  return 'return' in statement || 'goto' in statement || 'vmap' in statement
}

/**
 * `{match: {op: "==", left: {payload: {protocol: "ip", field: "saddr"}}, right: {prefix: {addr,
 * len}} or "10.0.0.1"}}`
 */
function addressMatch({ match }: Fields): string | undefined {
  if (!isFields(match) || match.op !== '==' || !isFields(match.left) || !isFields(match.left.payload)) return undefined
  const { protocol, field, tunnel } = match.left.payload
  // of Ethernet, or inside a tunnel
  if ((protocol !== 'ip' && protocol !== 'ip6') || tunnel !== undefined) return undefined
  if (field !== 'saddr' && field !== 'daddr') return undefined
  const { right } = match
  if (typeof right === 'string') return `${field} ${hostPrefix(right)}`
  if (!isFields(right) || !isFields(right.prefix)) return undefined
  return `${field} ${String(right.prefix.addr)}/${String(right.prefix.len)}`
}

/** `{match: {op: "==", left: {meta: {key: "iifname"}}, right: "te*"}}` */
function interfaceMatch({ match }: Fields): string | undefined {
  if (!isFields(match) || match.op !== '==' || !isFields(match.left) || !isFields(match.left.meta)) return undefined
  const side = { iifname: 'iif', oifname: 'oif' }[String(match.left.meta.key)]
  return side === undefined || typeof match.right !== 'string' ? undefined : `${side} ${match.right}`
}

function isFamily(value: unknown): value is NftFamily {
  return typeof value === 'string' && FAMILIES_READ.includes(value)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
