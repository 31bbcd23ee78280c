/**
 * The text of a CustomResourceDefinition with its schema made anew: what `scripts/crds.ts` writes
 * and a test compares.
 */
import { dump } from 'js-yaml'
import { BGP_PEER_SCHEMA } from '../src/kube/bgp-peer-schema.ts'
import { ENI_NODE_SCHEMA } from '../src/kube/eni-node-schema.ts'
import type { ObjectProperty } from '../src/kube/openapi.ts'
import { ROUTE_SLICE_SCHEMA } from '../src/kube/route-slice-schema.ts'

export const GENERATED: readonly { readonly file: string; readonly schema: ObjectProperty }[] = [
  { file: 'config/crd-bgppeers.yaml', schema: BGP_PEER_SCHEMA },
  { file: 'config/crd-eninodes.yaml', schema: ENI_NODE_SCHEMA },
  { file: 'config/crd-routeslices.yaml', schema: ROUTE_SLICE_SCHEMA },
]

const BEGINNING = '        openAPIV3Schema:\n'

/** `text` with `schema` in the place of the one that it ends with. */
export function crdText(text: string, schema: ObjectProperty): string {
  const start = text.indexOf(BEGINNING)
  if (start < 0) throw new Error('there is no openAPIV3Schema')
  const yaml = dump(schema, { lineWidth: 84, noRefs: true })
    .trimEnd()
    .replace(/^(?=.)/gm, '          ')
  return `${text.slice(0, start)}${BEGINNING}${yaml}\n`
}
