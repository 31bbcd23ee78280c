/**
 * What to do about each fault that packets prove: the first command to run, where the message names
 * likely causes. Pure.
 */
import type { PathFinding, Place } from './verdict.ts'

type RemedyOf = (finding: PathFinding) => string

const REMEDIES: Readonly<Record<Place, RemedyOf>> = {
  prober: () => 'nft list ruleset: let UDP pass on lo; ss -lnup shows who has the port of paths',
  'this node': () => 'sudo terway-edge doctor: link, routes, rules and firewall of this node',
  neighbour: ({ podCIDRs }) =>
    `there: systemctl status terway-edge, sudo terway-edge doctor; here: ip route get ${exampleIn(podCIDRs)}`,
  switch: ({ lan, podCIDRs }) =>
    `on the switch look up ${podCIDRs.join(', ')}: the next hop is the node that owns it; terway-edge switch-config ${lan} prints what its import filter has to let in`,
  line: () => 'ping the gateway, then a node of another LAN: where answers stop is the place',
  'far LAN': ({ podCIDRs }) =>
    `ip route get ${exampleIn(podCIDRs)} here and on the gateway; terway-edge check --kubeconfig shows both directions`,
  'far node': () => 'sudo terway-edge doctor on that node, and its route on the switch of its LAN',
  VPC: () => "the VPC's route table must lead the pod CIDRs to the line; security groups must let UDP in from them",
  'packet size': () =>
    'ping -M do -s SIZE finds the largest that passes; set cni.mtu to it plus 28, or raise the MTU of that link',
  loss: () =>
    'ip -s link show, ethtool -S on both ends of each link of that way: errors and drops that grow; then its load',
  ECMP: () => 'look for a next hop on the way that does not forward: a member of a link bundle, a second gateway',
}

export function remedyOf(finding: PathFinding): string {
  return REMEDIES[finding.place](finding)
}

/** The first address of the first podCIDR, as `ip route get` takes it. */
function exampleIn(podCIDRs: readonly string[]): string {
  return podCIDRs[0]?.split('/')[0] ?? 'ADDRESS'
}
