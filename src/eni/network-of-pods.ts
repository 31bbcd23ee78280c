/**
 * What the firewall of a node is told whose pods sit on elastic network interfaces: the VPC's
 * ranges where the configuration names them, else the addresses that pods can have. Nothing is
 * masqueraded there, so nobody else's ranges are named. Pure.
 */
import type { ENIInterface } from '../kube/eni-node.ts'
import { hostPrefix } from '../lib/ip.ts'
import type { KnownNetwork } from '../model/known-network.ts'

export interface PodsSeen {
  readonly vpcCIDRs: readonly string[]
  /** Of the ENINode; undefined while there is none. */
  readonly interfaces: readonly ENIInterface[] | undefined
}

/** Undefined while no address is known: what the firewall was told last stands. */
export function networkOfPods({ vpcCIDRs, interfaces = [] }: PodsSeen): Omit<KnownNetwork, 'uplinks'> | undefined {
  const addresses = interfaces.flatMap(one => one.addresses).map(hostPrefix)
  const podCIDRs = vpcCIDRs.length > 0 ? vpcCIDRs : addresses
  return podCIDRs.length === 0 ? undefined : { podCIDRs, clusterPodCIDRs: [], controllers: [], nodeAddresses: [] }
}
