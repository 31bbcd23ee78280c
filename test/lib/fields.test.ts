/** Tables of fields: which fields a row names, and a value with these alone. */
import { expect, test } from 'bun:test'
import { type FieldTable, fieldsOf, pickFields } from '../../src/lib/fields.ts'

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
