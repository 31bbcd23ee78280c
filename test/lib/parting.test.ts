import { expect, test } from 'bun:test'
import { silentLog } from '../../src/lib/log.ts'
import { Parting } from '../../src/lib/parting.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** A log that keeps what errors say. */
function heard() {
  const said: string[] = []
  const log = {
    ...silentLog,
    error: ({ name = '', detail = '' }: { name?: unknown; detail?: unknown }, phrase: string) =>
      said.push([phrase, name, detail].filter(Boolean).join(': ')),
  }
  return { said, log }
}

const never = () => new Promise<void>(() => {})

test('parts end in the reverse order of their start; one that fails does not stop the others', async () => {
  const { said, log } = heard()
  const parting = new Parting({ clock: new FakeClock(), log })
  const ended: string[] = []
  parting.defer('a', () => ended.push('a'))
  parting.defer('b', () => {
    throw new Error('no')
  })
  parting.defer('c', async () => ended.push('c'))
  await parting.end()
  expect(ended).toEqual(['c', 'a'])
  expect(said).toEqual(['a part did not end well: b: no'])
  parting.defer('late', () => ended.push('late')) // its start was overtaken
  expect(ended).toEqual(['c', 'a', 'late'])
})

test('what hangs is cut short and named, and the end of every part is begun', async () => {
  const { said, log } = heard()
  const clock = new FakeClock()
  const parting = new Parting({ clock, log })
  const begun: string[] = []
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
    parting.defer(name, () => {
      begun.push(name)
      return name === 'e' ? undefined : never()
    })
  }
  let over = false
  const ending = parting.end().then(() => {
    over = true
  })
  const startedAt = clock.monotonic()
  for (let steps = 0; !over && steps < 100; steps++) {
    await clock.advance(500)
  }
  await ending
  expect(begun).toEqual(['g', 'f', 'e', 'd', 'c', 'b', 'a'])
  expect(clock.monotonic() - startedAt).toBeLessThanOrEqual(8500)
  expect(said).toEqual(['parts did not end in time and were cut short: g, f, d, c, b, a'])
})
