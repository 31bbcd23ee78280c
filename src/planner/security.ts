/**
 * What firewalls between the parts must let through: security groups of the cloud, and filters of
 * the data center. No address is translated on the way, so sources are the hosts' and the pods'
 * own. Pure.
 */
import { familyOf } from '../lib/ip.ts'
import type { Network } from './network.ts'

export interface SecurityRule {
  readonly where: 'security group' | 'data center'
  readonly direction: 'in' | 'out'
  readonly protocol: string
  readonly ports: string
  /** The other end. */
  readonly peer: string
  readonly why: string
}

export function securityRules(network: Network): readonly SecurityRule[] {
  const hosts = network.dataCenters.flatMap(({ cidrs }) => cidrs)
  const pods = network.edge.podCIDRs
  const spoken = new Set([...hosts, ...pods].map(familyOf))
  const vpc = network.vpc.cidrs.filter(cidr => spoken.has(familyOf(cidr)))
  return [
    ...hosts.map(peer =>
      group('in', {
        protocol: 'TCP',
        ports: '6443',
        peer,
        why: 'kubelets and terway-edge on edge nodes reach the API server',
      }),
    ),
    ...pods.map(peer =>
      group('in', {
        protocol: 'all',
        ports: 'all',
        peer,
        why: 'edge pods reach pods, nodes, DNS and the API server in the cloud with their own addresses',
      }),
    ),
    ...hosts.map(peer =>
      group('in', {
        protocol: familyOf(peer) === 'ipv6' ? 'ICMPv6' : 'ICMP',
        ports: 'all',
        peer,
        why: 'path MTU discovery: without it large packets vanish on circuits and VPNs',
      }),
    ),
    ...hosts.map(peer =>
      group('out', {
        protocol: 'TCP',
        ports: '10250',
        peer,
        why: 'the control plane reaches kubelets: logs, exec, metrics',
      }),
    ),
    ...pods.map(peer =>
      group('out', {
        protocol: 'all',
        ports: 'all',
        peer,
        why: 'nodes and pods in the cloud, and webhooks of the API server, reach edge pods',
      }),
    ),
    ...vpc.map(peer =>
      site('in', { protocol: 'TCP', ports: '10250', peer, why: 'kubelets of edge nodes answer the control plane' }),
    ),
    ...vpc.map(peer =>
      site('in', {
        protocol: 'all',
        ports: 'all',
        peer,
        why: 'to edge pods, whose addresses are their own: on firewalls between circuit and LANs',
      }),
    ),
    ...network.dataCenters.flatMap(({ lans }) =>
      lans.flatMap(lan =>
        lan.switches.map(({ address }) =>
          site('in', {
            protocol: 'TCP',
            ports: '179',
            peer: address,
            why: `BGP on the speakers of LAN ${lan.name}, where the switch dials; with bfd also UDP 3784`,
          }),
        ),
      ),
    ),
  ]
}

type Rest = Omit<SecurityRule, 'where' | 'direction'>

function group(direction: SecurityRule['direction'], rest: Rest): SecurityRule {
  return { where: 'security group', direction, ...rest }
}

function site(direction: SecurityRule['direction'], rest: Rest): SecurityRule {
  return { where: 'data center', direction, ...rest }
}
