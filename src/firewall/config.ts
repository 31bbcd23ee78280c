/**
 * What the configuration of a node says of its firewall rules. Service, VPC and data-center ranges
 * are known to a node only by `network` of its own configuration (the controller's is not sent to
 * nodes); what is not named there belongs into `ipMasq.nonMasqueradeCIDRs`. Pure.
 */

import type { Config } from '../config/schema.ts'
import type { FirewallConfig } from './reconcile.ts'

export function firewallConfig({ firewall, ipMasq, network }: Config): FirewallConfig {
  return {
    acceptPodTraffic: firewall.acceptPodTraffic,
    masquerade: ipMasq.enabled,
    podPools: network.podCIDRs,
    nonMasqueradeCIDRs: [
      ...network.serviceCIDRs,
      ...network.vpcCIDRs,
      ...network.dataCenterCIDRs,
      ...ipMasq.nonMasqueradeCIDRs,
    ],
  }
}
