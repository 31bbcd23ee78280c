/**
 * Writes docs/reference from the CustomResourceDefinitions and the schema of the configuration. Run
 * it after a change of either: `bun scripts/reference.ts`. A test says when that was forgotten.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { referencePages } from './reference-text.ts'

mkdirSync('docs/reference', { recursive: true })
for (const [file, text] of referencePages()) writeFileSync(file, text)
