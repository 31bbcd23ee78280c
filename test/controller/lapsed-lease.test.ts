/**
 * A leader whose Lease runs out unseen (the machine was suspended, a request hung) and is renewed:
 * what a pass left undone meanwhile is done.
 */
import { afterEach, expect, test } from 'bun:test'
import { serveApi } from '../../src/apiserver/serve.ts'
import { ensureCrds } from '../../src/controller/crds.ts'
import { createController } from '../../src/controller/reconcile.ts'
import type { KubeApi } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { NODES, type Node } from '../../src/kube/resources.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { eventually } from '../support/namespaces.ts'

let closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers) await close()
  closers = []
})

/** The lab's API server, behind a proxy that can hold back requests for the Lease. */
function slowLease(): { url: string; hold(): void; release(): void } {
  const lab = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock })
  let held = Promise.resolve()
  let release = () => {}
  const proxy = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      if (pathname.includes('/leases')) await held
      const { method, headers, signal } = request
      const body = method === 'GET' ? {} : { body: await request.text() }
      const answer = await fetch(`http://127.0.0.1:${lab.port}${pathname}${search}`, {
        method,
        headers,
        signal,
        ...body,
      })
      return new Response(answer.body, answer)
    },
  })
  closers.push(
    () => proxy.stop(true),
    () => lab.close(),
  )
  return {
    url: `http://127.0.0.1:${proxy.port}`,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      release = resolve
    },
    release: () => release(),
  }
}

function connect(server: string): KubeApi {
  const kubeconfig = { server, origin: 'the test', credentials: async () => ({ headers: {} }), refresh() {} }
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
  closers.unshift(() => api.close())
  return api
}

test('a pass while the Lease had run out is made up for when it is renewed', async () => {
  const server = slowLease()
  const admin = connect(server.url)
  await ensureCrds(admin)
  let suspendedMilliseconds = 0
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + suspendedMilliseconds }
  const controller = createController({
    api: connect(server.url),
    events: { record() {}, close: async () => {} },
    clock,
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
  await eventually('it leads', () => controller.view().ready && controller.view().isLeader)

  server.hold()
  suspendedMilliseconds = 11_000
  expect(controller.view().isLeader).toBe(false)
  await admin.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'late' } })
  await eventually('the pass', () => controller.view().nodes.some(({ name }) => name === 'late'))
  await Bun.sleep(300) // whatever that pass would do is done
  expect((await admin.get<Node>(NODES, 'late'))?.spec?.podCIDRs).toBeUndefined()
  server.release()
  await eventually(
    'it is made up for',
    async () => (await admin.get<Node>(NODES, 'late'))?.spec?.podCIDRs !== undefined,
  )
}, 300_000)
