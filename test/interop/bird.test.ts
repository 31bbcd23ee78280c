/** The column of BIRD. */
import { column } from './column.ts'

column('bird', {
  asTrans: 'it takes no neighbour with a 4-octet AS number when its own 4-octet AS numbers are off',
})
