/** Server-side apply as pure functions: ownership, conflicts, force, removal, lists by keys. */
import { describe, expect, test } from 'bun:test'
import { isFailure } from '../../src/apiserver/failure.ts'
import { decodeFields, difference, encodeFields, intersection, union } from '../../src/apiserver/field-tree.ts'
import { at, type JsonObject, listAt } from '../../src/apiserver/json.ts'
import { serverSideApply, trackUpdate, type Writer } from '../../src/apiserver/managed-fields.ts'
import { shapeOfSchema } from '../../src/apiserver/shape.ts'

const shape = shapeOfSchema({
  type: 'object',
  properties: {
    status: {
      type: 'object',
      properties: {
        speakers: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['node'],
          items: { type: 'object' },
        },
        nodes: { type: 'array', 'x-kubernetes-list-type': 'set' },
        plain: { type: 'array' },
      },
    },
  },
})

const TIME = '2026-01-01T00:00:00Z'
function by(manager: string, operation: Writer['operation'] = 'Apply', time = TIME): Writer {
  return { manager, operation, apiVersion: 'v1', subresource: 'status', time }
}
function wish(status: JsonObject): JsonObject {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x' }, status }
}
function apply(live: JsonObject | undefined, manager: string, status: JsonObject, force = false) {
  return serverSideApply({ live, applied: wish(status), writer: by(manager), force, shape })
}
function applied(live: JsonObject | undefined, manager: string, status: JsonObject, force = false): JsonObject {
  const result = apply(live, manager, status, force)
  if (isFailure(result)) throw new Error(result.message)
  return result
}
function managers(object: JsonObject): unknown[] {
  return listAt(object, 'metadata', 'managedFields').map(entry => at(entry, 'manager'))
}

describe('server-side apply', () => {
  test('each manager keeps its own item of a list that is a map', () => {
    const one = applied(undefined, 'a', { speakers: [{ node: 'a', state: 'Idle' }] })
    const two = applied(one, 'b', { speakers: [{ node: 'b', state: 'Idle' }] })
    const three = applied(two, 'a', { speakers: [{ node: 'a', state: 'Established', since: 'x' }] })
    expect(three.status).toEqual({
      speakers: [
        { node: 'a', state: 'Established', since: 'x' },
        { node: 'b', state: 'Idle' },
      ],
    })
    const four = applied(three, 'a', {})
    expect(four.status).toEqual({ speakers: [{ node: 'b', state: 'Idle' }] })
    expect(managers(four)).toEqual(['a', 'b']) // a still owns the (empty) status it applied
  })

  test('a field no longer applied is removed, unless another manager owns it too', () => {
    const one = applied(undefined, 'a', { x: 1, y: 2, deep: { z: 3 } })
    const two = applied(one, 'b', { y: 2 })
    expect(applied(two, 'a', {}).status).toEqual({ y: 2 })
    expect(applied(one, 'a', { x: 1 }).status).toEqual({ x: 1 })
  })

  test('who applied an empty field and then something in it takes nothing away that others have there', () => {
    const others = applied(undefined, 'b', { speakers: [{ node: 'b', state: 'Idle' }] })
    const drained = applied(applied(others, 'a', { speakers: [{ node: 'a', state: 'Idle' }] }), 'a', {})
    const back = applied(drained, 'a', { speakers: [{ node: 'a', state: 'Idle' }] })
    expect(at(back, 'status', 'speakers')).toEqual([
      { node: 'b', state: 'Idle' },
      { node: 'a', state: 'Idle' },
    ])
    expect(applied(back, 'a', {}).status).toEqual({ speakers: [{ node: 'b', state: 'Idle' }] })
  })

  test("another manager's value is a conflict that names the field, or is taken by force", () => {
    const one = applied(undefined, 'a', { x: 1, speakers: [{ node: 'a', state: 'Idle' }] })
    const refused = apply(one, 'b', { x: 2, speakers: [{ node: 'a', state: 'Idle' }] })
    expect(refused).toMatchObject({ failure: true, code: 409, reason: 'Conflict' })
    expect(isFailure(refused) && refused.details?.causes).toEqual([
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "a" with subresource "status" using v1',
        field: '.status.x',
      },
    ])
    const taken = applied(one, 'b', { x: 2 }, true)
    expect(at(taken, 'status', 'x')).toBe(2)
    expect(at(applied(taken, 'a', {}), 'status', 'x')).toBe(2)
  })

  test('sets are united and each owner removes its own; other lists have one owner', () => {
    const one = applied(undefined, 'a', { nodes: ['n1'], plain: [1] })
    const two = applied(one, 'b', { nodes: ['n2'] })
    expect(at(two, 'status', 'nodes')).toEqual(['n1', 'n2'])
    expect(at(applied(two, 'a', { plain: [1] }), 'status', 'nodes')).toEqual(['n2'])
    expect(isFailure(apply(two, 'b', { plain: [2] }))).toBe(true)
  })

  test('applying the same again changes nothing, not even the time', () => {
    const one = applied(undefined, 'a', { x: 1 })
    const again = serverSideApply({
      live: one,
      applied: wish({ x: 1 }),
      writer: by('a', 'Apply', 'later'),
      force: false,
      shape,
    })
    expect(again).toEqual(one)
  })

  test('an update takes what it changes and removes what it drops', () => {
    const one = applied(undefined, 'a', { x: 1, y: 2, z: 3 })
    const updated = trackUpdate(one, { ...one, status: { x: 9, y: 2 } }, by('u', 'Update'), shape)
    const fields = listAt(updated, 'metadata', 'managedFields').map(entry => at(entry, 'fieldsV1'))
    expect(fields).toEqual([{ 'f:status': { 'f:y': {} } }, { 'f:status': { 'f:x': {} } }])
    expect(isFailure(apply(updated, 'a', { x: 1, y: 2 }))).toBe(true)
  })

  test('null is not applied', () => {
    expect(applied(undefined, 'a', { x: null, y: 1 }).status).toEqual({ y: 1 })
  })
})

describe('field trees', () => {
  const a = decodeFields({ 'f:x': {}, 'k:{"n":1}': { '.': {}, 'f:y': {} } })
  const b = decodeFields({ 'f:x': {}, 'k:{"n":1}': { 'f:y': {} }, 'f:z': {} })
  test('union, difference and intersection', () => {
    expect(encodeFields(union(a, b))).toEqual({ 'f:x': {}, 'f:z': {}, 'k:{"n":1}': { '.': {}, 'f:y': {} } })
    expect(encodeFields(difference(a, b))).toEqual({ 'k:{"n":1}': {} })
    expect(encodeFields(intersection(a, b))).toEqual({ 'f:x': {}, 'k:{"n":1}': { 'f:y': {} } })
  })
})
