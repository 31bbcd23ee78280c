/**
 * The patch formats: RFC 7396 appendix A, RFC 6902 appendix A in part, and strategic merge as far
 * as the lab has it.
 */
import { describe, expect, test } from 'bun:test'
import { isFailure } from '../../src/apiserver/failure.ts'
import type { Json } from '../../src/apiserver/json.ts'
import { jsonPatch, mergePatch, strategicMergePatch } from '../../src/apiserver/patch.ts'

describe('JSON merge patch', () => {
  const cases: readonly (readonly [Json, Json, Json])[] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [target, patch, result] of cases) {
    test(`${JSON.stringify(target)} + ${JSON.stringify(patch)}`, () =>
      expect(mergePatch(target, patch)).toEqual(result))
  }
})

describe('JSON patch', () => {
  const cases: readonly (readonly [string, Json, Json, Json])[] = [
    ['adds a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    ['adds into a list', { foo: ['a', 'c'] }, [{ op: 'add', path: '/foo/1', value: 'b' }], { foo: ['a', 'b', 'c'] }],
    ['adds at the end', { foo: ['a'] }, [{ op: 'add', path: '/foo/-', value: 'b' }], { foo: ['a', 'b'] }],
    ['removes', { foo: ['a', 'b'], x: 1 }, [{ op: 'remove', path: '/foo/0' }], { foo: ['b'], x: 1 }],
    ['replaces', { a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: 2 }], { a: { b: 2 } }],
    ['moves', { a: { x: 1 }, b: {} }, [{ op: 'move', from: '/a/x', path: '/b/y' }], { a: {}, b: { y: 1 } }],
    ['copies', { a: 1 }, [{ op: 'copy', from: '/a', path: '/b' }], { a: 1, b: 1 }],
    ['unescapes', { 'a/b': 1, '~': 2 }, [{ op: 'remove', path: '/a~1b' }], { '~': 2 }],
  ]
  for (const [name, target, patch, result] of cases) {
    test(name, () => expect(jsonPatch(target, patch)).toEqual(result))
  }
  test('a failed test, a missing place and a wrong index are refused', () => {
    expect(isFailure(jsonPatch({ a: 1 }, [{ op: 'test', path: '/a', value: 2 }]))).toBe(true)
    expect(isFailure(jsonPatch({ a: 1 }, [{ op: 'replace', path: '/b', value: 2 }]))).toBe(true)
    expect(isFailure(jsonPatch({ a: [] }, [{ op: 'add', path: '/a/3', value: 2 }]))).toBe(true)
    expect(isFailure(jsonPatch({ a: 1 }, [{ op: 'add', path: 'a', value: 2 }]))).toBe(true)
  })
})

describe('strategic merge patch', () => {
  const node: Json = { status: { conditions: [{ type: 'Ready', status: 'False', reason: 'x' }], list: [1, 2] } }
  test('lists of conditions merge by type, other lists are replaced', () => {
    const patch = { status: { conditions: [{ type: 'Ready', status: 'True' }, { type: 'New' }], list: [3] } }
    expect(strategicMergePatch(node, patch)).toEqual({
      status: { conditions: [{ type: 'Ready', status: 'True', reason: 'x' }, { type: 'New' }], list: [3] },
    })
  })
  test('directives delete, replace and are never stored', () => {
    const patch = { status: { '$setElementOrder/conditions': [], conditions: [{ $patch: 'delete', type: 'Ready' }] } }
    expect(strategicMergePatch(node, patch)).toEqual({ status: { conditions: [], list: [1, 2] } })
    expect(strategicMergePatch(node, { status: { $patch: 'replace', a: 1 } })).toEqual({ status: { a: 1 } })
    expect(strategicMergePatch(node, { status: { '$deleteFromPrimitiveList/list': [2] } })).toMatchObject({
      status: { list: [1] },
    })
  })
})
