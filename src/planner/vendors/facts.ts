/**
 * What a running configuration of a switch says about BGP, in nobody's dialect, and how it compares
 * with what it should say. Readers (`read-ios.ts`, `read-bird.ts`) make the facts; what they do not
 * understand is not there, so that it shows as missing and never as right. Pure.
 */
import { covers, type Family, hostPrefix, overlaps } from '../../lib/ip.ts'
import { isInternal, type SwitchIntent, type SwitchPool } from './intent.ts'

export interface SwitchFacts {
  readonly as?: number
  /** Whether the switch keeps the routes of neighbours that restart. */
  readonly gracefulRestart: boolean
  /** For how long at most; absent: as the neighbour says. */
  readonly stalePathSeconds?: number
  readonly neighbours: ReadonlyMap<string, NeighbourFacts>
  /** Whence neighbours are taken that are not named. */
  readonly ranges: readonly { readonly cidr: string; readonly neighbour: NeighbourFacts }[]
}

export interface NeighbourFacts {
  /** Its AS, or whichever is not the switch's own, or is, or whichever at all. */
  readonly remoteAs?: number | 'external' | 'internal' | 'auto'
  /** As which the switch presents itself to this one; absent: as everywhere. */
  readonly localAs?: number
  /** The routing table that it is in; absent: the usual one. */
  readonly vrf?: string
  /** Whatever the switch does else. */
  readonly gracefulRestart?: boolean
  readonly password: boolean
  /** Configured, and switched off. */
  readonly shutdown: boolean
  /** `lenient`: in the words that let a restart keep the routes. */
  readonly bfd: 'off' | 'strict' | 'lenient'
  readonly ttlSecurity?: number
  readonly multihop?: number
  readonly extendedNextHop: boolean
  readonly families: ReadonlyMap<Family, FamilyFacts>
}

export interface FamilyFacts {
  /** What gets in; absent: everything. */
  readonly accepts?: readonly Acceptance[]
  readonly maximumPrefixes?: number
  /** Beyond the limit there is a warning, and more gets in. */
  readonly warnsOnly?: true
}

/** Prefixes inside `cidr` with a length from `from` to `to`. */
export interface PrefixRange {
  readonly cidr: string
  readonly from: number
  readonly to: number
}

export interface Acceptance extends PrefixRange {
  /** What is refused before. */
  readonly unless: readonly PrefixRange[]
}

export interface Difference {
  /** The switch, or a neighbour: `neighbour 172.16.0.11 (node-1)`. */
  readonly where: string
  readonly what: string
  /** `missing`: it does not work, or not safely. `differs`: it works, otherwise than planned. */
  readonly kind: 'missing' | 'differs'
}

/** Everything that is missing or differs; empty when the switch is as it should be. */
export function compareSwitch(intent: SwitchIntent, facts: SwitchFacts): readonly Difference[] {
  return [
    ...switchDifferences(intent, facts),
    ...intent.speakers.flatMap(({ node, address }) => {
      const where = `neighbour ${address} (${node})`
      const neighbour = neighbourAt(facts, address)
      if (neighbour === undefined) return [missing(where, 'the neighbour is not there: it cannot open a session')]
      return neighbourDifferences(intent, neighbour, where)
    }),
    ...strangers(intent, facts),
  ]
}

/** By its address, else from a range; one of another routing table last. */
function neighbourAt({ neighbours, ranges }: SwitchFacts, address: string): NeighbourFacts | undefined {
  const named = neighbours.get(address)
  const taken = ranges.filter(({ cidr }) => covers(cidr, hostPrefix(address))).map(({ neighbour }) => neighbour)
  const found = [...(named === undefined ? [] : [named]), ...taken]
  return found.find(({ vrf }) => vrf === undefined) ?? found[0]
}

function missing(where: string, what: string): Difference {
  return { where, what, kind: 'missing' }
}

function differs(where: string, what: string): Difference {
  return { where, what, kind: 'differs' }
}

function switchDifferences(intent: SwitchIntent, facts: SwitchFacts): Difference[] {
  const found: Difference[] = []
  const seconds = intent.restartTimeSeconds
  const speakers = intent.speakers.map(({ address }) => neighbourAt(facts, address))
  if (facts.as === undefined) found.push(missing('switch', 'there is no BGP'))
  else if (facts.as !== intent.switchAs && speakers.some(one => one?.localAs === undefined))
    found.push(missing('switch', `its AS is ${facts.as}, and the BGPPeer says ${intent.switchAs}`))
  if (seconds !== undefined && !facts.gracefulRestart && speakers.some(one => one?.gracefulRestart === undefined))
    found.push(missing('switch', 'graceful restart is off: every restart of a speaker takes its routes along'))
  else if (seconds !== undefined && facts.stalePathSeconds !== undefined && facts.stalePathSeconds < seconds)
    found.push(
      missing(
        'switch',
        `stale routes go after ${facts.stalePathSeconds} s, before the restart time of ${seconds} s is over`,
      ),
    )
  return found
}

function neighbourDifferences(intent: SwitchIntent, facts: NeighbourFacts, where: string): Difference[] {
  const found: Difference[] = []
  if (facts.shutdown) found.push(missing(where, 'it is shut down'))
  if (facts.localAs !== undefined && facts.localAs !== intent.switchAs)
    found.push(missing(where, `the switch is AS ${facts.localAs} towards it, and the BGPPeer says ${intent.switchAs}`))
  if (facts.remoteAs === undefined) found.push(missing(where, 'it has no remote AS'))
  else if (facts.remoteAs === 'auto') found.push(differs(where, `any AS is taken, planned is ${intent.nodesAs}`))
  else if (facts.remoteAs === (isInternal(intent) ? 'internal' : 'external')) {
    if (!isInternal(intent)) found.push(differs(where, `any AS but its own is taken, planned is ${intent.nodesAs}`))
  } else if (facts.remoteAs !== intent.nodesAs)
    found.push(missing(where, `its AS is ${facts.remoteAs}, and the BGPPeer says ${intent.nodesAs}`))
  if (facts.vrf !== undefined)
    found.push(differs(where, `it stands in the VRF ${facts.vrf}: routes and speakers have to be in the same`))
  if (facts.gracefulRestart === false && intent.restartTimeSeconds !== undefined)
    found.push(missing(where, 'graceful restart is off for it: every restart of the speaker takes its routes along'))
  if (intent.password !== undefined && !facts.password)
    found.push(missing(where, 'it has no password, and the BGPPeer has one: no connection comes up'))
  if (intent.password === undefined && facts.password)
    found.push(missing(where, 'it has a password, and the BGPPeer has none: no connection comes up'))
  if (intent.ttlSecurity !== undefined && facts.ttlSecurity === undefined)
    found.push(missing(where, 'GTSM is off: the speaker drops what does not arrive with a TTL near 255'))
  if (intent.ttlSecurity === undefined && facts.ttlSecurity !== undefined)
    found.push(missing(where, 'GTSM is on, and the BGPPeer has no ttlSecurity: the switch drops its packets'))
  if (intent.ttlSecurity !== undefined && (facts.ttlSecurity ?? 255) < intent.ttlSecurity)
    found.push(missing(where, `GTSM is for ${facts.ttlSecurity} hops, and the BGPPeer says ${intent.ttlSecurity}`))
  if (intent.multihop !== undefined && !isInternal(intent)) {
    if (facts.multihop === undefined)
      found.push(missing(where, `multihop is off, and the BGPPeer has ebgpMultihop ${intent.multihop}`))
    else if (facts.multihop < intent.multihop)
      found.push(missing(where, `multihop is ${facts.multihop}, and the BGPPeer has ebgpMultihop ${intent.multihop}`))
  }
  found.push(...bfdDifferences(intent, facts, where))
  if (intent.extendedNextHop && !facts.extendedNextHop)
    found.push(missing(where, 'IPv6 next hops of IPv4 prefixes (RFC 8950) are off: IPv4 blocks cannot be announced'))
  for (const family of intent.families) {
    const one = facts.families.get(family)
    if (one === undefined) found.push(missing(where, `${family} is not activated: its blocks are not taken`))
    else found.push(...familyDifferences(intent, family, { facts: one, where }))
  }
  return found
}

function bfdDifferences({ bfd, restartTimeSeconds }: SwitchIntent, facts: NeighbourFacts, where: string): Difference[] {
  if (bfd !== undefined && facts.bfd === 'off')
    return [missing(where, 'BFD is off, and the BGPPeer asks for it: a dead path is noticed by the hold time only')]
  if (bfd === undefined && facts.bfd !== 'off')
    return [missing(where, 'BFD is on, and the BGPPeer has none: the session may wait for it for ever')]
  if (facts.bfd === 'strict' && restartTimeSeconds !== undefined)
    return [
      missing(where, 'BFD is on in the words that end a session at once: a speaker that dies takes its routes along'),
    ]
  return []
}

function familyDifferences(
  intent: SwitchIntent,
  family: Family,
  { facts, where }: { facts: FamilyFacts; where: string },
): Difference[] {
  const found: Difference[] = []
  const pools = intent.pools.filter(pool => pool.family === family)
  if (facts.accepts === undefined) found.push(missing(where, `${family}: no filter, every prefix gets in`))
  else {
    const accepts = facts.accepts
    for (const pool of pools) {
      const taking = accepts.filter(one => takes(one, pool))
      const refused = taking.flatMap(one => one.unless.filter(range => meets(range, pool)))
      const words = `${family}: blocks of /${pool.blockLength} of ${pool.cidr} do not get in`
      if (taking.length === 0) found.push(missing(where, words))
      else if (taking.every(one => one.unless.some(range => meets(range, pool))))
        found.push(
          missing(where, `${words}: ${[...new Set(refused.map(({ cidr }) => cidr))].join(', ')} is refused before`),
        )
    }
    for (const one of accepts.filter(accepted => !isWithin(accepted, pools)))
      found.push(
        differs(where, `${family}: more gets in than blocks of nodes: ${one.cidr} from /${one.from} to /${one.to}`),
      )
  }
  if (facts.warnsOnly === true)
    found.push(differs(where, `${family}: beyond the limit of prefixes there is only a warning`))
  if (facts.maximumPrefixes === undefined)
    found.push(differs(where, `${family}: no limit of prefixes (planned: ${intent.maximumPrefixes})`))
  else if (facts.maximumPrefixes < intent.maximumPrefixes)
    found.push(
      differs(
        where,
        `${family}: the limit of prefixes is ${facts.maximumPrefixes}, planned are ${intent.maximumPrefixes}`,
      ),
    )
  return found
}

function takes({ cidr, from, to }: Acceptance, { cidr: pool, blockLength }: SwitchPool): boolean {
  return covers(cidr, pool) && from <= blockLength && blockLength <= to
}

/** Whether some block of the pool is in it. */
function meets({ cidr, from, to }: PrefixRange, { cidr: pool, blockLength }: SwitchPool): boolean {
  return overlaps(cidr, pool) && from <= blockLength && blockLength <= to
}

function isWithin({ cidr, from, to }: Acceptance, pools: readonly SwitchPool[]): boolean {
  return pools.some(pool => covers(pool.cidr, cidr) && from === pool.blockLength && to === pool.blockLength)
}

/** Neighbours with the nodes' AS that are no speakers: left over from former ones. */
function strangers({ speakers, nodesAs, switchAs }: SwitchIntent, { neighbours }: SwitchFacts): Difference[] {
  if (nodesAs === switchAs) return [] // an internal neighbour may be anybody
  const known = new Set(speakers.map(({ address }) => address))
  return [...neighbours]
    .filter(([address, { remoteAs }]) => !known.has(address) && remoteAs === nodesAs)
    .map(([address]) =>
      differs(`neighbour ${address}`, `it has the nodes' AS ${nodesAs} and is no speaker of the BGPPeer`),
    )
}
