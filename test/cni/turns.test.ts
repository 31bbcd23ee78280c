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

test('DELs that wait have one turn, every other request has its own', async () => {
  const { rounds, counted, ask } = turnsOf(names => names.map(() => ({ exitStatus: 0 })))
  const asked = [ask('ADD', 'a'), ask('DEL', 'b'), ask('DEL', 'c'), ask('ADD', 'd'), ask('DEL', 'e')]
  expect(await Promise.all(asked)).toEqual(asked.map(() => ({ exitStatus: 0 })))
  expect(rounds).toEqual([['a'], ['b', 'c', 'e'], ['d']])
  expect(counted.sort()).toEqual(['ADD', 'ADD', 'DEL', 'DEL', 'DEL'])
  await ask('DEL', 'f')
  expect(rounds.at(-1)).toEqual(['f'])
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
