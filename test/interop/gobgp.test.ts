/** The column of GoBGP. */
import { column } from './column.ts'
import { routerVersion } from './versions.ts'

column('gobgp', {
  twoOctetAs: 'it always offers 4-octet AS numbers',
  asTrans: 'it always offers 4-octet AS numbers',
  role: 'it does not know the capability',
  refresh: 'it asks for nothing: it keeps what it received and looks at that again',
  ...(routerVersion('gobgp') < 4 && { bfd: 'it has no BFD' }),
})
