/**
 * The client and its caches against a real kube-apiserver: verbs, rights, restarts, a lost history.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { ApiError, type KubeApi } from '../../src/kube/api.ts'
import type { BGPPeerObject } from '../../src/kube/bgp-peer.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { BGP_PEERS, type KubeObject, NODES, type ResourceType } from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
}
interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

const ready = missing(['KUBEBUILDER_ASSETS']).length === 0
const withApi = testNeeding('KUBEBUILDER_ASSETS')
let server: TestApiServer
let api: KubeApi

function connect(kubeconfig: string): KubeApi {
  return createKubeApi({
    kubeconfig: loadKubeconfig(kubeconfig),
    clock: systemClock,
    log: silentLog,
    cacheTimes: { backoff: { initialMilliseconds: 100, maximumMilliseconds: 500 } },
  })
}

beforeAll(async () => {
  if (!ready) return
  server = await TestApiServer.start()
  api = connect(server.kubeconfig)
}, 300_000)

afterAll(async () => {
  api?.close()
  await server?.close()
})

function configMap(name: string, data: Record<string, string>): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data }
}

withApi('an object is created, read, patched, replaced, applied and deleted', async () => {
  expect(await api.get(CONFIG_MAPS, 'verbs', 'default')).toBeUndefined()
  const created = await api.create<ConfigMap>(CONFIG_MAPS, configMap('verbs', { a: '1' }))
  expect(created.metadata.uid).toBeString()
  const patched = await api.mergePatch<ConfigMap>(CONFIG_MAPS, 'verbs', { data: { b: '2' } }, { namespace: 'default' })
  expect(patched.data).toEqual({ a: '1', b: '2' })
  const stale = api.replace(CONFIG_MAPS, { ...created, data: {} })
  expect(await stale.catch((error: ApiError) => [error.status, error.reason])).toEqual([409, 'Conflict'])
  expect((await api.replace<ConfigMap>(CONFIG_MAPS, { ...patched, data: { c: '3' } })).data).toEqual({ c: '3' })
  const applied = await api.apply<ConfigMap>(CONFIG_MAPS, configMap('verbs', { d: '4' }), { fieldManager: 'test' })
  expect(applied.data).toEqual({ c: '3', d: '4' })
  expect(await api.delete(CONFIG_MAPS, 'verbs', 'default')).toBe(true)
  expect(await api.delete(CONFIG_MAPS, 'verbs', 'default')).toBe(false)
})

withApi(
  'a list longer than a page is read whole',
  async () => {
    const node = (index: number) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `page-${index}`, labels: { test: 'pages' } },
    })
    const indexes = Array.from({ length: 510 }, (_, index) => index)
    while (indexes.length > 0) await Promise.all(indexes.splice(0, 30).map(index => api.create(NODES, node(index))))
    const listed = await api.list(NODES, { labelSelector: 'test=pages' })
    expect(new Set(listed.map(object => object.metadata.name)).size).toBe(510)
    expect(listed[0]?.kind).toBe('Node')
    server.kubectl(['delete', 'nodes', '-l', 'test=pages', '--wait=false'])
  },
  300_000,
)

withApi('status is written apart from spec, and each speaker applies its own entry', async () => {
  const spec = {
    localSpeakers: ['a', 'b'],
    localAsNumber: 65010,
    peerIP: '172.16.0.1',
    peerAsNumber: 65001,
    nodeSelector: 'all()',
  }
  const head = { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'BGPPeer', metadata: { name: 'status-test' } }
  await api.create(BGP_PEERS, { ...head, spec })
  for (const node of ['a', 'b']) {
    const object = { ...head, status: { speakers: [{ node, state: 'Established' }] } }
    await api.apply<KubeObject>(BGP_PEERS, object, {
      fieldManager: `speaker-${node}`,
      force: true,
      subresource: 'status',
    })
  }
  const both = await api.mergePatch<BGPPeerObject>(
    BGP_PEERS,
    'status-test',
    { status: { sessions: '2/2' } },
    { subresource: 'status' },
  )
  expect(both.status?.speakers?.map(speaker => speaker.node)).toEqual(['a', 'b'])
  expect(both.status?.sessions).toBe('2/2')
  await api.apply<KubeObject>(BGP_PEERS, { ...head, status: {} } as KubeObject, {
    fieldManager: 'speaker-a',
    subresource: 'status',
  })
  const rest = await api.get<BGPPeerObject>(BGP_PEERS, 'status-test')
  expect(rest?.status?.speakers?.map(speaker => speaker.node)).toEqual(['b'])
  await api.delete(BGP_PEERS, 'status-test')
})

withApi('a cache follows adds, changes and deletes', async () => {
  await api.create(CONFIG_MAPS, configMap('follow-1', { a: '1' }))
  const cache = api.cache<ConfigMap>(CONFIG_MAPS, { namespace: 'default' })
  expect(cache.synced).toBe(false)
  let changes = 0
  cache.onChange(() => changes++)
  await eventually('synced', () => cache.synced)
  expect(cache.objects.get('default/follow-1')?.data).toEqual({ a: '1' })
  await api.create(CONFIG_MAPS, configMap('follow-2', {}))
  await eventually('an add', () => cache.objects.has('default/follow-2'))
  await api.mergePatch(CONFIG_MAPS, 'follow-1', { data: { a: '2' } }, { namespace: 'default' })
  await eventually('a change', () => cache.objects.get('default/follow-1')?.data?.a === '2')
  await api.delete(CONFIG_MAPS, 'follow-2', 'default')
  await eventually('a delete', () => !cache.objects.has('default/follow-2'))
  expect(changes).toBeGreaterThanOrEqual(4)
  expect(cache.problem).toBeUndefined()
  cache.close()
})

withApi('what is reduced away does not wake listeners', async () => {
  const reduce = (object: ConfigMap): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: object.metadata.name },
  })
  await api.create(CONFIG_MAPS, configMap('reduced', {}))
  const cache = api.cache<ConfigMap>(CONFIG_MAPS, {
    namespace: 'default',
    fieldSelector: 'metadata.name=reduced',
    reduce,
  })
  await eventually('synced', () => cache.synced)
  let changes = 0
  cache.onChange(() => changes++)
  const before = cache.lastContact
  const patch = { data: { heartbeat: '1' } }
  await Bun.sleep(5)
  await api.mergePatch(CONFIG_MAPS, 'reduced', patch, { namespace: 'default' })
  await eventually('the event came in', () => cache.lastContact !== before)
  expect(changes).toBe(0)
  await api.delete(CONFIG_MAPS, 'reduced', 'default')
  await eventually('the delete came in', () => changes === 1)
  cache.close()
})

withApi(
  'a cache survives a restart of the API server and a history that is gone',
  async () => {
    await api.create(CONFIG_MAPS, configMap('restart-1', {}))
    const cache = api.cache<ConfigMap>(CONFIG_MAPS, { namespace: 'default' })
    await eventually('synced', () => cache.synced)
    let sawItMissing = false
    cache.onChange(() => {
      if (!cache.objects.has('default/restart-1')) sawItMissing = true
    })
    await server.stopApiServer()
    await eventually('the failure is noticed', () => cache.problem?.includes('connection refused'))
    expect(cache.problem).toContain(`the API server ${server.url} does not answer`)
    expect(cache.objects.has('default/restart-1')).toBe(true)
    await server.startApiServer()
    await api.create(CONFIG_MAPS, configMap('restart-2', {}))
    await eventually('the watch goes on', () => cache.objects.has('default/restart-2') && cache.problem === undefined)

    await server.stopApiServer()
    await eventually('down again', () => cache.problem)
    await server.compact()
    await server.startApiServer()
    await api.delete(CONFIG_MAPS, 'restart-2', 'default')
    await eventually('a relist after 410', () => !cache.objects.has('default/restart-2') && cache.problem === undefined)
    expect(sawItMissing).toBe(false)
    cache.close()
  },
  300_000,
)

withApi('a refusal for want of rights is clear, and the cache syncs once they are given', async () => {
  const poor = connect(server.userKubeconfig('user-1'))
  const refused = await poor.list(NODES).catch((error: ApiError) => error)
  expect(refused).toBeInstanceOf(ApiError)
  if (refused instanceof ApiError) {
    expect([refused.status, refused.reason]).toEqual([403, 'Forbidden'])
    expect(refused.message).toContain('User "user-1" cannot list resource "nodes"')
  }
  const cache = poor.cache(NODES)
  await eventually('the refusal is known', () => cache.problem?.includes('cannot list resource "nodes"'))
  expect(cache.synced).toBe(false)
  server.grant('user-1', [{ apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] }])
  await eventually('synced', () => cache.synced && cache.problem === undefined)
  poor.close()
})

withApi('a token that the server does not know is a clear error', async () => {
  const file = server.path('wrong-token.kubeconfig')
  await Bun.write(file, (await Bun.file(server.kubeconfig).text()).replace(server.token(), 'wrong'))
  const stranger = connect(file)
  const error = await stranger.list(NODES).catch((caught: ApiError) => caught)
  expect(error).toMatchObject({ status: 401, reason: 'Unauthorized' })
  stranger.close()
})

withApi('an object that has changed since it was seen is not deleted', async () => {
  const seen = await api.create<ConfigMap>(CONFIG_MAPS, configMap('unchanged', { a: '1' }))
  const now = await api.mergePatch<ConfigMap>(CONFIG_MAPS, 'unchanged', { data: { b: '2' } }, { namespace: 'default' })
  const stale = api.deleteUnchanged(CONFIG_MAPS, seen)
  expect(await stale.catch((error: ApiError) => [error.status, error.reason])).toEqual([409, 'Conflict'])
  expect(await api.deleteUnchanged(CONFIG_MAPS, now)).toBe(true)
  expect(await api.deleteUnchanged(CONFIG_MAPS, now)).toBe(false)
})
