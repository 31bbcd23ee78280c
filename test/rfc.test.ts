/** docs/rfc.md and the code stay together: what the table of statements names is there. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { parseStatements, type Statement, toMarkdown } from '../scripts/rfc-statements.ts'

const statements = parseStatements(readFileSync('docs/rfc-statements.txt', 'utf8'))
const wrong = (problem: (statement: Statement) => string | undefined) =>
  statements.flatMap(statement => {
    const what = problem(statement)
    return what === undefined ? [] : [`docs/rfc-statements.txt:${statement.line}: ${what}`]
  })

/** The sources of a test: its file, and what it has of its rows from others of its folder. */
function testSource(path: string): string | undefined {
  const file = [`test/${path}.test.ts`, `test/${path}.ts`].find(existsSync)
  return file === undefined ? undefined : readFileSync(file, 'utf8')
}

test('each statement is complete', () => {
  expect(statements.length).toBeGreaterThan(400)
  expect(
    wrong(({ section, level, text, verdict, proof, test: name }) => {
      if (!/^([\d.]+|A)( [\d.a-z]+)?( [a-z])?$/.test(section)) return `section ${section}`
      if (!['MUST', 'SHOULD', 'MAY', 'text'].includes(level)) return `level ${level}`
      if (text === '' || proof === '') return 'an empty column'
      if (!['holds', 'departs', 'open'].includes(verdict)) return `verdict ${verdict}`
      if ((verdict === 'holds') !== (name !== undefined && name !== ''))
        return 'a test belongs to what holds, and to it alone'
      return undefined
    }),
  ).toEqual([])
})

test('the files are there', () => {
  expect(wrong(({ file }) => (existsSync(`src/${file}.ts`) ? undefined : `there is no src/${file}.ts`))).toEqual([])
})

test('the tests are there, by name', () => {
  expect(
    wrong(({ verdict, proof, test: name = '' }) => {
      if (verdict !== 'holds') return undefined
      const source = testSource(proof)
      if (source === undefined) return `there is no test/${proof}`
      return source.includes(name) ? undefined : `test/${proof} has no test ${JSON.stringify(name)}`
    }),
  ).toEqual([])
})

test('docs/rfc.md is made of it (scripts/rfc)', () => {
  expect(readFileSync('docs/rfc.md', 'utf8')).toBe(toMarkdown(statements))
})
