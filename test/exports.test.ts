/**
 * Nothing is there for nobody: a function, constant, class or type that a file of src/ exports is
 * taken by another one (of src/, ui/ or scripts/), or does its work in its own file. What only
 * tests call is no code of the program: it belongs to the tests.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { codeOf, files, room } from './support/sources.ts'

/** Rooms for tests and the lab. */
const FOR_TESTS = ['apiserver', 'cloudsim']

/** In how many of the files each word occurs. */
function wordCounts(texts: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts)
    for (const word of new Set(text.match(/\w+/g) ?? [])) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

function textsOf(pattern: string): string[] {
  return [...new Bun.Glob(pattern).scanSync('.')].map(file => readFileSync(file, 'utf8'))
}

test('what is exported is taken by somebody who is no test', () => {
  const program = wordCounts([...files.map(codeOf), ...textsOf('{ui,scripts}/**/*.ts')])
  const exported = files
    .filter(file => !FOR_TESTS.includes(room(file)))
    .flatMap(file =>
      [...codeOf(file).matchAll(/^export (?:async )?(?:function\*?|const|class|let|interface|type) (\w+)/gm)].map(
        ([, name = '']) => ({
          file,
          name,
        }),
      ),
    )
  expect(exported.length).toBeGreaterThan(800)
  const idle = exported.filter(({ file, name }) => {
    if ((program.get(name) ?? 0) > 1) return false
    return (codeOf(file).match(new RegExp(`\\b${name}\\b`, 'g')) ?? []).length < 2
  })
  expect(idle.map(({ file, name }) => `${file}: ${name}`)).toEqual([])
})
