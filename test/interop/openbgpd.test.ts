/** The column of OpenBGPD. */
import { column } from './column.ts'
import { routerVersion } from './versions.ts'

column('openbgpd', {
  ...(routerVersion('openbgpd') < 8 && { extendedNextHop: 'it does not know the capability' }),
  ...(routerVersion('openbgpd') >= 9 && {
    asTrans: '"aspath merge failed": 9.3 withdraws AS_PATH 23456 beside an AS4_PATH as long, which 7.7 took',
  }),
  bfd: 'it has no BFD',
  longLived: 'it has no long-lived graceful restart',
  restartDialled: 'it dials again after 120 s at the earliest, a fixed time',
  switchRestartsGracefully: 'it has no restarting side: bgpd.conf(5), "announce restart"',
})
