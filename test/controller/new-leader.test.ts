/**
 * A controller that takes over while its watches lag behind: what the leader before it wrote must
 * count. The API server is the lab's; a proxy before it holds the watches back.
 */
import { afterEach, expect, test } from 'bun:test'
import { serveApi } from '../../src/apiserver/serve.ts'
import { ensureCrds } from '../../src/controller/crds.ts'
import { createController } from '../../src/controller/reconcile.ts'
import type { KubeApi } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { BGP_PEERS, LEASES, NODES, type Node, ROUTE_SLICES } from '../../src/kube/resources.ts'
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

/** Hands everything on to `target`; from `freeze` on, nothing of any watch. */
function laggingProxy(target: string): { url: string; freeze(): void } {
  let frozen = false
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      const { method, headers, signal } = request
      const body = method === 'GET' ? undefined : await request.text()
      const answer = await fetch(`${target}${pathname}${search}`, {
        method,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      })
      if (!search.includes('watch=true') || answer.body === null) return new Response(answer.body, answer)
      const held = new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          if (!frozen) controller.enqueue(chunk)
        },
      })
      return new Response(answer.body.pipeThrough(held), answer)
    },
  })
  closers.push(() => server.stop(true))
  return {
    url: `http://127.0.0.1:${server.port}`,
    freeze: () => {
      frozen = true
    },
  }
}

test('a new leader whose watches lag hands out no podCIDR twice, and takes no entry away', async () => {
  const lab = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock })
  closers.push(() => lab.close())
  const admin = connect(`http://127.0.0.1:${lab.port}`)
  await ensureCrds(admin)
  const node = (name: string) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } })
  const status = (address: string) => ({ status: { addresses: [{ type: 'InternalIP', address }] } })
  for (const [name, address] of [
    ['a', '172.16.0.11'],
    ['b', '172.16.0.12'],
  ] as const) {
    await admin.create(NODES, node(name))
    await admin.mergePatch(NODES, name, status(address), { subresource: 'status' })
  }
  await admin.create(LEASES, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'terway-edge-controller', namespace: 'kube-system' },
    spec: { holderIdentity: 'first', leaseDurationSeconds: 3 },
  } as Parameters<KubeApi['create']>[1])

  const proxy = laggingProxy(`http://127.0.0.1:${lab.port}`)
  const controller = createController({
    api: connect(proxy.url),
    events: { record() {}, close: async () => {} },
    clock: systemClock,
    log: silentLog,
    identity: 'second',
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
  await eventually('the second follows', () => controller.view().ready)
  proxy.freeze()
  // the last that the first leader did
  await admin.mergePatch(NODES, 'b', { spec: { podCIDR: '10.0.0.0/25', podCIDRs: ['10.0.0.0/25'] } })
  await admin.create(NODES, node('c'))
  await admin.mergePatch(NODES, 'c', status('172.16.0.13'), { subresource: 'status' })
  await admin.mergePatch(NODES, 'c', { spec: { podCIDR: '10.0.0.128/25', podCIDRs: ['10.0.0.128/25'] } })
  const entry = { node: 'c', addresses: ['172.16.0.13'], podCIDRs: ['10.0.0.128/25'], peers: [] }
  await admin.create<RouteSlice>(ROUTE_SLICES, {
    apiVersion: `${BGP_PEERS.group}/${BGP_PEERS.version}`,
    kind: 'RouteSlice',
    metadata: { name: 'routes-1' },
    entries: [entry],
  })

  const podCIDRs = async (name: string) => (await admin.get<Node>(NODES, name))?.spec?.podCIDRs
  await eventually('the second leads and allocates', async () => (await podCIDRs('a')) !== undefined)
  expect(await podCIDRs('a')).toEqual(['10.0.1.0/25'])
  expect(await podCIDRs('b')).toEqual(['10.0.0.0/25'])
  const slices = await admin.list<RouteSlice>(ROUTE_SLICES)
  expect(slices.flatMap(({ entries }) => entries).find(({ node }) => node === 'c')).toMatchObject(entry)
}, 300_000)
