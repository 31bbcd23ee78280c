/** The column of ExaBGP. */
import { column } from './column.ts'
import { routerVersion } from './versions.ts'

const KEEPS_NOTHING = 'it has no routing table, so it keeps nothing'

column('exabgp', {
  md5Rotated: 'it sets the key of its listening socket at its start only',
  role: 'it does not know the capability',
  maximumPrefixes: 'it has no limit of prefixes',
  bfd: 'it has no BFD',
  restart: KEEPS_NOTHING,
  restartDialled: KEEPS_NOTHING,
  restartExpires: KEEPS_NOTHING,
  longLived: KEEPS_NOTHING,
  timersChanged: KEEPS_NOTHING,
  ...(routerVersion('exabgp') < 5
    ? { shutDownByPeer: 'once graceful restart is agreed it closes without a NOTIFICATION' }
    : { gtsm: 'its listening socket answers with the usual TTL: 255 is for accepted connections' }),
  switchRestartsGracefully: KEEPS_NOTHING,
})
