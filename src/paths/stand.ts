/**
 * Where a prober stands: from which addresses it asks and answers, whom it answers, and which paths
 * it could measure. A node asks the kernel which switches are on-link and prepares it; the
 * controller stands in the VPC, at addresses of its host.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { familyOf } from '../lib/ip.ts'
import { onLinkInterface } from '../netlink/on-link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { applyProbeRouting } from './kernel.ts'
import { probeAddresses } from './probe-address.ts'
import { marksOf, probeRouting } from './probe-routes.ts'
import { choiceOfController, NO_CHOICE, type PathChoice, type PathTarget, pathChoice } from './targets.ts'

export interface Stand {
  /** From where it asks and where it answers. */
  readonly own: readonly string[]
  /** Whom it answers, by the address at which they await it. */
  readonly known: ReadonlySet<string>
  /** The mark of packets that are handed to a switch, by its address. */
  readonly marks: ReadonlyMap<string, number>
  readonly choice: PathChoice
  /** Whether that is in the VPC; else it is in a LAN. */
  readonly inVpc: boolean
  /** Itself, before anybody else is judged by it. */
  readonly self: PathTarget | undefined
  /** Why not all is measured. */
  readonly problems: readonly string[]
}

export const NOWHERE: Stand = {
  own: [],
  known: new Set(),
  marks: new Map(),
  choice: NO_CHOICE,
  inVpc: false,
  self: undefined,
  problems: [],
}

export interface NodeStandOptions {
  /** The name of this node. */
  readonly self: string
  readonly view: { readonly entries: readonly RouteEntry[]; readonly peers: readonly BGPPeer[] }
  /** Addresses at which the controller answers. */
  readonly controllers: readonly string[]
  /** rtm_protocol of our routes. */
  readonly protocol: number
  /** Whether packets are handed to the switch too. */
  readonly bySwitch: boolean
  /** Whether the kernel is brought to what probes need; else another process has done it. */
  readonly prepares: boolean
}

/** Of a node. */
export function standOfNode(options: NodeStandOptions): Stand {
  const { self, view, controllers, protocol, bySwitch, prepares } = options
  const { entries, peers } = view
  const podCIDRs = entries.find(({ node }) => node === self)?.podCIDRs ?? []
  const own = probeAddresses(podCIDRs)
  const switches = new Map<string, number>()
  const problems: string[] = []
  const netlink = Rtnetlink.open()
  try {
    for (const { spec } of bySwitch ? peers : []) {
      const index = onLinkInterface(netlink, spec.peerIP)
      if (index !== undefined) switches.set(spec.peerIP, index)
    }
    const loopback = prepares ? netlink.dumpLinks().find(link => link.loopback)?.index : undefined
    if (loopback !== undefined)
      problems.push(...applyProbeRouting(netlink, probeRouting({ own, switches, loopback, protocol }), protocol))
  } finally {
    netlink.close()
  }
  const podCIDR = podCIDRs.find(cidr => probeAddresses([cidr])[0] === own[0])
  return {
    own,
    known: new Set([...entries.flatMap(entry => probeAddresses(entry.podCIDRs)), ...controllers]),
    marks: marksOf(switches.keys()),
    inVpc: false,
    choice: pathChoice({ self, entries, peers, onLink: new Set(switches.keys()), controllers }),
    self: selfTarget(self, own[0], podCIDR),
    problems,
  }
}

/** Of the controller, at addresses of its host. */
export function standOfController(own: readonly string[], entries: readonly RouteEntry[]): Stand {
  return {
    ...NOWHERE,
    own,
    known: new Set([...own, ...entries.flatMap(({ podCIDRs }) => probeAddresses(podCIDRs))]),
    choice: choiceOfController(entries),
    inVpc: true,
    self: selfTarget('controller', own[0], own[0]),
  }
}

/** What the LAN of the target is called that is the prober itself. */
export const SELF = 'self'

function selfTarget(node: string, address: string | undefined, podCIDR: string | undefined): PathTarget | undefined {
  if (address === undefined || podCIDR === undefined) return undefined
  return { kind: 'direct', size: 'small', family: familyOf(address), node, podCIDR, address, lan: SELF }
}
