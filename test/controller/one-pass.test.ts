/**
 * What a leader asks and writes, seen by a proxy before the lab's API server: it lists once, and
 * publishes a podCIDR when it is written, not when the watch says so, and never one that is not.
 */
import { afterEach, expect, test } from 'bun:test'
import { serveApi } from '../../src/apiserver/serve.ts'
import { ensureCrds } from '../../src/controller/crds.ts'
import { createController } from '../../src/controller/reconcile.ts'
import type { KubeApi } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { NODES, type Node, ROUTE_SLICES } from '../../src/kube/resources.ts'
import type { RouteSlice } from '../../src/kube/route-slice.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { eventually } from '../support/namespaces.ts'

let closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers) await close()
  closers = []
})

function connect(server: string): KubeApi {
  const kubeconfig = { server, origin: 'the test', credentials: async () => ({ headers: {} }), refresh() {} }
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
  closers.unshift(() => api.close())
  return api
}

/** Hands on to `target` what `answer` does not answer itself; nothing of watches once `isMute`. */
function proxyOf(target: string, answer: (asked: string) => Response | undefined) {
  const seen = { asked: [] as string[], isMute: false }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, searchParams, search } = new URL(request.url)
      const isWatch = searchParams.get('watch') === 'true'
      const asked = `${isWatch ? 'WATCH' : request.method} ${pathname}`
      seen.asked.push(asked)
      const own = answer(asked)
      if (own !== undefined) return own
      const { method, headers, signal } = request
      const body = method === 'GET' ? {} : { body: await request.text() }
      const answered = await fetch(`${target}${pathname}${search}`, { method, headers, signal, ...body })
      if (!isWatch || answered.body === null) return new Response(answered.body, answered)
      const held = new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          if (!seen.isMute) controller.enqueue(chunk)
        },
      })
      return new Response(answered.body.pipeThrough(held), answered)
    },
  })
  closers.push(() => server.stop(true))
  return Object.assign(seen, { url: `http://127.0.0.1:${server.port}` })
}

/** A controller that leads, its proxy, and who else works with the cluster. */
async function leading(nodes: readonly string[], answer: (asked: string) => Response | undefined) {
  const lab = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock })
  closers.push(() => lab.close())
  const admin = connect(`http://127.0.0.1:${lab.port}`)
  await ensureCrds(admin)
  const register = async (name: string) => {
    const addresses = [{ type: 'InternalIP', address: `172.16.0.${name.charCodeAt(0)}` }]
    await admin.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } })
    await admin.mergePatch(NODES, name, { status: { addresses } }, { subresource: 'status' })
  }
  for (const name of nodes) await register(name)
  const proxy = proxyOf(`http://127.0.0.1:${lab.port}`, answer)
  const controller = createController({
    api: connect(proxy.url),
    events: { record() {}, close: async () => {} },
    clock: systemClock,
    log: silentLog,
    identity: 'only',
    config: {
      podCIDRs: ['10.0.0.0/16'],
      podsPerNode: 128,
      serviceCIDRs: [],
      vpcCIDRs: [],
      dataCenterCIDRs: [],
      edgeNodes: { kind: 'all' },
      foreignPodCIDRs: false,
      allocatePodCIDRs: true,
      rememberSeconds: 0,
      removal: { share: 0.5, number: 2, delayMilliseconds: 600_000 },
      leaseNamespace: 'kube-system',
    },
  })
  closers.unshift(() => controller.close())
  const published = async () =>
    (await admin.list<RouteSlice>(ROUTE_SLICES)).flatMap(({ entries }) => entries.map(({ node }) => node)).sort()
  return { admin, register, proxy, published }
}

test('who takes a Lease that nobody has lists once', async () => {
  const { proxy, published } = await leading(['a', 'b'], () => undefined)
  await eventually('both are published', async () => (await published()).join() === 'a,b')
  expect(proxy.asked.filter(asked => asked === 'GET /api/v1/nodes')).toHaveLength(1)
}, 300_000)

test('a podCIDR is published when it is written, though the watch is silent', async () => {
  const { proxy, published } = await leading(['a'], asked => {
    if (asked === 'PATCH /api/v1/nodes/a') proxy.isMute = true
    return undefined
  })
  await eventually('it is published', async () => (await published()).join() === 'a')
  const after = proxy.asked.slice(proxy.asked.indexOf('PATCH /api/v1/nodes/a'))
  expect(after.filter(asked => asked === 'GET /api/v1/nodes')).toEqual([])
}, 300_000)

test('a podCIDR that could not be written is not published, those of other nodes are', async () => {
  const refusal = { kind: 'Status', status: 'Failure', code: 403, reason: 'Forbidden', message: 'not by you' }
  const { admin, proxy, register, published } = await leading(['a', 'b', 'c'], asked =>
    asked === 'PATCH /api/v1/nodes/b' ? Response.json(refusal, { status: 403 }) : undefined,
  )
  await eventually('the others are published', async () => (await published()).join() === 'a,c')
  const tries = () => proxy.asked.filter(asked => asked === 'PATCH /api/v1/nodes/b').length
  const before = tries()
  await eventually('it is tried again', () => tries() > before)
  await register('d')
  await eventually('one that comes is published', async () => (await published()).join() === 'a,c,d')
  expect((await admin.get<Node>(NODES, 'b'))?.spec?.podCIDRs).toBeUndefined()
}, 300_000)
