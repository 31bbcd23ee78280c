/**
 * SONiC: its BGP is FRR, in the container `bgp`. The words are those of FRR, where they are tested;
 * what SONiC itself rewrites is said. Pure.
 */
import { frr } from './frr.ts'
import type { Vendor } from './vendor.ts'

export const sonic: Vendor = {
  ...frr,
  name: 'sonic',
  title: 'SONiC (FRR in its container bgp)',
  ranWith: undefined,
  sources: [
    'FRR: the same lines, which the real FRR takes (test/planner/vendors/daemons.test.ts)',
    'SONiC, docker_routing_config_mode in DEVICE_METADATA of config_db.json: separated, unified, split',
  ],
  configure: intent => [
    '! paste into vtysh. SONiC keeps it where docker_routing_config_mode of DEVICE_METADATA is "split"; else bgpcfgd writes',
    '! /etc/frr/bgpd.conf anew from config_db.json at each start. Then: write memory',
    ...frr.configure(intent),
  ],
}
