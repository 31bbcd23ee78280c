/** The column of OpenBGPD. */
import { column } from './column.ts'

column('openbgpd', {
  extendedNextHop: 'OpenBGPD 7.7 does not know the capability',
  bfd: 'it has no BFD',
  longLived: 'it has no long-lived graceful restart',
  restartDialled: 'it dials again after 120 s at the earliest, a fixed time',
  switchRestartsGracefully: 'it has no restarting side: bgpd.conf(5), "announce restart"',
})
