/** The column of ExaBGP. */
import { column } from './column.ts'

const KEEPS_NOTHING = 'it has no routing table, so it keeps nothing'

column('exabgp', {
  md5Rotated: 'it sets the key of its listening socket at its start only',
  role: 'ExaBGP 4.2 does not know the capability',
  maximumPrefixes: 'it has no limit of prefixes',
  bfd: 'it has no BFD',
  restart: KEEPS_NOTHING,
  restartDialled: KEEPS_NOTHING,
  restartExpires: KEEPS_NOTHING,
  longLived: KEEPS_NOTHING,
  timersChanged: KEEPS_NOTHING,
  shutDownByPeer: 'once graceful restart is agreed it closes without a NOTIFICATION',
  switchRestartsGracefully: KEEPS_NOTHING,
})
