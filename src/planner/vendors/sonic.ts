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
    'sonic-net/sonic-buildimage, dockers/docker-fpm-frr/docker_init.sh: with docker_routing_config_mode split or split-unified the files of FRR stay; with unified, and separated, which newer releases turn into it, frr.conf is made anew at each start of the container',
  ],
  configure: intent => [
    '! paste into vtysh, then: write memory. SONiC keeps it where docker_routing_config_mode of DEVICE_METADATA is split or split-unified; else the files in /etc/frr are made anew from config_db.json whenever the container bgp starts',
    ...frr.configure(intent),
  ],
}
