/**
 * What works until something happens: too few zones, speakers without company, AS numbers that
 * belong to others or make routes look like loops, tables of the cloud that are too small, a family
 * that has no next hop. Pure.
 */
import { counted } from '../lib/count-text.ts'
import { familyOf } from '../lib/ip.ts'
import type { Finding, Place } from './finding.ts'
import { nodesAfter } from './growth.ts'
import { lansOf, type Network, type PlacedLan } from './network.ts'

export function adviceFindings(network: Network): readonly Finding[] {
  return [
    ...zoneFindings(network),
    ...lansOf(network).flatMap(speakerFindings),
    ...lansOf(network).flatMap(familyFindings(network)),
    ...asFindings(network),
    ...sharedPoolFindings(network),
    ...borderFindings(network),
    ...powerNotes(network),
  ]
}

/** The document recommends three vSwitches in different zones. */
const ENOUGH_ZONES = 3

function zoneFindings({ vpc }: Network): readonly Finding[] {
  const zones = new Set(vpc.nodeVSwitches.map(({ zone }) => zone)).size
  if (zones >= ENOUGH_ZONES) return []
  if (zones === 0)
    return [
      {
        severity: 'note',
        rule: 'no-vswitches',
        message:
          'no vSwitch of nodes in the cloud is named, so overlaps with them and failures of a zone are not looked at',
        places: [{ path: 'vpc.nodeVSwitches', value: '' }],
        wayOut: 'name them if the cluster has nodes there; its control plane has its own',
      },
    ]
  return [
    {
      severity: 'warning',
      rule: 'few-zones',
      message: `the nodes in the cloud have ${counted(vpc.nodeVSwitches.length, 'vSwitch', 'vSwitches')} in ${counted(zones, 'zone')}: a zone that fails takes the API server's neighbours along`,
      places: [{ path: 'vpc.nodeVSwitches', value: vpc.nodeVSwitches.map(({ name }) => name).join(', ') }],
      wayOut: `name at least ${ENOUGH_ZONES} vSwitches, each in a zone of its own`,
    },
  ]
}

/** The document recommends at least two speakers, and three so that sessions outlast updates. */
const ENOUGH_SPEAKERS = 3

function speakerFindings({ lan, path }: PlacedLan): readonly Finding[] {
  const places = [{ path: `${path}.speakers`, value: lan.speakers.join(', ') }]
  if (lan.speakers.length > lan.nodes) {
    const message = `LAN ${lan.name} has ${lan.speakers.length} speakers and ${counted(lan.nodes, 'node')}`
    return [
      { severity: 'problem', rule: 'more-speakers-than-nodes', message, places, wayOut: 'name nodes of this LAN' },
    ]
  }
  if (lan.speakers.length >= ENOUGH_SPEAKERS) return []
  if (lan.speakers.length === 0) {
    const message = `LAN ${lan.name} has no speaker: its switch learns no route to any pod`
    return [{ severity: 'problem', rule: 'no-speaker', message, places, wayOut: 'name two or three of its nodes' }]
  }
  const what =
    lan.speakers.length === 1
      ? 'a single speaker: when its node is gone, every pod of the LAN is cut off from other LANs and the cloud as soon as the restart time is over'
      : 'two speakers: while one is being replaced, the other stands alone'
  return [
    {
      severity: 'warning',
      rule: 'few-speakers',
      message: `LAN ${lan.name} has ${what}`,
      places,
      wayOut: `name ${ENOUGH_SPEAKERS} of its nodes as localSpeakers`,
    },
  ]
}

function familyFindings(network: Network): (placed: PlacedLan) => readonly Finding[] {
  const pods = new Set(network.edge.podCIDRs.map(familyOf))
  return ({ lan, path }) => {
    const hosts = new Set(lan.hostCIDRs.map(familyOf))
    const places = [
      { path: `${path}.hostCIDRs`, value: lan.hostCIDRs.join(', ') },
      { path: 'edge.podCIDRs', value: network.edge.podCIDRs.join(', ') },
    ]
    if (pods.has('ipv6') && !hosts.has('ipv6')) {
      const message = `LAN ${lan.name} has no IPv6 hosts, so IPv6 pods have no next hop there: IPv6 never goes by an IPv4 address`
      const wayOut = 'add an IPv6 block of the hosts to hostCIDRs, or leave IPv6 out of edge.podCIDRs'
      return [{ severity: 'problem', rule: 'no-ipv6-next-hop', message, places, wayOut }]
    }
    if (pods.has('ipv4') && !hosts.has('ipv4')) {
      const message = `LAN ${lan.name} has IPv6 hosts alone: its switch must take IPv4 prefixes with IPv6 next hops (RFC 8950)`
      const wayOut = 'ask terway-edge switch-config whether yours can; otherwise give the hosts IPv4 addresses'
      return [{ severity: 'warning', rule: 'needs-rfc-8950', message, places, wayOut }]
    }
    return []
  }
}

/** AS numbers that no BGPPeer may have, and why. */
const RESERVED_AS: Readonly<Record<number, string>> = {
  0: 'is reserved (RFC 7607)',
  23456: 'is AS_TRANS and stands for 4-octet numbers (RFC 6793)',
  65535: 'is reserved (RFC 7300)',
  4294967295: 'is reserved (RFC 7300)',
}

/** RFC 6996 section 5. */
function isPrivateAs(asNumber: number): boolean {
  return (asNumber >= 64512 && asNumber <= 65534) || (asNumber >= 4_200_000_000 && asNumber <= 4_294_967_294)
}

/** RFC 5398. */
function isDocumentationAs(asNumber: number): boolean {
  return (asNumber >= 64496 && asNumber <= 64511) || (asNumber >= 65536 && asNumber <= 65551)
}

const PRIVATE_AS = 'choose a private one (RFC 6996): 64512 to 65534, or 4200000000 to 4294967294'

/** An AS number of the document; several for one LAN where it has several switches. */
interface AsPlace {
  readonly asNumber: number
  readonly lan: string
  readonly side: 'local' | 'switch'
  readonly place: Place
}

function asPlaces(network: Network): readonly AsPlace[] {
  return lansOf(network).flatMap(({ lan, path }): AsPlace[] => [
    {
      asNumber: lan.localAsNumber,
      lan: lan.name,
      side: 'local',
      place: { path: `${path}.localAsNumber`, value: String(lan.localAsNumber) },
    },
    ...lan.switches.map(
      ({ asNumber }, index): AsPlace => ({
        asNumber,
        lan: lan.name,
        side: 'switch',
        place: { path: `${path}.switches[${index}].asNumber`, value: String(asNumber) },
      }),
    ),
  ])
}

function asFindings(network: Network): readonly Finding[] {
  const all = asPlaces(network)
  const alone = all.flatMap(({ asNumber, place }): Finding[] => {
    const reserved = RESERVED_AS[asNumber]
    const of = (severity: Finding['severity'], rule: string, message: string): Finding[] => [
      { severity, rule, message, places: [place], wayOut: PRIVATE_AS },
    ]
    if (reserved !== undefined) return of('problem', 'reserved-as', `AS ${asNumber} ${reserved}`)
    if (isDocumentationAs(asNumber))
      return of('warning', 'documentation-as', `AS ${asNumber} is for documents (RFC 5398), and filters drop it`)
    if (!isPrivateAs(asNumber))
      return of(
        'warning',
        'public-as',
        `AS ${asNumber} is not private: unless it is yours, it belongs to somebody else`,
      )
    return []
  })
  return [...alone, ...internalFindings(all), ...sharedAsFindings(all)]
}

function internalFindings(all: readonly AsPlace[]): readonly Finding[] {
  return all.flatMap((device): Finding[] => {
    const nodes = all.find(other => other.lan === device.lan && other.side === 'local')
    if (device.side !== 'switch' || nodes === undefined || nodes.asNumber !== device.asNumber) return []
    return [
      {
        severity: 'note',
        rule: 'internal-session',
        message: `LAN ${device.lan} and its switch share AS ${device.asNumber}: the session is internal, and the switch passes what it learns on to no other internal peer (RFC 4271 section 9.2)`,
        places: [nodes.place, device.place],
        wayOut:
          'make the switch a route reflector for the speakers (RFC 4456), redistribute there, or use two AS numbers',
      },
    ]
  })
}

/**
 * One AS in two LANs: the same number meets itself in AS_PATH on the way from one LAN's switch to
 * the other's.
 */
function sharedAsFindings(all: readonly AsPlace[]): readonly Finding[] {
  const groups = [...Map.groupBy(all, ({ asNumber }) => asNumber).values()]
  return groups.flatMap((group): Finding[] => {
    const lans = [...new Set(group.map(({ lan }) => lan))]
    if (lans.length < 2) return []
    const places = group.map(({ place }) => place)
    const asNumber = group[0]?.asNumber ?? 0
    const who = `LANs ${lans.join(' and ')}`
    if (group.every(({ side }) => side === 'local')) {
      const message = `${who} share the local AS ${asNumber}; a LAN is an AS of its own, and policies cannot tell them apart`
      return [
        { severity: 'warning', rule: 'local-as-twice', message, places, wayOut: 'give each LAN its own localAsNumber' },
      ]
    }
    const message = `AS ${asNumber} stands in ${who}, also at a switch: a switch drops routes with its own AS in AS_PATH as loops (RFC 4271 section 9.1.2), so routes of one LAN do not reach the other over a core of another AS`
    const wayOut =
      'give each switch an AS of its own, carry the routes between them by iBGP or an IGP, or allow the AS there (allowas-in)'
    return [{ severity: 'warning', rule: 'switch-as-twice', message, places, wayOut }]
  })
}

function sharedPoolFindings(network: Network): readonly Finding[] {
  if (network.dataCenters.length < 2) return []
  return [
    {
      severity: 'warning',
      rule: 'pools-across-data-centers',
      message: `nodes of ${network.dataCenters.length} data centers get blocks from the same pools: no static route of the cloud can say which block is where`,
      places: network.edge.podCIDRs.map((value, index) => ({ path: `edge.podCIDRs[${index}]`, value })),
      wayOut: `let the routes of nodes go by BGP from each gateway to its VBR and on (at most ${VBR_ROUTES} a BGP peer), or make a cluster for each data center`,
    },
  ]
}

/**
 * Dynamic routes that a VBR takes from one BGP peer (Express Connect, "Virtual border router",
 * limitations).
 */
const VBR_ROUTES = 110

function borderFindings(network: Network): readonly Finding[] {
  const families = new Set(network.edge.podCIDRs.map(familyOf)).size
  return network.dataCenters.flatMap((dataCenter, index): Finding[] => {
    const vbr = dataCenter.path.find(({ kind }) => kind === 'vbr')
    const routes =
      dataCenter.lans.reduce((sum, lan) => sum + nodesAfter(lan, 5), 0) * families + dataCenter.cidrs.length
    if (vbr === undefined || routes <= VBR_ROUTES) return []
    const shared = network.dataCenters.length > 1
    return [
      {
        severity: shared ? 'problem' : 'warning',
        rule: 'vbr-routes',
        message: `data center ${dataCenter.name} has ${routes} routes of nodes and hosts in five years, and ${vbr.kind} ${vbr.name} takes ${VBR_ROUTES} from a BGP peer and drops the rest`,
        places: [{ path: `dataCenters[${index}]`, value: counted(dataCenter.lans.length, 'LAN') }],
        wayOut: shared
          ? 'make a cluster, and so a pool, for each data center: then its pool is one route'
          : `announce the pools there as aggregates (${network.edge.podCIDRs.join(', ')}), or route them statically on the VBR`,
      },
    ]
  })
}

function powerNotes(network: Network): readonly Finding[] {
  const several = lansOf(network).filter(({ lan }) => lan.speakers.length > 1)
  if (several.length === 0) return []
  return [
    {
      severity: 'note',
      rule: 'shared-fate',
      message:
        'whether the speakers of a LAN hang on one power feed, rack, hypervisor or access switch cannot be seen from here',
      places: several.map(({ lan, path }) => ({ path: `${path}.speakers`, value: lan.speakers.join(', ') })),
      wayOut: 'choose speakers that do not fail together, and two switches where the LAN has them',
    },
  ]
}
