import { expect, test } from 'bun:test'
import { Glob } from 'bun'
import { counted } from '../../src/lib/count-text.ts'

test('one, many, and more than a number is read as', () => {
  expect([0, 1, 2].map(number => counted(number, 'node'))).toEqual(['0 nodes', '1 node', '2 nodes'])
  expect(counted(2, 'vSwitch', 'vSwitches')).toBe('2 vSwitches')
  expect(counted(2 ** 57, 'node')).toBe('2^57 nodes')
})

test('nobody puts the s behind a count by hand', async () => {
  const byHand: string[] = []
  for await (const file of new Glob('src/**/*.ts').scan('.')) {
    const isHelper = file === 'src/lib/count-text.ts'
    if (!isHelper && /=== 1 \? '' : 's'/.test(await Bun.file(file).text())) byHand.push(file)
  }
  expect(byHand).toEqual([])
})
