/**
 * Reads `show running-config` of FRR, Cisco IOS-XE, Arista EOS and Ruijie: `router bgp`, its
 * neighbours and peer groups, address families, route maps and prefix lists. Pure.
 */
import { canonicalAddress, type Family, familyOf, networkOf, prefixOf } from '../../lib/ip.ts'
import type { Acceptance, FamilyFacts, NeighbourFacts, SwitchFacts } from './facts.ts'

/** What `neighbor X` says, of a neighbour or of a group. */
interface Draft {
  remoteAs?: number
  group?: string
  password?: boolean
  shutdown?: boolean
  bfd?: boolean
  /** The words that let a restart keep the routes. */
  bfdLenient?: boolean
  ttlSecurity?: number
  multihop?: number
  extendedNextHop?: boolean
  /** Of all families together. */
  maximumRoutes?: number
  readonly families: Map<Family, FamilyDraft>
}

interface FamilyDraft {
  active?: boolean
  routeMap?: string
  prefixList?: string
  maximumPrefixes?: number
}

interface Reading {
  as?: number
  gracefulRestart: boolean
  stalePathSeconds: number
  /** Whether neighbours have IPv4 without being activated. */
  ipv4ByDefault: boolean
  readonly drafts: Map<string, Draft>
  readonly prefixLists: Map<string, Acceptance[]>
  /** The prefix lists that a route map takes by. */
  readonly routeMaps: Map<string, string[]>
}

/** What a vendor does where the configuration does not say. */
export interface IosDefaults {
  /** Whether it helps neighbours that restart. */
  readonly gracefulRestart: boolean
  readonly stalePathSeconds: number
}

/** Reads the text; lines that are not understood are passed over. */
export function readIos(text: string, defaults: IosDefaults): SwitchFacts {
  const reading: Reading = {
    ...defaults,
    ipv4ByDefault: true,
    drafts: new Map(),
    prefixLists: new Map(),
    routeMaps: new Map(),
  }
  let section: 'bgp' | 'route-map' | 'other' = 'other'
  let family: Family | undefined
  let routeMap = ''
  let prefixList: readonly string[] = []
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/)
    if (line.trim() === '' || line.trim().startsWith('!')) continue
    if (words[0] === 'router') {
      section = words[1] === 'bgp' ? 'bgp' : 'other'
      family = undefined
      if (section === 'bgp') reading.as = Number(words[2])
    } else if (words[0] === 'route-map' && words[2] === 'permit') {
      section = 'route-map'
      routeMap = words[1] ?? ''
      if (!reading.routeMaps.has(routeMap)) reading.routeMaps.set(routeMap, [])
    } else if (words[0] === 'ip' || words[0] === 'ipv6') {
      section = 'other'
      if (words[1] === 'prefix-list') {
        prefixList = words.slice(0, 3)
        readPrefixList(reading, words)
      }
    } else if (section === 'other' && words[0] === 'seq') {
      readPrefixList(reading, [...prefixList, ...words]) // EOS writes the rules below the name
    } else if (section === 'bgp') {
      if (words[0] === 'address-family') family = familyNamed(words[1])
      else if (words[0] === 'exit-address-family') family = undefined
      else readBgp(reading, words, family)
    } else if (section === 'route-map' && words[0] === 'match' && words[2] === 'address') {
      reading.routeMaps.get(routeMap)?.push(...words.slice(words[3] === 'prefix-list' ? 4 : 3))
    } else if (!line.startsWith(' ')) {
      section = 'other'
    }
  }
  return factsOf(reading)
}

function familyNamed(word: string | undefined): Family | undefined {
  return word === 'ipv4' || word === 'ipv6' ? word : undefined
}

/** `ip prefix-list NAME [seq N] permit PREFIX [ge N] [le N]`. */
function readPrefixList({ prefixLists }: Reading, words: readonly string[]): void {
  const name = words[2] ?? ''
  const permit = words.indexOf('permit')
  const cidr = networkOf(words[permit + 1] ?? '')
  if (permit < 0 || cidr === undefined) return
  const after = (word: string) => {
    const at = words.indexOf(word)
    return at < 0 ? undefined : Number(words[at + 1])
  }
  const { length, family } = prefixOf(cidr)
  const [ge, le] = [after('ge'), after('le')]
  const from = ge ?? length
  const to = le ?? (ge === undefined ? length : family === 'ipv4' ? 32 : 128)
  prefixLists.set(name, [...(prefixLists.get(name) ?? []), { cidr, from, to }])
}

function readBgp(reading: Reading, words: readonly string[], family: Family | undefined): void {
  const text = words.join(' ')
  if (words[0] === 'neighbor') readNeighbour(reading, words, family)
  if (/^no bgp default ipv4-unicast/.test(text)) reading.ipv4ByDefault = false
  if (
    /^(no bgp graceful-restart$|no graceful-restart$|no graceful-restart-helper|bgp graceful-restart-disable)/.test(
      text,
    )
  )
    reading.gracefulRestart = false
  const restart = /^(?:bgp )?graceful-restart(?:-helper)?(?: (\S+) (\d+))?/.exec(text)
  if (restart === null) return
  reading.gracefulRestart = true
  if (restart[1] === 'stalepath-time') reading.stalePathSeconds = Number(restart[2])
}

function readNeighbour({ drafts }: Reading, words: readonly string[], family: Family | undefined): void {
  const name = canonicalAddress(words[1] ?? '') ?? words[1] ?? ''
  const draft: Draft = drafts.get(name) ?? { families: new Map() }
  drafts.set(name, draft)
  const [verb = '', value = '', third = ''] = words.slice(2)
  if (family !== undefined) readFamily(draft, family, [verb, value, third])
  if (verb === 'remote-as') draft.remoteAs = Number(value)
  if (verb === 'peer' && value === 'group' && third !== '') draft.group = third
  if (verb === 'peer-group' && value !== '') draft.group = value
  if (verb === 'inherit' && value === 'peer-session') draft.group = third
  if (verb === 'password') draft.password = true
  if (verb === 'shutdown') draft.shutdown = true
  if (verb === 'bfd' || (verb === 'fall-over' && value === 'bfd')) {
    draft.bfd = true
    if (words.includes('check-control-plane-failure') || words.includes('c-bit')) draft.bfdLenient = true
  }
  if (verb === 'ttl' && value === 'maximum-hops') draft.ttlSecurity = Number(third)
  if (verb === 'ttl-security') draft.ttlSecurity = Number(third)
  if (verb === 'ebgp-multihop') draft.multihop = value === '' ? 255 : Number(value)
  if (verb === 'capability' && value === 'extended-nexthop') draft.extendedNextHop = true
  if (verb === 'next-hop' && value === 'address-family') draft.extendedNextHop = true
  if (verb === 'maximum-routes') draft.maximumRoutes = Number(value)
}

function readFamily(draft: Draft, family: Family, [verb, value, third]: readonly [string, string, string]): void {
  const one = draft.families.get(family) ?? {}
  draft.families.set(family, one)
  if (verb === 'activate') one.active = true
  if (verb === 'route-map' && third === 'in') one.routeMap = value
  if (verb === 'prefix-list' && third === 'in') one.prefixList = value
  if (verb === 'maximum-prefix') one.maximumPrefixes = Number(value)
}

function factsOf(reading: Reading): SwitchFacts {
  const neighbours = new Map<string, NeighbourFacts>()
  for (const [name, own] of reading.drafts) {
    if (canonicalAddress(name) === undefined) continue // a group
    const group = own.group === undefined ? undefined : reading.drafts.get(own.group)
    neighbours.set(name, neighbourFacts(reading, own, { name, group }))
  }
  return {
    gracefulRestart: reading.gracefulRestart,
    stalePathSeconds: reading.stalePathSeconds,
    neighbours,
    ...(reading.as !== undefined && { as: reading.as }),
  }
}

function neighbourFacts(
  reading: Reading,
  own: Draft,
  { name, group }: { name: string; group: Draft | undefined },
): NeighbourFacts {
  const all = { ...group, ...own }
  const families = new Map<Family, FamilyFacts>()
  for (const family of ['ipv4', 'ipv6'] as const) {
    const one = { ...group?.families.get(family), ...own.families.get(family) }
    const active = one.active ?? (family === 'ipv4' && reading.ipv4ByDefault && familyOf(name) === 'ipv4')
    const maximumPrefixes = one.maximumPrefixes ?? all.maximumRoutes
    const whole = maximumPrefixes === undefined ? one : { ...one, maximumPrefixes }
    if (active) families.set(family, familyFacts(reading, family, whole))
  }
  return {
    password: all.password ?? false,
    shutdown: all.shutdown ?? false,
    bfd: all.bfd !== true ? 'off' : all.bfdLenient === true ? 'lenient' : 'strict',
    extendedNextHop: all.extendedNextHop ?? false,
    families,
    ...(all.remoteAs !== undefined && { remoteAs: all.remoteAs }),
    ...(all.ttlSecurity !== undefined && { ttlSecurity: all.ttlSecurity }),
    ...(all.multihop !== undefined && { multihop: all.multihop }),
  }
}

function familyFacts({ prefixLists, routeMaps }: Reading, family: Family, draft: FamilyDraft): FamilyFacts {
  const lists = [
    ...(draft.prefixList === undefined ? [] : [draft.prefixList]),
    ...(draft.routeMap === undefined ? [] : (routeMaps.get(draft.routeMap) ?? [])),
  ]
  const filtered = draft.prefixList !== undefined || draft.routeMap !== undefined
  const accepts = lists.flatMap(list => prefixLists.get(list) ?? []).filter(({ cidr }) => familyOf(cidr) === family)
  // a route map that permits without a prefix list takes everything
  const open = draft.routeMap !== undefined && routeMaps.get(draft.routeMap)?.length === 0
  return {
    ...(filtered && !open && { accepts }),
    ...(draft.maximumPrefixes !== undefined && { maximumPrefixes: draft.maximumPrefixes }),
  }
}
