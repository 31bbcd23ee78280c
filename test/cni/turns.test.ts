/**
 * Whose turn it is at the server of the plugin: what is done together, and what is asked again.
 */
import { expect, test } from 'bun:test'
import type { ServedReply } from '../../src/cni/exchange.ts'
import { BUSY, Turns } from '../../src/cni/turns.ts'
import { silentLog } from '../../src/lib/log.ts'

/** Turns whose requests are performed by `perform`, and what was performed together, by name. */
function turnsOf(perform: (names: readonly string[]) => readonly ServedReply[]) {
  const rounds: (readonly string[])[] = []
  const counted: string[] = []
  const turns = new Turns({
    log: silentLog,
    counter: { count: operation => counted.push(operation) },
    perform: lines => {
      const names = lines.map(line => JSON.parse(line).name)
      rounds.push(names)
      return perform(names)
    },
  })
  const ask = (command: string, name: string, isWanted = () => true) =>
    new Promise<ServedReply>(answer =>
      turns.take({ line: JSON.stringify({ environment: { CNI_COMMAND: command }, name }), isWanted, answer }),
    )
  return { rounds, counted, ask }
}

test('ADDs that wait share a turn, and DELs; every other request has its own', async () => {
  const { rounds, counted, ask } = turnsOf(names => names.map(() => ({ exitStatus: 0 })))
  const asked = [ask('ADD', 'a'), ask('DEL', 'b'), ask('CHECK', 'c'), ask('ADD', 'd'), ask('DEL', 'e')]
  asked.push(ask('CHECK', 'f'))
  expect(await Promise.all(asked)).toEqual(asked.map(() => ({ exitStatus: 0 })))
  expect(rounds).toEqual([['a', 'd'], ['b', 'e'], ['c'], ['f']])
  expect(counted.sort()).toEqual(['ADD', 'ADD', 'CHECK', 'CHECK', 'DEL', 'DEL'])
  await ask('DEL', 'g')
  expect(rounds.at(-1)).toEqual(['g'])
})

test('of many ADDs some have their turn after the others', async () => {
  const { rounds, ask } = turnsOf(names => names.map(() => ({ exitStatus: 0 })))
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`)
  await Promise.all(names.map(name => ask('ADD', name)))
  expect(rounds.flat()).toEqual(names)
  expect(Math.max(...rounds.map(({ length }) => length))).toBe(8)
})

test('whoever is gone by then is not served; who met a lock is asked again, and the others are answered', async () => {
  let isBusy = true
  const { rounds, counted, ask } = turnsOf(names =>
    names.map(name => (name === 'slow' && isBusy ? BUSY : { exitStatus: 1 })),
  )
  void ask('DEL', 'gone', () => false)
  const slow = ask('DEL', 'slow')
  expect(await ask('DEL', 'quick')).toEqual({ exitStatus: 1 })
  expect(counted).toEqual(['DEL'])
  isBusy = false
  expect(await slow).toEqual({ exitStatus: 1 })
  expect(rounds).toEqual([['slow', 'quick'], ['slow']])
  expect(counted).toEqual(['DEL', 'DEL'])
})
