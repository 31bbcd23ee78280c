/** Selectors, schemas, columns, paths and Accept headers of the lab's API server. */
import { describe, expect, test } from 'bun:test'
import { age, jsonPath } from '../../src/apiserver/columns.ts'
import { isFailure } from '../../src/apiserver/failure.ts'
import type { JsonObject } from '../../src/apiserver/json.ts'
import { decodeAccept, decodeContinue, decodePath, encodeContinue } from '../../src/apiserver/request.ts'
import { conform, unknownFields, validate } from '../../src/apiserver/schema.ts'
import { fieldSelector, labelSelector } from '../../src/apiserver/selectors.ts'
import { Store } from '../../src/apiserver/store.ts'

describe('label selectors', () => {
  const object: JsonObject = { metadata: { name: 'n', labels: { a: 'b', 'x.io/y': '' } } }
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['a=b', true],
    ['a==b,x.io/y', true],
    ['a!=b', false],
    ['c!=b', true],
    ['a in (b, c)', true],
    ['a notin (b,c)', false],
    ['c notin (b)', true],
    ['!c', true],
    ['!a', false],
    ['c', false],
    ['x.io/y=', true],
  ]
  for (const [text, expected] of cases) {
    test(text === '' ? '(empty)' : text, () => {
      const matches = labelSelector(text)
      expect(isFailure(matches) ? matches : matches(object)).toBe(expected)
    })
  }
  test('nonsense is refused', () => {
    expect(isFailure(labelSelector('a=b=c'))).toBe(true)
    expect(isFailure(labelSelector('a in b'))).toBe(true)
  })
})

describe('field selectors', () => {
  const event: JsonObject = { metadata: { name: 'e', namespace: 'd' }, involvedObject: { kind: 'Node', name: 'n' } }
  test('select by name and by what is involved', () => {
    const matches = fieldSelector('Event', 'involvedObject.name=n,involvedObject.kind!=Pod,metadata.namespace=d')
    expect(!isFailure(matches) && matches(event)).toBe(true)
    const others = fieldSelector('Event', 'involvedObject.name=m')
    expect(!isFailure(others) && others(event)).toBe(false)
  })
  test('a field that cannot be selected is refused', () => {
    expect(isFailure(fieldSelector('Node', 'spec.podCIDR=x'))).toBe(true)
  })
})

describe('schemas', () => {
  const schema: JsonObject = {
    type: 'object',
    required: ['name', 'asn'],
    properties: {
      name: { type: 'string', pattern: '^[a-z]+$' },
      asn: { type: 'integer', minimum: 1, maximum: 4294967295 },
      port: { type: 'integer', default: 179 },
      mode: { type: 'string', enum: ['a', 'b'] },
      list: { type: 'array', minItems: 1, items: { type: 'string' } },
      any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  }
  test('defaults come in, unknown fields go out', () => {
    const value = { name: 'x', asn: 1, extra: 1, any: { kept: true } }
    expect(conform(value, schema)).toEqual({ name: 'x', asn: 1, port: 179, any: { kept: true } })
    expect(unknownFields(value, schema)).toEqual(['extra'])
  })
  test('every problem is told with its path', () => {
    const problems = validate({ name: 'X', list: [1], mode: 'c', port: 1.5 }, schema)
    expect(problems.map(({ field }) => field).sort()).toEqual(['asn', 'list[0]', 'mode', 'name', 'port'])
    expect(validate({ name: 'x', asn: 0, list: [] }, schema).map(({ field }) => field)).toEqual(['asn', 'list'])
    expect(validate({ name: 'x', asn: 4294967295 }, schema)).toEqual([])
  })
})

describe('tables', () => {
  test('ages are printed as kubectl prints them', () => {
    const since = '2026-01-01T00:00:00Z'
    const at = (seconds: number) => age(since, Date.parse(since) + seconds * 1000)
    expect([0, 119, 120, 310, 600, 10_800, 11_100, 86_400, 172_800, 180_000, 8 * 86_400].map(at)).toEqual([
      '0s',
      '119s',
      '2m',
      '5m10s',
      '10m',
      '3h',
      '3h5m',
      '24h',
      '2d',
      '2d2h',
      '8d',
    ])
  })
  test('printer columns find their values', () => {
    const object = { status: { list: [1, 2], conditions: [{ type: 'A' }, { type: 'B', status: 'True' }] } }
    expect(jsonPath(object, '.status.conditions[?(@.type=="B")].status')).toEqual(['True'])
    expect(jsonPath(object, '.status.list[1]')).toEqual([2])
    expect(jsonPath(object, '.status.list[*]')).toEqual([1, 2])
    expect(jsonPath(object, '.status.none.x')).toEqual([])
  })
})

describe('requests', () => {
  test('paths name resources', () => {
    const base = { subresource: '', name: '', namespace: '' }
    expect(decodePath('/api/v1/nodes')).toEqual({ ...base, group: '', version: 'v1', plural: 'nodes' })
    expect(decodePath('/apis/g.io/v2/namespaces/ns/things/x/status')).toEqual({
      group: 'g.io',
      version: 'v2',
      namespace: 'ns',
      plural: 'things',
      name: 'x',
      subresource: 'status',
    })
    expect(decodePath('/api/v1/namespaces/ns')).toEqual({
      ...base,
      group: '',
      version: 'v1',
      plural: 'namespaces',
      name: 'ns',
    })
    expect(decodePath('/nothing/v1/nodes')).toBeUndefined()
  })
  test('the first rendering that is known is taken', () => {
    expect(decodeAccept('application/json;as=Table;v=v1;g=meta.k8s.io,application/json')).toBe('table')
    expect(decodeAccept('application/vnd.kubernetes.protobuf,application/json')).toBe('object')
    expect(decodeAccept('application/vnd.kubernetes.protobuf')).toBeUndefined()
    expect(decodeAccept(null)).toBe('object')
  })
  test('a continue token comes back as it went, and nonsense is none', () => {
    expect(decodeContinue(encodeContinue({ revision: 7, after: 'a/b' }))).toEqual({ revision: 7, after: 'a/b' })
    expect(decodeContinue('x')).toBeUndefined()
  })
})

describe('store', () => {
  const thing = (name: string, value: number): JsonObject => ({ metadata: { name }, value })
  test('a list can be had as it was, until the history is cut', () => {
    const store = new Store({ historyLength: 4 })
    store.put('things', thing('a', 1))
    const then = store.put('things', thing('b', 1))
    const revision = store.revision
    store.put('things', thing('a', 2))
    store.remove('things', 'b')
    expect(store.list('things', revision)?.map(object => object.value)).toEqual([1, 1])
    expect(store.list('things')?.map(object => object.value)).toEqual([2])
    expect(then.metadata).toMatchObject({ resourceVersion: String(revision) })
    for (let count = 0; count < 10; count++) store.put('things', thing('c', count))
    expect(store.list('things', revision)).toBeUndefined()
    expect(store.since(revision)).toBeUndefined()
    expect(store.since(store.revision)).toEqual([])
    // a server that was killed may have lost what it had not kept yet
    expect(store.since(store.revision + 1)).toBeUndefined()
  })
})
