/** Tables of fields: which fields a row names, and a value with these alone. */
import { expect, test } from 'bun:test'
import {
  type Comparisons,
  comparing,
  type FieldTable,
  fieldsOf,
  identical,
  pickFields,
  sameItems,
} from '../../src/lib/fields.ts'

interface Thing {
  readonly a: number
  readonly b?: string
  readonly c: boolean
}
const TABLE: FieldTable<Thing, 'kept' | 'dropped'> = { a: 'kept', b: 'kept', c: 'dropped' }

test('the fields of a table, all or those of one row', () => {
  expect(fieldsOf(TABLE)).toEqual(['a', 'b', 'c'])
  expect(fieldsOf(TABLE, 'kept')).toEqual(['a', 'b'])
})

test('what is not there stays away', () => {
  const thing: Thing = { a: 1, c: true }
  expect(Object.entries(pickFields(thing, fieldsOf(TABLE, 'kept')))).toEqual([['a', 1]])
  expect(pickFields({ ...thing, b: '' }, ['b', 'c'])).toEqual({ b: '', c: true })
})

test('a table without a row for a field does not compile', () => {
  // @ts-expect-error b has no row
  const missing: FieldTable<Thing, 'kept'> = { a: 'kept', c: 'kept' }
  expect(fieldsOf(missing)).toHaveLength(2)
})

test('values are the same when each field that is looked at is', () => {
  const isSame = comparing<Thing>({ a: identical, b: (one = '', other = '') => one === other, c: undefined })
  expect(isSame({ a: 1, c: true }, { a: 1, b: '', c: false })).toBe(true)
  expect(isSame({ a: 1, c: true }, { a: 2, c: true })).toBe(false)
  expect(isSame({ a: 1, c: true }, { a: 1, b: 'x', c: true })).toBe(false)
  // @ts-expect-error it is not said how b is compared
  const missing: Comparisons<Thing> = { a: identical, c: identical }
  expect(comparing(missing)({ a: 1, c: true }, { a: 1, c: false })).toBe(false)
  const [one, other] = [{ b: 1 }, { b: 1, c: undefined }]
  expect([sameItems([one], [other]), sameItems([one], [{ b: 2 }]), sameItems([one], [])]).toEqual([true, false, false])
})
