/** The lab's API server by its requests and answers, without a port. */
import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '../../src/apiserver/json.ts'
import { LabApi } from '../../src/apiserver/lab-api.ts'
import { serveApi } from '../../src/apiserver/serve.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { FakeClock } from '../support/fake-clock.ts'

const CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.example.io' },
  spec: {
    group: 'example.io',
    scope: 'Cluster',
    names: { plural: 'things', kind: 'Thing' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'List', type: 'string', jsonPath: '.spec.list' },
          { name: 'Wide', type: 'integer', jsonPath: '.spec.size', priority: 1 },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  list: { type: 'array', items: { type: 'string' } },
                  size: { type: 'integer', default: 3 },
                },
              },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
}
const THING = { apiVersion: 'example.io/v1', kind: 'Thing', metadata: { name: 't' }, spec: { list: ['a', 'b'] } }
const THINGS = '/apis/example.io/v1/things'

function start(options: { historyLength?: number } = {}) {
  const clock = new FakeClock()
  const api = new LabApi({ clock, ...options })
  const send = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const response = await api.fetch(
      new Request(`http://lab${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
    const answer = (await response.json()) as JsonObject
    return { code: response.status, answer }
  }
  const patch = (path: string, type: string, body: object) =>
    send('PATCH', path, body, { 'content-type': `application/${type}` })
  return { api, clock, send, patch }
}

/** Reads `count` events of a watch, then ends it. */
async function events(api: LabApi, path: string, count: number): Promise<{ type: string; object: JsonObject }[]> {
  const response = await api.fetch(new Request(`http://lab${path}`))
  const reader = response.body?.getReader()
  if (reader === undefined) throw new Error('a watch has a body')
  let text = ''
  while (text.trim().split('\n').length < count || !text.endsWith('}\n')) {
    const { done, value } = await reader.read()
    if (done) break
    text += new TextDecoder().decode(value)
  }
  await reader.cancel()
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

describe('objects', () => {
  test('are created once, read, replaced with the newest version only, and deleted', async () => {
    const { send } = start()
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, status: { phase: 'kept' } }
    const created = await send('POST', '/api/v1/nodes', node)
    expect(created.code).toBe(201)
    expect(created.answer).toMatchObject({
      status: { phase: 'kept' },
      metadata: { name: 'n', uid: expect.any(String) },
    })
    expect((await send('POST', '/api/v1/nodes', node)).answer).toMatchObject({ code: 409, reason: 'AlreadyExists' })
    const changed = { ...created.answer, spec: { podCIDR: '10.0.0.0/25' } }
    const replaced = await send('PUT', '/api/v1/nodes/n', changed)
    expect(replaced.answer).toMatchObject({ spec: { podCIDR: '10.0.0.0/25', podCIDRs: ['10.0.0.0/25'] } })
    expect((await send('PUT', '/api/v1/nodes/n', changed)).answer).toMatchObject({ code: 409, reason: 'Conflict' })
    const moved = { ...replaced.answer, spec: { podCIDR: '10.0.1.0/25', podCIDRs: ['10.0.1.0/25'] } }
    expect((await send('PUT', '/api/v1/nodes/n', moved)).code).toBe(422)
    expect((await send('DELETE', '/api/v1/nodes/n')).answer).toMatchObject({ status: 'Success' })
    expect((await send('GET', '/api/v1/nodes/n')).answer).toMatchObject({ code: 404, reason: 'NotFound' })
  })

  test('a write that changes nothing makes no new version', async () => {
    const { send, patch, api } = start()
    await send('POST', '/api/v1/nodes', { metadata: { name: 'n' } })
    const { revision } = api.store
    await patch('/api/v1/nodes/n', 'merge-patch+json', { metadata: { labels: null } })
    expect(api.store.revision).toBe(revision)
  })

  test('a namespace that is not there, a wrong kind and an unknown resource are refused', async () => {
    const { send } = start()
    expect((await send('POST', '/api/v1/namespaces/no/secrets', { metadata: { name: 's' } })).code).toBe(404)
    expect((await send('POST', '/api/v1/nodes', { kind: 'Secret', metadata: { name: 's' } })).code).toBe(400)
    expect((await send('GET', '/apis/example.io/v1/things')).code).toBe(404)
  })

  test('finalizers hold an object that is deleted', async () => {
    const { send, patch } = start()
    await send('POST', '/api/v1/nodes', { metadata: { name: 'n', finalizers: ['x.io/y'] } })
    const held = await send('DELETE', '/api/v1/nodes/n')
    expect(held.answer).toMatchObject({ metadata: { deletionTimestamp: expect.any(String) } })
    await patch('/api/v1/nodes/n', 'merge-patch+json', { metadata: { finalizers: null } })
    expect((await send('GET', '/api/v1/nodes/n')).code).toBe(404)
  })

  test('a dry run stores nothing', async () => {
    const { send } = start()
    expect((await send('POST', '/api/v1/nodes?dryRun=All', { metadata: { name: 'n' } })).code).toBe(201)
    expect((await send('GET', '/api/v1/nodes/n')).code).toBe(404)
  })
})

describe('state file', () => {
  test('keeps objects and definitions from one life to the next', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'te-api-'))
    const options = { hostname: '127.0.0.1', port: 0, clock: systemClock, stateFile: join(folder, 'state.json') }
    try {
      const first = serveApi(options)
      const post = (path: string, body: object) =>
        fetch(`http://127.0.0.1:${first.port}${path}`, { method: 'POST', body: JSON.stringify(body) })
      await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CRD)
      await post(THINGS, THING)
      const { revision } = first.api.store
      await first.close()
      const second = serveApi(options)
      expect(second.api.store.revision).toBe(revision)
      const answer = await fetch(`http://127.0.0.1:${second.port}${THINGS}/t`)
      expect(await answer.json()).toMatchObject({ spec: { list: ['a', 'b'], size: 3 } })
      await second.close()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('custom resources', () => {
  test('appear with their definition and go with it', async () => {
    const { send } = start()
    const crd = await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CRD)
    expect(crd.answer).toMatchObject({ status: { acceptedNames: { listKind: 'ThingList' } } })
    expect((await send('POST', THINGS, THING)).answer).toMatchObject({ spec: { size: 3 }, metadata: { generation: 1 } })
    await send('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.io')
    expect((await send('GET', THINGS)).code).toBe(404)
  })

  test('status is written apart; only the rest counts as a generation', async () => {
    const { send, patch } = start()
    await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CRD)
    const created = await send('POST', THINGS, { ...THING, status: { x: 1 } })
    expect(created.answer.status).toBeUndefined()
    const status = await patch(`${THINGS}/t/status`, 'merge-patch+json', { spec: { size: 9 }, status: { x: 1 } })
    expect(status.answer).toMatchObject({ status: { x: 1 }, spec: { size: 3 }, metadata: { generation: 1 } })
    const spec = await patch(`${THINGS}/t`, 'merge-patch+json', { spec: { size: 9 }, status: { x: 2 } })
    expect(spec.answer).toMatchObject({ status: { x: 1 }, spec: { size: 9 }, metadata: { generation: 2 } })
  })

  test('what the schema forbids is refused with its path', async () => {
    const { send } = start()
    await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CRD)
    const refused = await send('POST', THINGS, { ...THING, spec: { size: 'big' } })
    expect(refused.answer).toMatchObject({ code: 422, details: { causes: [{ field: 'spec.size' }] } })
    const strict = await send('POST', `${THINGS}?fieldValidation=Strict`, { ...THING, spec: { sise: 1 } })
    expect(strict.answer).toMatchObject({ code: 400, message: 'strict decoding error: unknown field "spec.sise"' })
  })

  test('the table has the columns of the definition', async () => {
    const { send } = start()
    await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CRD)
    await send('POST', THINGS, THING)
    const { answer } = await send('GET', THINGS, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    expect(answer).toMatchObject({
      kind: 'Table',
      columnDefinitions: [{ name: 'Name', format: 'name' }, { name: 'List' }, { name: 'Wide', priority: 1 }],
      rows: [{ cells: ['t', '["a","b"]', 3] }],
    })
  })

  test('server-side apply makes and changes objects; two managers do not overwrite each other', async () => {
    const { send, patch } = start()
    await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CRD)
    const created = await patch(`${THINGS}/t?fieldManager=a`, 'apply-patch+yaml', THING)
    expect(created.code).toBe(201)
    const refused = await patch(`${THINGS}/t?fieldManager=b`, 'apply-patch+yaml', { ...THING, spec: { list: [] } })
    expect(refused.answer).toMatchObject({ code: 409, reason: 'Conflict' })
    const status = { apiVersion: 'example.io/v1', kind: 'Thing', metadata: { name: 't' }, status: { seen: true } }
    const applied = await patch(`${THINGS}/t/status?fieldManager=b`, 'apply-patch+yaml', status)
    expect(applied.answer).toMatchObject({ spec: { list: ['a', 'b'] }, status: { seen: true } })
  })
})

describe('lists', () => {
  test('come in pages that stay as they were when the first was read', async () => {
    const { send } = start()
    for (const name of ['a', 'b', 'c']) await send('POST', '/api/v1/nodes', { metadata: { name } })
    const first = await send('GET', '/api/v1/nodes?limit=2')
    expect(first.answer).toMatchObject({ items: [{}, {}], metadata: { remainingItemCount: 1 } })
    await send('DELETE', '/api/v1/nodes/c')
    const token = new URLSearchParams({ continue: String((first.answer.metadata as JsonObject).continue) })
    const second = await send('GET', `/api/v1/nodes?limit=2&${token}`)
    expect(second.answer).toMatchObject({ items: [{ metadata: { name: 'c' } }] })
  })

  test('a page of a list that is no longer known is gone', async () => {
    const { send } = start({ historyLength: 2 })
    for (const name of ['a', 'b', 'c']) await send('POST', '/api/v1/nodes', { metadata: { name } })
    const first = await send('GET', '/api/v1/nodes?limit=1')
    for (const name of ['d', 'e', 'f', 'g']) await send('POST', '/api/v1/nodes', { metadata: { name } })
    const token = new URLSearchParams({ continue: String((first.answer.metadata as JsonObject).continue) })
    expect((await send('GET', `/api/v1/nodes?${token}`)).answer).toMatchObject({ code: 410, reason: 'Expired' })
  })
})

describe('watches', () => {
  test('go on from a version, and see an object leave and enter a selection', async () => {
    const { send, patch, api } = start()
    const label = (name: string, value: string | null) =>
      patch(`/api/v1/nodes/${name}`, 'merge-patch+json', { metadata: { labels: { lan: value } } })
    await send('POST', '/api/v1/nodes', { metadata: { name: 'n', labels: { lan: 'a' } } })
    const from = api.store.revision
    await label('n', 'b')
    await label('n', 'a')
    await send('POST', '/api/v1/nodes', { metadata: { name: 'other' } })
    await send('DELETE', '/api/v1/nodes/n')
    const seen = await events(api, `/api/v1/nodes?watch=true&labelSelector=lan%3Da&resourceVersion=${from}`, 3)
    expect(seen.map(({ type }) => type)).toEqual(['DELETED', 'ADDED', 'DELETED'])
  })

  test('begin with all there is when no version is named, and hear what comes', async () => {
    const { send, api } = start()
    await send('POST', '/api/v1/nodes', { metadata: { name: 'a' } })
    const seen = events(api, '/api/v1/nodes?watch=true', 2)
    await send('POST', '/api/v1/nodes', { metadata: { name: 'b' } })
    expect((await seen).map(({ type, object }) => [type, (object.metadata as JsonObject).name])).toEqual([
      ['ADDED', 'a'],
      ['ADDED', 'b'],
    ])
  })

  test('of a version that is too old end with 410', async () => {
    const { send, api } = start({ historyLength: 2 })
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await send('POST', '/api/v1/nodes', { metadata: { name } })
    const [event] = await events(api, '/api/v1/nodes?watch=true&resourceVersion=1', 1)
    expect(event).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })
  })

  test('are told the version by bookmarks, and end after their time', async () => {
    const { clock, api } = start()
    const path = `/api/v1/nodes?watch=true&allowWatchBookmarks=true&timeoutSeconds=90&resourceVersion=${api.store.revision}`
    const response = await api.fetch(new Request(`http://lab${path}`))
    const text = response.text()
    await clock.advance(90_000)
    const lines = (await text).trim().split('\n')
    expect(lines.map(line => JSON.parse(line).type)).toEqual(['BOOKMARK', 'BOOKMARK'])
    expect(clock.pending).toBe(0)
  })
})
