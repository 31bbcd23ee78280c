/** The column of GoBGP. */
import { column } from './column.ts'

column('gobgp', {
  twoOctetAs: 'it always offers 4-octet AS numbers',
  asTrans: 'it always offers 4-octet AS numbers',
  role: 'GoBGP 3 does not know the capability',
  refresh: 'it asks for nothing: it keeps what it received and looks at that again',
  bfd: 'it has no BFD',
})
