/**
 * What the lines that `read-ios.ts` read mean together: groups and templates are followed, route
 * maps and prefix lists become what gets in, rules that refuse included. Pure.
 */
import { canonicalAddress, covers, type Family, familyOf, overlaps } from '../../lib/ip.ts'
import type { Acceptance, FamilyFacts, NeighbourFacts, PrefixRange, SwitchFacts } from './facts.ts'

/** What `neighbor X` says, of a neighbour, a group or a template. */
export interface Draft {
  remoteAs?: NeighbourFacts['remoteAs'] | undefined
  group?: string
  password?: boolean
  shutdown?: boolean
  bfd?: boolean
  /** The words that let a restart keep the routes. */
  bfdLenient?: boolean
  ttlSecurity?: number
  multihop?: number
  extendedNextHop?: boolean
  /** Whether its routes are kept while it restarts. */
  restart?: boolean
  localAs?: number
  /** Of all families together; 0: no limit. */
  maximumRoutes?: number
  warnsOnly?: boolean
  readonly families: Map<AnyFamily, FamilyDraft>
}

/** `any`: of a template, or of EOS outside families: for whichever family there is. */
export type AnyFamily = Family | 'any'

export interface FamilyDraft {
  active?: boolean
  routeMap?: string
  prefixList?: string
  maximumPrefixes?: number
  warnsOnly?: boolean
  /** The `peer-policy` that it inherits. */
  policy?: string
}

export interface PrefixRule extends PrefixRange {
  readonly permit: boolean
  readonly number: number
}

/** Of a route map. `other`: it has a condition that is no prefix list. */
export interface Clause {
  readonly permit: boolean
  readonly number: number
  readonly lists: readonly string[]
  readonly other: boolean
}

export interface Reading {
  readonly defaults: IosDefaults
  as?: number
  gracefulRestart: boolean
  stalePathSeconds: number
  /** Whether neighbours have IPv4 without being activated. */
  ipv4ByDefault: boolean
  ipv6ByDefault: boolean
  /** By VRF, '' for none. */
  readonly vrfs: Map<string, Map<string, Draft>>
  /** Where neighbours come from that are not named. */
  readonly ranges: { readonly cidr: string; readonly vrf: string; readonly group: string; readonly remoteAs?: number }[]
  readonly prefixLists: Map<string, PrefixRule[]>
  readonly routeMaps: Map<string, readonly Clause[]>
}

/** What a vendor does where the configuration does not say. */
export interface IosDefaults {
  /** Whether it helps neighbours that restart. */
  readonly gracefulRestart: boolean
  readonly stalePathSeconds: number
  /**
   * Set for EOS. Its `graceful-restart` is about restarting itself, and helping has a word of its
   * own; what a neighbour says outside families is of all of them; so many routes are taken where
   * no limit is said.
   */
  readonly eos?: { readonly maximumRoutes: number }
}

/** A template may inherit another, and so on: so many at most. */
const DEEPEST = 8

export function factsOf(reading: Reading): SwitchFacts {
  const neighbours = new Map<string, NeighbourFacts>()
  const vrfs = [...reading.vrfs].sort(([a], [b]) => (a === '' ? -1 : b === '' ? 1 : 0))
  for (const [vrf, drafts] of vrfs) {
    for (const [name, own] of drafts) {
      // a group, or known elsewhere
      if (canonicalAddress(name) === undefined || neighbours.has(name)) continue
      neighbours.set(name, neighbourFacts(reading, own, { family: familyOf(name), vrf }))
    }
  }
  return {
    gracefulRestart: reading.gracefulRestart,
    stalePathSeconds: reading.stalePathSeconds,
    neighbours,
    ranges: reading.ranges.map(({ cidr, vrf, group, remoteAs }) => {
      const own: Draft = { families: new Map(), group, ...(remoteAs !== undefined && { remoteAs }) }
      const family = familyOf(cidr.split('/')[0] ?? '')
      return { cidr, neighbour: neighbourFacts(reading, own, { family, vrf }) }
    }),
    ...(reading.as !== undefined && { as: reading.as }),
  }
}

/** Itself and what it inherits, nearest first. */
function lineage({ vrfs }: Reading, own: Draft, vrf: string): readonly Draft[] {
  const found = [own]
  for (let { group } = own; group !== undefined && found.length <= DEEPEST; ) {
    const next = vrfs.get(vrf)?.get(group) ?? vrfs.get('')?.get(group)
    if (next === undefined) break
    found.push(next)
    group = next.group
  }
  return found
}

interface Whose {
  readonly family: Family | undefined
  readonly vrf: string
}

function neighbourFacts(reading: Reading, own: Draft, { family: address, vrf }: Whose): NeighbourFacts {
  const { eos } = reading.defaults
  const drafts = lineage(reading, own, vrf)
  const all: Partial<Draft> = Object.assign({}, ...drafts.toReversed())
  const families = new Map<Family, FamilyFacts>()
  for (const family of ['ipv4', 'ipv6'] as const) {
    const parts = drafts
      .toReversed()
      .map(draft => ({ ...draft.families.get('any'), ...withPolicy(reading, draft.families.get(family), vrf) }))
    const one: FamilyDraft = Object.assign({}, ...parts)
    const byDefault = family === 'ipv4' ? reading.ipv4ByDefault && address === 'ipv4' : reading.ipv6ByDefault
    const routes = all.maximumRoutes ?? eos?.maximumRoutes ?? 0
    const whole = {
      ...(routes > 0 && { maximumPrefixes: routes }),
      ...(all.warnsOnly === true && { warnsOnly: true }),
      ...one,
    }
    if (one.active ?? byDefault) families.set(family, familyFacts(reading, family, whole))
  }
  return {
    password: all.password ?? false,
    shutdown: all.shutdown ?? false,
    bfd: all.bfd !== true ? 'off' : all.bfdLenient === true ? 'lenient' : 'strict',
    extendedNextHop: all.extendedNextHop ?? false,
    families,
    ...(vrf !== '' && { vrf }),
    ...(all.restart !== undefined && { gracefulRestart: all.restart }),
    ...(all.localAs !== undefined && { localAs: all.localAs }),
    ...(all.remoteAs !== undefined && { remoteAs: all.remoteAs }),
    ...(all.ttlSecurity !== undefined && { ttlSecurity: all.ttlSecurity }),
    ...(all.multihop !== undefined && { multihop: all.multihop }),
  }
}

/** What it says itself before what its `peer-policy` does, and before what that inherits. */
function withPolicy(reading: Reading, own: FamilyDraft | undefined, vrf: string, depth = 0): FamilyDraft {
  if (own?.policy === undefined || depth > DEEPEST) return own ?? {}
  const name = `peer-policy ${own.policy}`
  const template = reading.vrfs.get(vrf)?.get(name) ?? reading.vrfs.get('')?.get(name)
  return { ...withPolicy(reading, template?.families.get('any'), vrf, depth + 1), ...own }
}

function familyFacts(reading: Reading, family: Family, draft: FamilyDraft): FamilyFacts {
  const { prefixList, routeMap, maximumPrefixes, warnsOnly } = draft
  const byList = prefixList === undefined ? 'everything' : acceptedBy(reading.prefixLists.get(prefixList) ?? [], family)
  const byMap = routeMap === undefined ? 'everything' : acceptedByMap(reading, routeMap, family)
  const accepts = byList === 'everything' ? byMap : byMap === 'everything' ? byList : common(byList, byMap)
  return {
    ...(accepts !== 'everything' && { accepts }),
    ...(maximumPrefixes !== undefined && { maximumPrefixes }),
    ...(warnsOnly === true && { warnsOnly }),
  }
}

/** What passes both. */
function common(some: readonly Acceptance[], others: readonly Acceptance[]): readonly Acceptance[] {
  return some.flatMap(a =>
    others
      .filter(b => overlaps(a.cidr, b.cidr) && Math.max(a.from, b.from) <= Math.min(a.to, b.to))
      .map(b => ({
        cidr: covers(a.cidr, b.cidr) ? b.cidr : a.cidr,
        from: Math.max(a.from, b.from),
        to: Math.min(a.to, b.to),
        unless: [...a.unless, ...b.unless],
      })),
  )
}

/** What a list permits, each with what is refused before it. */
function acceptedBy(rules: readonly PrefixRule[], family: Family): readonly Acceptance[] {
  const refused: PrefixRange[] = []
  return rules
    .filter(({ cidr }) => familyOf(cidr.split('/')[0] ?? '') === family)
    .toSorted((a, b) => a.number - b.number)
    .flatMap(({ permit, cidr, from, to }) => {
      if (permit) return [{ cidr, from, to, unless: refused.filter(one => overlaps(one.cidr, cidr)) }]
      refused.push({ cidr, from, to })
      return []
    })
}

function acceptedByMap(reading: Reading, name: string, family: Family): readonly Acceptance[] | 'everything' {
  const refused: PrefixRange[] = []
  const accepted: Acceptance[] = []
  const of = (lists: readonly string[]) =>
    lists.flatMap(list => acceptedBy(reading.prefixLists.get(list) ?? [], family))
  for (const { permit, lists, other } of (reading.routeMaps.get(name) ?? []).toSorted((a, b) => a.number - b.number)) {
    if (other) continue
    if (!permit && lists.length === 0) break
    if (!permit) refused.push(...of(lists))
    else if (lists.length > 0) accepted.push(...of(lists).map(one => ({ ...one, unless: [...one.unless, ...refused] })))
    else {
      if (refused.length === 0) return 'everything'
      const everything = family === 'ipv4' ? { cidr: '0.0.0.0/0', from: 0, to: 32 } : { cidr: '::/0', from: 0, to: 128 }
      accepted.push({ ...everything, unless: [...refused] })
      break
    }
  }
  return accepted
}
