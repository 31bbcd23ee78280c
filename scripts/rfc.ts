/** Writes docs/rfc.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseStatements, toMarkdown } from './rfc-statements.ts'

writeFileSync('docs/rfc.md', toMarkdown(parseStatements(readFileSync('docs/rfc-statements.txt', 'utf8'))))
