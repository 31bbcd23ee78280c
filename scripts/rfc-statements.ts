/**
 * docs/rfc-statements.txt as values, and as the Markdown of docs/rfc.md. Pure; test/rfc.test.ts
 * holds it to the code.
 */
import { pageWide } from './page-wide.ts'

export interface Statement {
  /** Line of docs/rfc-statements.txt. */
  readonly line: number
  /** The heading it stands below. */
  readonly rfc: string
  readonly section: string
  readonly level: string
  readonly text: string
  readonly verdict: string
  /** Below src, without `.ts`. */
  readonly file: string
  /** Of one that holds: below test, without `.test.ts` (or `.ts`); else the reason. */
  readonly proof: string
  /** Part of the test's name. */
  readonly test: string | undefined
}

export function parseStatements(source: string): Statement[] {
  const statements: Statement[] = []
  let rfc = ''
  for (const [index, line] of source.split('\n').entries()) {
    if (line.startsWith('## ')) rfc = line.slice(3)
    if (line === '' || line.startsWith('#')) continue
    const [section = '', level = '', text = '', verdict = '', file = '', proof = '', test] = line
      .split(' | ')
      .map(part => part.trim())
    statements.push({ line: index + 1, rfc, section, level, text, verdict, file, proof, test })
  }
  return statements
}

const HEAD = `# What the RFCs ask, and what proves that it is so

Every MUST, SHOULD and MAY of an announcing speaker and of BFD that this project knows to apply to it, in its own words; *text*: what the RFC describes without such a word. *holds*: the
test named fails when it does not. *departs*: done otherwise on purpose, with the reason. *open*: not done. Made by \`scripts/rfc\` from
\`docs/rfc-statements.txt\`; \`test/rfc.test.ts\` holds the files and tests named here to exist.
`

export function toMarkdown(statements: readonly Statement[]): string {
  const count = (verdict: string) => statements.filter(statement => statement.verdict === verdict).length
  const totals = `\n${statements.length} statements: ${count('holds')} hold, ${count('departs')} depart, ${count('open')} open.\n`
  const parts = [...Map.groupBy(statements, ({ rfc }) => rfc)].map(([rfc, rows]) => {
    const lines = rows.map(({ section, level, text, verdict, file, proof, test }) => {
      const evidence = test === undefined ? proof : `\`${proof}\`: ${test.replaceAll('|', '\\|')}`
      return `| ${section} | ${level} | ${text} | ${verdict} | \`${file}\` | ${evidence} |`
    })
    return `\n## RFC ${rfc}\n\n| section | | statement | verdict | code | test, or why |\n|---|---|---|---|---|---|\n${lines.join('\n')}\n`
  })
  return pageWide(HEAD + totals + parts.join(''))
}
