/**
 * Reads `show running-config` of FRR, Cisco IOS-XE, Arista EOS and Ruijie: `router bgp` with its
 * neighbours, groups, templates, ranges and VRFs, route maps and prefix lists, in any order, also
 * abbreviated as people type, with what a terminal leaves in it. What it means is put together in
 * `ios-facts.ts`. Pure.
 */
import { canonicalAddress, type Family, networkOf, prefixOf } from '../../lib/ip.ts'
import type { SwitchFacts } from './facts.ts'
import { type AnyFamily, type Draft, type FamilyDraft, factsOf, type IosDefaults, type Reading } from './ios-facts.ts'
import { OPTIONS, VERBS, wholeWord } from './ios-vocabulary.ts'

/** `other`: VPN, EVPN, multicast, labels: nothing in there is of a family that is looked at. */
type SectionFamily = Family | 'other'

/** Where in the text a line is. */
interface Place {
  section: 'bgp' | 'route-map' | 'other'
  vrf: string
  /** How far the line stood that began the VRF, of EOS; undefined: it ends otherwise. */
  vrfIndent?: number
  family?: SectionFamily
  /** How far the line stood that began the family. */
  familyIndent?: number
  /** The template whose body this is. */
  template?: string
  /** `ip prefix-list NAME`, whose rules may follow below. */
  prefixList: readonly string[]
  clause?: { readonly lists: string[]; other: boolean }
}

/** Reads the text; lines that are not understood are passed over. */
export function readIos(text: string, defaults: IosDefaults): SwitchFacts {
  const reading: Reading = {
    defaults,
    gracefulRestart: defaults.gracefulRestart,
    stalePathSeconds: defaults.stalePathSeconds,
    ipv4ByDefault: true,
    ipv6ByDefault: false,
    vrfs: new Map(),
    ranges: [],
    prefixLists: new Map(),
    routeMaps: new Map(),
  }
  const place: Place = { section: 'other', vrf: '', prefixList: [] }
  for (const line of withoutPager(text).split('\n')) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('!') || trimmed.startsWith('#')) continue
    readLine(reading, place, { words: trimmed.split(/\s+/), indent: line.length - line.trimStart().length })
  }
  return factsOf(reading)
}

/** What a terminal shows at the end of a page, and how it takes that away again. */
function withoutPager(text: string): string {
  if (!text.includes('\b') && !text.includes('\r')) return text
  return text.replace(/<?--+ ?\(?more\)?[^\n-]{0,20}--+>?/gi, '').replace(/[\b\r]/g, '')
}

function readLine(reading: Reading, place: Place, line: { words: readonly string[]; indent: number }): void {
  const { words, indent } = line
  const [first = '', second = '', third = ''] = words
  if (first === 'router') enterRouter(reading, place, words)
  else if (first === 'route-map' && place.template === undefined) enterRouteMap(reading, place, words)
  else if ((first === 'ip' || first === 'ipv6') && second === 'prefix-list') {
    leave(place)
    place.prefixList = words.slice(0, 3)
    readPrefixRule(reading, words)
  } else if (place.section === 'route-map' && first === 'match') readMatch(place, words)
  else if (place.section === 'other' && /^(seq|\d+)$/.test(first)) {
    // EOS writes the rules below the name
    readPrefixRule(reading, [...place.prefixList, ...(first === 'seq' ? words : ['seq', ...words])])
  } else if (place.section === 'bgp' && !(indent === 0 && /^(exit|end|interface|ip|ipv6|line)$/.test(first))) {
    if (place.vrfIndent !== undefined && indent <= place.vrfIndent) endVrf(place)
    // EOS writes no exit-address-family; of a text without its margins only that tells
    if (place.familyIndent !== undefined && place.familyIndent > 0 && indent <= place.familyIndent) endFamily(place)
    readBgp(reading, place, { words, indent })
  } else if (place.section === 'route-map' && /^(set|continue|description|on-match|call|sub-route-map)$/.test(first)) {
    if (first === 'call' && place.clause !== undefined) place.clause.other = true
  } else if (indent === 0 || third === 'end') leave(place)
}

function leave(place: Place): void {
  place.section = 'other'
  endVrf(place)
  delete place.template
  delete place.clause
}

/** That of IOS is of one VRF, which ends with it. */
function endFamily(place: Place): void {
  delete place.family
  delete place.familyIndent
  if (place.vrfIndent === -1) endVrf(place)
}

function endVrf(place: Place): void {
  place.vrf = ''
  delete place.vrfIndent
  delete place.family
  delete place.familyIndent
}

/** `router bgp AS [vrf NAME | view NAME]`; the AS of a VRF's own instance is not the switch's. */
function enterRouter(reading: Reading, place: Place, words: readonly string[]): void {
  leave(place)
  if (words[1] !== 'bgp') return
  place.section = 'bgp'
  const named = words[3] === 'vrf' || words[3] === 'view' ? (words[4] ?? '') : ''
  place.vrf = named === 'default' ? '' : named
  const as = asNumber(words[2])
  if (as !== undefined && (place.vrf === '' || reading.as === undefined)) reading.as = as
}

function enterRouteMap(
  reading: Reading,
  place: Place,
  [, name = '', verb = 'permit', number]: readonly string[],
): void {
  leave(place)
  place.section = 'route-map'
  const clause = { permit: verb !== 'deny', number: Number(number ?? 10), lists: [], other: false }
  place.clause = clause
  reading.routeMaps.set(name, [...(reading.routeMaps.get(name) ?? []), clause])
}

/** Conditions other than prefix lists are not understood: such a clause takes what nobody knows. */
function readMatch({ clause }: Place, words: readonly string[]): void {
  if (clause === undefined) return
  if (words[2] === 'address' && words[3] === 'prefix-list') clause.lists.push(...words.slice(4))
  else clause.other = true
}

/** `ip prefix-list NAME [seq N] permit|deny PREFIX|any [ge N] [le N]`. */
function readPrefixRule({ prefixLists }: Reading, words: readonly string[]): void {
  const name = words[2] ?? ''
  const at = words[3] === 'seq' ? 5 : 3
  const verb = words[at]
  if (verb !== 'permit' && verb !== 'deny') return
  const rules = prefixLists.get(name) ?? []
  const number = words[3] === 'seq' ? Number(words[4]) : (rules.at(-1)?.number ?? 0) + 5
  const everything = words[0] === 'ipv6' ? '::/0' : '0.0.0.0/0'
  const any = words[at + 1] === 'any'
  const cidr = any ? everything : networkOf(words[at + 1] ?? '')
  if (cidr === undefined) return
  const after = (word: string) => {
    const index = words.indexOf(word, at)
    return index < 0 ? undefined : Number(words[index + 1])
  }
  const { length, family } = prefixOf(cidr)
  const longest = family === 'ipv4' ? 32 : 128
  const exact = after('eq')
  const from = exact ?? after('ge') ?? length
  const to = exact ?? after('le') ?? (after('ge') === undefined && !any ? length : longest)
  rules.push({ permit: verb === 'permit', number, cidr, from, to })
  prefixLists.set(name, rules)
}

function readBgp(reading: Reading, place: Place, line: { words: readonly string[]; indent: number }): void {
  const negated = line.words[0] === 'no'
  const words = negated ? line.words.slice(1) : line.words
  const verb = wholeWord(words[0] ?? '', VERBS)
  const text = [verb, ...words.slice(1)].join(' ')
  if (verb === 'exit-peer-policy' || verb === 'exit-peer-session') delete place.template
  else if (place.template !== undefined) {
    const policy = place.template.startsWith('peer-policy ')
    readNeighbour(reading, place, { words: ['neighbor', place.template, ...words], negated, policy })
  } else if (verb === 'template') place.template = `${words[1] ?? ''} ${words[2] ?? ''}`
  else if (verb === 'address-family') enterFamily(place, { words, indent: line.indent })
  else if (verb === 'exit-address-family') endFamily(place)
  else if (verb === 'vrf') {
    endVrf(place)
    place.vrf = words[1] ?? ''
    place.vrfIndent = line.indent
  } else if (verb === 'neighbor') readNeighbour(reading, place, { words, negated, policy: false })
  else if (text.startsWith('bgp listen range')) readRange(reading, place, words)
  else if (text === 'bgp default ipv4-unicast') reading.ipv4ByDefault = !negated
  else if (text === 'bgp default ipv6-unicast') reading.ipv6ByDefault = !negated
  else if (place.vrf === '') readRestart(reading, { text, negated })
}

/** `address-family ipv4 [unicast] [vrf NAME]` of IOS: the VRF ends with the family. */
function enterFamily(place: Place, { words, indent }: { words: readonly string[]; indent: number }): void {
  const [, name, kind = 'unicast'] = words
  const unicast = kind === 'unicast' || kind === 'vrf'
  place.family = unicast && (name === 'ipv4' || name === 'ipv6') ? name : 'other'
  place.familyIndent = indent
  const at = words.indexOf('vrf')
  if (at < 0) return
  place.vrf = words[at + 1] ?? ''
  place.vrfIndent = -1
}

/** Timers alone switch nothing on; taken back, the default of the vendor is there again. */
function readRestart(reading: Reading, { text, negated }: { text: string; negated: boolean }): void {
  const { eos, gracefulRestart } = reading.defaults
  const stale = /^(?:bgp )?graceful-restart stalepath-time (\d+)$/.exec(text)
  if (stale !== null && !negated) reading.stalePathSeconds = Number(stale[1])
  if (eos !== undefined) {
    if (/^graceful-restart-helper\b/.test(text)) reading.gracefulRestart = !negated
  } else if (/^bgp graceful-restart( all)?$/.test(text)) reading.gracefulRestart = negated ? gracefulRestart : true
  else if (text === 'bgp graceful-restart-disable') reading.gracefulRestart = negated ? gracefulRestart : false
}

/** `bgp listen range CIDR peer-group NAME [remote-as N]`. */
function readRange(reading: Reading, { vrf }: Place, words: readonly string[]): void {
  const cidr = networkOf(words[3] ?? '')
  const at = words.indexOf('peer-group')
  const remote = words.indexOf('remote-as')
  if (cidr === undefined || at < 0) return
  const as = remote < 0 ? undefined : asNumber(words[remote + 1])
  reading.ranges.push({ cidr, vrf, group: words[at + 1] ?? '', ...(as !== undefined && { remoteAs: as }) })
}

/** `65010`, and `1.10` of four octets (RFC 5396). */
function asNumber(text = ''): number | undefined {
  const dotted = /^(\d+)\.(\d+)$/.exec(text)
  if (dotted !== null) return Number(dotted[1]) * 65_536 + Number(dotted[2])
  return /^\d+$/.test(text) ? Number(text) : undefined
}

interface NeighbourLine {
  readonly words: readonly string[]
  readonly negated: boolean
  /** In a template of what belongs to a family: whichever inherits it. */
  readonly policy: boolean
}

function readNeighbour(reading: Reading, place: Place, { words, negated, policy }: NeighbourLine): void {
  const name = canonicalAddress(words[1] ?? '') ?? words[1] ?? ''
  const drafts = reading.vrfs.get(place.vrf) ?? new Map<string, Draft>()
  reading.vrfs.set(place.vrf, drafts)
  const draft: Draft = drafts.get(name) ?? { families: new Map() }
  drafts.set(name, draft)
  const verb = wholeWord(words[2] ?? '', OPTIONS)
  const rest = words.slice(3)
  const { eos } = reading.defaults
  // outside families IOS and FRR mean IPv4
  const outside: AnyFamily = eos === undefined ? 'ipv4' : 'any'
  const family = policy ? 'any' : (place.family ?? outside)
  if (family !== 'other') readFamily(draft, family, { verb, rest, negated })
  if (verb.startsWith('graceful-restart')) readNeighbourRestart(draft, { verb, negated, helper: eos !== undefined })
  else readSession(draft, { verb, rest, negated })
}

/** EOS helps by `graceful-restart-helper` alone; FRR by `graceful-restart` too. */
function readNeighbourRestart(
  draft: Draft,
  { verb, negated, helper }: { verb: string; negated: boolean; helper: boolean },
): void {
  if (verb === 'graceful-restart-helper') draft.restart = !negated
  else if (verb === 'graceful-restart-disable' && !negated) draft.restart = false
  else if (verb === 'graceful-restart' && !negated && !helper) draft.restart = true
}

interface Option {
  readonly verb: string
  readonly rest: readonly string[]
  readonly negated: boolean
}

/** What `no` in front takes away; of the other words it means that they are not there. */
function readSession(draft: Draft, { verb, rest, negated }: Option): void {
  const [value = ''] = rest
  switch (verb) {
    case 'password':
      draft.password = !negated
      break
    case 'shutdown':
      draft.shutdown = !negated
      break
    case 'bfd':
      readBfd(draft, rest, negated)
      break
    case 'fall-over':
      if (value === 'bfd') readBfd(draft, rest.slice(1), negated)
      break
    case 'capability':
      if (value === 'extended-nexthop') draft.extendedNextHop = !negated
      break
    default:
      if (!negated) readValue(draft, verb, rest)
  }
}

/** `no neighbor X bfd check-control-plane-failure` takes back the words alone. */
function readBfd(draft: Draft, words: readonly string[], negated: boolean): void {
  const lenient = words.includes('check-control-plane-failure') || words.includes('c-bit')
  if (lenient) draft.bfdLenient = !negated
  if (!negated || !lenient) draft.bfd = !negated
}

function readValue(draft: Draft, verb: string, rest: readonly string[]): void {
  const [value = '', second = ''] = rest
  switch (verb) {
    case 'remote-as':
      draft.remoteAs = value === 'external' || value === 'internal' || value === 'auto' ? value : asNumber(value)
      break
    case 'peer':
      if (value === 'group' && second !== '') draft.group = second
      break
    case 'peer-group':
      if (value !== '') draft.group = value
      break
    case 'inherit':
      if (value === 'peer-session') draft.group = `peer-session ${second}`
      break
    case 'local-as': {
      const as = asNumber(value)
      if (as !== undefined) draft.localAs = as
      break
    }
    case 'ha-mode':
      if (value === 'graceful-restart') draft.restart = second !== 'disable'
      break
    case 'ebgp-multihop':
      draft.multihop = value === '' ? 255 : Number(value)
      break
    case 'ttl':
      if (value === 'maximum-hops') draft.ttlSecurity = Number(second)
      break
    case 'ttl-security':
      draft.ttlSecurity = Number(second)
      break
    case 'next-hop':
      if (value === 'address-family') draft.extendedNextHop = true
      break
    case 'maximum-routes':
      draft.maximumRoutes = Number(value)
      draft.warnsOnly = rest.includes('warning-only')
      break
    default: // of a family, or nothing that is compared
  }
}

function readFamily(draft: Draft, family: AnyFamily, { verb, rest, negated }: Option): void {
  const one: FamilyDraft = draft.families.get(family) ?? {}
  draft.families.set(family, one)
  const [value = '', second = ''] = rest
  if (verb === 'activate') one.active = !negated
  if (negated) return
  if (verb === 'route-map' && second === 'in') one.routeMap = value
  if (verb === 'prefix-list' && second === 'in') one.prefixList = value
  if (verb === 'maximum-prefix') {
    one.maximumPrefixes = Number(value)
    one.warnsOnly = rest.includes('warning-only')
  }
  if (verb === 'inherit' && value === 'peer-policy') one.policy = second
}
