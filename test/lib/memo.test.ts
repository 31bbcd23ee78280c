import { expect, test } from 'bun:test'
import { memoByObject, memoByText, memoLast } from '../../src/lib/memo.ts'

test('by object: computed once for each, also where the answer is undefined', () => {
  const asked: object[] = []
  const answer = memoByObject((key: { value?: number }) => {
    asked.push(key)
    return key.value
  })
  const [a, b] = [{ value: 1 }, {}]
  expect([answer(a), answer(b), answer(a), answer(b)]).toEqual([1, undefined, 1, undefined])
  expect(asked).toEqual([a, b])
})

test('by text: at most so many are kept', () => {
  let computed = 0
  const answer = memoByText(2, text => {
    computed++
    return text.length
  })
  expect(['a', 'bb', 'a', 'ccc', 'a'].map(answer)).toEqual([1, 2, 1, 3, 1])
  expect(computed).toBe(4)
})

test('the last: while each argument is the same', () => {
  let computed = 0
  const answer = memoLast((list: readonly number[], more: object | undefined) => {
    computed++
    return list.length + (more === undefined ? 0 : 1)
  })
  const [list, more] = [[1, 2], {}]
  expect([answer(list, more), answer(list, more), answer(list, undefined), answer([...list], undefined)]).toEqual([
    3, 3, 2, 2,
  ])
  expect(computed).toBe(3)
})

test('the last: fewer arguments are others', () => {
  const answer = memoLast((...words: string[]) => words.join())
  expect([answer('a', 'b'), answer('a'), answer('a', 'b')]).toEqual(['a,b', 'a', 'a,b'])
})
