import { column } from './column.ts'

column('frr')
