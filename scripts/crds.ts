/**
 * Writes the schemas of src/kube/*-schema.ts into config/crd-*.yaml; names, columns and comments
 * above them stay; and the references that are made of them. Run it after a change of a table: `bun
 * scripts/crds.ts`. A test says when that was forgotten.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { crdText, GENERATED } from './crd-text.ts'

for (const { file, schema } of GENERATED) writeFileSync(file, crdText(readFileSync(file, 'utf8'), schema))
await import('./reference.ts')
