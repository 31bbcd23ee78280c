/**
 * A fixed number of seeds, each drawn and played as `scripts/simulate` does; the same seed twice is
 * the same; a script is what it was after it was a file; every kept case holds.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generate } from './generate.ts'
import type { Script } from './script.ts'
import { World } from './world.ts'

const SEEDS = 8
const CASES = join(import.meta.dir, 'cases')

function violationOf(script: Script): string | undefined {
  return new World(script).play().violation?.message
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`seed ${seed} holds`, () => expect(violationOf(generate(seed))).toBeUndefined(), 300_000)
}

test('the same seed plays the same twice, to the last step', () => {
  for (const seed of [2, 5]) {
    const script = generate(seed)
    const replayed = JSON.parse(JSON.stringify(script)) as Script
    const [one, other] = [new World(script).play(), new World(replayed).play()]
    expect(other.trace).toBe(one.trace)
    expect(other.steps).toBe(one.steps)
  }
}, 300_000)

test('seeds differ', () => {
  const traces = [2, 5].map(seed => new World({ ...generate(2), seed }).play().trace)
  expect(new Set(traces).size).toBe(2)
}, 300_000)

for (const name of readdirSync(CASES)) {
  const { script } = JSON.parse(readFileSync(join(CASES, name), 'utf8')) as { script: Script }
  test(`case ${name.replace('.json', '')}`, () => expect(violationOf(script)).toBeUndefined(), 300_000)
}
