/** The column of FRR, which can do every row. */
import { column } from './column.ts'

column('frr')
