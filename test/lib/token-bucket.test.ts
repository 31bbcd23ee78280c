/** What a token bucket gives, and when it has more. */
import { expect, test } from 'bun:test'
import { take } from '../../src/lib/token-bucket.ts'

const RATE = { burst: 3, everyMilliseconds: 500 }

test('so many at once, then one more each time, and never more saved up than that', () => {
  let bucket = take(undefined, RATE, 0)
  for (let taken = 1; taken < 3; taken++) bucket = take(bucket, RATE, 0)
  expect(bucket?.tokens).toBe(0)
  expect(take(bucket, RATE, 100)).toBeUndefined()
  expect(take(bucket, RATE, 499)).toBeUndefined()
  expect(take(bucket, RATE, 500)?.tokens).toBe(0)
  expect(take(bucket, RATE, 1_000_000)?.tokens).toBe(2)
})

test('a clock that was set back takes nothing away', () => {
  const bucket = take(undefined, RATE, 10_000)
  expect(take(bucket, RATE, 0)?.tokens).toBe(1)
})
