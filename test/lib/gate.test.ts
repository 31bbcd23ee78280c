import { expect, test } from 'bun:test'
import { Gate } from '../../src/lib/gate.ts'

test('so many at a time, in the order in which they came, whoever of them fails', async () => {
  const gate = new Gate(2)
  const began: number[] = []
  const turns = Array.from({ length: 6 }, () => Promise.withResolvers<void>())
  let [running, most] = [0, 0]
  const outcomes = turns.map(({ promise }, index) =>
    gate.run(async () => {
      began.push(index)
      most = Math.max(most, ++running)
      await promise
      running--
      if (index === 1) throw new Error('its own')
      return index
    }),
  )
  const settled = Promise.allSettled(outcomes)
  await Bun.sleep(0)
  expect(began).toEqual([0, 1])
  turns[1]?.resolve()
  await Bun.sleep(0)
  expect(began).toEqual([0, 1, 2])
  for (const { resolve } of turns) resolve()
  expect((await settled).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    ...Array<'fulfilled'>(4).fill('fulfilled'),
  ])
  expect([began, most, running]).toEqual([[0, 1, 2, 3, 4, 5], 2, 0])
  expect(await gate.run(async () => 'open again')).toBe('open again')
})

test('closed: who is inside goes on, who waits and who comes is refused', async () => {
  const gate = new Gate(1)
  const began: string[] = []
  const inside = Promise.withResolvers<void>()
  const first = gate.run(async () => {
    began.push('first')
    await inside.promise
    return 'done'
  })
  const others = Promise.allSettled([
    gate.run(async () => began.push('second')),
    gate.run(async () => began.push('third')),
  ])
  gate.close()
  expect((await others).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await expect(gate.run(async () => began.push('fourth'))).rejects.toThrow('stopped')
  inside.resolve()
  expect(await first).toBe('done')
  expect(began).toEqual(['first'])
})
