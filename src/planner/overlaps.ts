/**
 * The rules of overlap. What may share addresses with what is one table; every pair of ranges of
 * the document is held against it, and against the ranges that nobody may have. Sources: the user's
 * document (Service CIDR against nodes and pods; pod vSwitches may overlap node vSwitches) and the
 * cloud's page on planning the network of a cluster. Pure.
 */
import { overlaps, prefixRange } from '../lib/ip.ts'
import type { Finding } from './finding.ts'
import type { Network } from './network.ts'
import { type NamedRange, type RangeKind, rangesOf } from './ranges.ts'

interface Rule {
  readonly rule: string
  readonly severity?: Finding['severity']
  readonly between: readonly [readonly RangeKind[], readonly RangeKind[]]
  /** Whether a pair that the kinds fit is meant at all. */
  readonly when?: (a: NamedRange, b: NamedRange) => boolean
  /** What happens. */
  readonly why: string
  readonly wayOut: string
}

const CLOUD: readonly RangeKind[] = ['vpc', 'node-vswitch', 'pod-vswitch']
const SITE: readonly RangeKind[] = ['data-center', 'lan']

const RULES: readonly Rule[] = [
  {
    rule: 'service-overlaps-nodes',
    between: [['service'], ['vpc', 'node-vswitch', 'ens', ...SITE]],
    why: 'nodes translate packets to Service addresses, so hosts with such an address cannot be reached from the cluster',
    wayOut: 'choose another Service CIDR (it cannot be changed later): terway-edge plan suggest service',
  },
  {
    rule: 'service-overlaps-pods',
    between: [['service'], ['edge-pods', 'pod-vswitch']],
    why: 'a pod with such an address cannot be told from a Service',
    wayOut: 'choose another Service CIDR (it cannot be changed later): terway-edge plan suggest service',
  },
  {
    rule: 'pods-overlap-vpc',
    between: [['edge-pods'], CLOUD],
    why: 'packets of the VPC to such pods never leave the VPC: its own route is the longest or comes first',
    wayOut: 'choose another pool: terway-edge plan suggest pods',
  },
  {
    rule: 'pods-overlap-ens',
    between: [['edge-pods'], ['ens']],
    why: 'packets for those nodes and their pods would be sent to edge nodes, or the other way round',
    wayOut: 'choose another pool: terway-edge plan suggest pods',
  },
  {
    rule: 'ens-overlaps',
    between: [['ens'], [...CLOUD, ...SITE, 'ens']],
    why: 'what joins the VPC, Edge Node Service and the data centers has one route for an address',
    wayOut: 'renumber one of them; the vSwitch of Edge Node Service is the easier one before nodes are bought',
  },
  {
    rule: 'pods-overlap-data-center',
    between: [['edge-pods'], SITE],
    why: 'the switch would send packets for those hosts to nodes of the cluster, or packets for pods to those hosts',
    wayOut: 'choose another pool: terway-edge plan suggest pods',
  },
  {
    rule: 'pods-overlap-address',
    between: [
      ['edge-pods', 'service'],
      ['link', 'lifeline'],
    ],
    why: 'nodes need this address, and a route to pods or a Service would take it away from them',
    wayOut: 'choose a range without this address, or renumber the device',
  },
  {
    rule: 'vpc-overlaps-data-center',
    between: [CLOUD, SITE],
    why: 'packets of the VPC to those hosts never leave the VPC, and packets of the data center to the VPC never leave it',
    wayOut: 'renumber one of them; the cloud side is the easier one before the cluster is made',
  },
  {
    rule: 'vpc-overlaps-address',
    between: [CLOUD, ['link']],
    why: 'a device of the data center with an address of the VPC cannot be a next hop towards it',
    wayOut: 'renumber the link between the devices',
  },
  {
    rule: 'data-centers-overlap',
    between: [SITE, SITE],
    when: (a, b) => a.owner !== b.owner,
    why: 'the VPC has one route for an address, so hosts of one of the two data centers cannot be reached',
    wayOut: 'renumber one of the data centers, or translate addresses at its border for hosts (never for pods)',
  },
  {
    rule: 'lans-overlap',
    between: [['lan'], ['lan']],
    when: (a, b) => a.owner === b.owner && a.what !== b.what,
    why: 'two LANs with one range cannot be told apart by the devices between them',
    wayOut: 'give each LAN a block of its own, or describe them as one LAN if they are one',
  },
  {
    rule: 'pools-overlap',
    between: [['edge-pods'], ['edge-pods']],
    why: 'no address may stand in two pools',
    wayOut: 'remove the smaller of the two, or choose another: terway-edge plan suggest pods',
  },
  {
    rule: 'services-overlap',
    between: [['service'], ['service']],
    why: 'the API server takes one Service CIDR of each family, apart from each other',
    wayOut: 'remove one of them',
  },
  {
    rule: 'vswitches-overlap',
    between: [['node-vswitch'], ['node-vswitch']],
    why: 'two vSwitches of one VPC cannot overlap: the cloud refuses the second',
    wayOut: 'give each vSwitch a block of its own',
  },
  {
    rule: 'vswitches-overlap',
    between: [['pod-vswitch'], ['pod-vswitch']],
    why: 'two vSwitches of one VPC cannot overlap: the cloud refuses the second',
    wayOut: 'give each vSwitch a block of its own',
  },
  {
    rule: 'vpc-blocks-overlap',
    between: [['vpc'], ['vpc']],
    why: 'a secondary block of a VPC cannot overlap the first',
    wayOut: 'remove the smaller of the two',
  },
  {
    rule: 'other-network-overlaps-cluster',
    between: [['other'], ['edge-pods', 'service']],
    why: 'nodes and pods could not reach that network any more, and it could not reach these pods',
    wayOut: 'choose another range for the cluster: terway-edge plan suggest pods, or suggest service',
  },
  {
    rule: 'other-network-overlaps-sites',
    between: [['other'], [...CLOUD, ...SITE, 'ens']],
    severity: 'warning',
    why: 'a device has one route for an address: the longer prefix wins, and the other network loses those hosts',
    wayOut: 'make sure that this is meant, or renumber one of them',
  },
]

/** Every pair of ranges that must not overlap and does, in the order of the document. */
export function overlapFindings(network: Network): readonly Finding[] {
  const ranges = rangesOf(network)
  const overlapping = overlappingOf(ranges)
  const found = ranges.flatMap((a, index) =>
    (overlapping.get(a) ?? [])
      .filter(({ at }) => at > index)
      .flatMap(({ range: b }) => {
        const rule = RULES.find(candidate => fits(candidate, a, b))
        return rule === undefined || isSaidAlready(a, b, overlapping) ? [] : [finding(rule, a, b)]
      }),
  )
  return [...found, ...ranges.flatMap(forbidden)]
}

/** A range, and its place in the document. */
interface Placed {
  readonly range: NamedRange
  readonly at: number
}

type Overlapping = ReadonlyMap<NamedRange, readonly Placed[]>

/**
 * What overlaps what, in the order of the document. Blocks nest or lie apart, so in the order of
 * addresses, larger ones first, what overlaps a block and comes before it is what still contains
 * it: thousands of LANs are no trouble.
 */
function overlappingOf(ranges: readonly NamedRange[]): Overlapping {
  const found = new Map<NamedRange, Placed[]>(ranges.map(range => [range, []]))
  const sorted = ranges
    .map((range, at) => ({ range, at, ...prefixRange(range.cidr) }))
    .sort((a, b) => compare(a.family, b.family) || compare(a.first, b.first) || compare(a.length, b.length))
  const open: typeof sorted = []
  for (const inner of sorted) {
    for (let outer = open.at(-1); outer !== undefined; outer = open.at(-1)) {
      if (outer.family === inner.family && outer.last >= inner.first) break
      open.pop()
    }
    for (const outer of open) {
      found.get(outer.range)?.push(inner)
      found.get(inner.range)?.push(outer)
    }
    open.push(inner)
  }
  for (const list of found.values()) list.sort((a, b) => a.at - b.at)
  return found
}

function compare<T extends string | number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function fits({ between: [left, right], when }: Rule, a: NamedRange, b: NamedRange): boolean {
  const kinds = (left.includes(a.kind) && right.includes(b.kind)) || (left.includes(b.kind) && right.includes(a.kind))
  return kinds && (when === undefined || when(a, b))
}

/** What a range may lie inside of. */
const OUTER: Readonly<Partial<Record<RangeKind, readonly RangeKind[]>>> = {
  lan: ['data-center'],
  'node-vswitch': ['vpc'],
  'pod-vswitch': ['vpc'],
  link: ['data-center', 'vpc', 'other'],
  lifeline: ['data-center', 'vpc', 'other'],
}

/**
 * A vSwitch inside a VPC's block, a LAN inside its data center's, an address inside either: when
 * the outer range overlaps, the inner one says nothing new. It does where it lies outside, which is
 * a finding of its own.
 */
function isSaidAlready(a: NamedRange, b: NamedRange, overlapping: Overlapping): boolean {
  const outers = (range: NamedRange) =>
    (overlapping.get(range) ?? []).filter(
      ({ range: other }) =>
        OUTER[range.kind]?.includes(other.kind) === true && (range.owner === undefined || other.owner === range.owner),
    )
  const heard = (inner: NamedRange, other: NamedRange) =>
    outers(inner).some(
      ({ range: outer }) =>
        outer !== other && overlaps(outer.cidr, other.cidr) && RULES.some(rule => fits(rule, outer, other)),
    )
  return heard(a, b) || heard(b, a)
}

function finding({ rule, severity, why, wayOut }: Rule, a: NamedRange, b: NamedRange): Finding {
  return {
    severity: severity ?? 'problem',
    rule,
    message: `${a.what} ${a.cidr} overlaps ${b.what} ${b.cidr}: ${why}`,
    places: [
      { path: a.path, value: a.cidr },
      { path: b.path, value: b.cidr },
    ],
    wayOut,
  }
}

interface Reserved {
  readonly cidr: string
  readonly why: string
  /** Default: a problem for every kind. */
  readonly mild?: Pick<Finding, 'severity' | 'rule' | 'wayOut'>
  readonly kinds?: readonly RangeKind[]
}

const OTHER_RANGE = 'choose a range of RFC 1918 (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16) or of fc00::/7'
const FOR_DOCUMENTS = { severity: 'warning', rule: 'documentation-range', wayOut: OTHER_RANGE } as const

/** Ranges that have a meaning of their own. */
const RESERVED: readonly Reserved[] = [
  { cidr: '0.0.0.0/8', why: 'stands for "this network" (RFC 6890)' },
  { cidr: '127.0.0.0/8', why: 'is loopback (RFC 1122 section 3.2.1.3)' },
  { cidr: '169.254.0.0/16', why: 'is link-local (RFC 3927); pods have their gateway there' },
  { cidr: '224.0.0.0/4', why: 'is multicast (RFC 5771)' },
  { cidr: '240.0.0.0/4', why: 'is reserved (RFC 1112 section 4)' },
  {
    cidr: '100.64.0.0/10',
    why: "holds the cloud's own services: metadata, name servers, mirrors (Express Connect, limits)",
  },
  { cidr: 'fe80::/10', why: 'is link-local (RFC 4291)' },
  { cidr: 'ff00::/8', why: 'is multicast (RFC 4291)' },
  { cidr: '192.0.2.0/24', why: 'is for documents (RFC 5737), and filters drop it', mild: FOR_DOCUMENTS },
  { cidr: '198.51.100.0/24', why: 'is for documents (RFC 5737), and filters drop it', mild: FOR_DOCUMENTS },
  { cidr: '203.0.113.0/24', why: 'is for documents (RFC 5737), and filters drop it', mild: FOR_DOCUMENTS },
  { cidr: '2001:db8::/32', why: 'is for documents (RFC 3849), and filters drop it', mild: FOR_DOCUMENTS },
  { cidr: '::/8', why: 'is reserved (RFC 4291): loopback, mapped addresses' },
  {
    cidr: '172.17.0.0/16',
    why: 'is what Docker gives to its bridge docker0: on a host that has it, packets to that range never leave',
    mild: {
      severity: 'warning',
      rule: 'docker-range',
      wayOut: 'choose another range, or set "bip" of Docker to another one on every host',
    },
    kinds: ['edge-pods', 'service', 'lan', 'vpc'],
  },
]

function forbidden(range: NamedRange): readonly Finding[] {
  return RESERVED.filter(
    ({ cidr, kinds }) => overlaps(cidr, range.cidr) && (kinds === undefined || kinds.includes(range.kind)),
  ).map(({ cidr, why, mild }) => ({
    message: `${range.what} ${range.cidr} overlaps ${cidr}, which ${why}`,
    places: [
      { path: range.path, value: range.cidr },
      { path: '', value: cidr },
    ],
    ...(mild ?? { severity: 'problem', rule: 'reserved-range', wayOut: OTHER_RANGE }),
  }))
}
