/** Words for paths that both tables of `check` use. Pure. */
import type { PathKindView } from '../model/snapshot.ts'

export const KIND_TEXT: Readonly<Record<PathKindView['kind'], string>> = {
  direct: 'to neighbours',
  'by-switch': 'by way of the switch',
  far: 'to another LAN',
  vpc: 'to the VPC',
}
