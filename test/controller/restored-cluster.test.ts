/**
 * Nodes that register again get the podCIDRs that they had: in a cluster that remembers, and in one
 * that was restored empty, where only the nodes themselves still know. The API server is the lab's.
 */
import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serveApi } from '../../src/apiserver/serve.ts'
import { ensureCrds } from '../../src/controller/crds.ts'
import { type Controller, createController } from '../../src/controller/reconcile.ts'
import type { KubeApi } from '../../src/kube/api.ts'
import { claimPodCIDRs } from '../../src/kube/claim-pod-cidrs.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { createClusterViewSource } from '../../src/kube/cluster-view.ts'
import { CONFIG_MAPS, NODES, type Node, ROUTE_SLICES } from '../../src/kube/resources.ts'
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
  const cacheTimes = { backoff: { initialMilliseconds: 50, maximumMilliseconds: 200 } }
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog, cacheTimes })
  closers.unshift(() => api.close())
  return api
}

async function startCluster(rememberSeconds: number): Promise<{ url: string; admin: KubeApi; controller: Controller }> {
  const server = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock })
  closers.push(() => server.close())
  const url = `http://127.0.0.1:${server.port}`
  const admin = connect(url)
  await ensureCrds(admin)
  const controller = createController({
    api: connect(url),
    events: { record() {}, close: async () => {} },
    clock: systemClock,
    log: silentLog,
    identity: 'leader',
    config: {
      podCIDRs: ['10.0.0.0/16'],
      podsPerNode: 128,
      serviceCIDRs: [],
      vpcCIDRs: [],
      dataCenterCIDRs: [],
      edgeNodes: { kind: 'all' },
      foreignPodCIDRs: false,
      allocatePodCIDRs: true,
      rememberSeconds,
      removal: { share: 0.5, number: 2, delayMilliseconds: 600_000 },
      leaseNamespace: 'kube-system',
    },
  })
  closers.unshift(() => controller.close())
  return { url, admin, controller }
}

async function register(admin: KubeApi, name: string): Promise<void> {
  await admin.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } })
  const addresses = [{ type: 'InternalIP', address: `172.16.0.${name.charCodeAt(0)}` }]
  await admin.mergePatch(NODES, name, { status: { addresses } }, { subresource: 'status' })
}

async function podCIDRs(admin: KubeApi): Promise<Record<string, string>> {
  const nodes = await admin.list<Node>(NODES)
  return Object.fromEntries(
    nodes.flatMap(({ metadata, spec }) => (spec?.podCIDR ? [[metadata.name, spec.podCIDR]] : [])),
  )
}

const published = async (admin: KubeApi) =>
  (await admin.list<RouteSlice>(ROUTE_SLICES)).flatMap(({ entries }) => entries.map(({ node }) => node)).sort()

test('Nodes that are deleted and register again in another order have what they had', async () => {
  const { admin } = await startCluster(0)
  for (const name of ['a', 'b', 'c', 'd']) {
    await register(admin, name)
    await eventually(`${name} has one`, async () => (await podCIDRs(admin))[name] !== undefined)
  }
  const before = await podCIDRs(admin)
  await eventually('published', async () => (await published(admin)).length === 4)
  await admin.delete(NODES, 'b')
  await eventually('gone', async () => !(await published(admin)).includes('b'))
  expect(await admin.get(CONFIG_MAPS, 'terway-edge-former-pod-cidrs', 'kube-system')).toMatchObject({
    data: { b: expect.stringContaining(before.b ?? '') },
  })
  await admin.delete(NODES, 'a')
  await register(admin, 'new')
  await register(admin, 'b')
  await register(admin, 'a')
  await eventually('all have one', async () => Object.keys(await podCIDRs(admin)).length === 5)
  const after = await podCIDRs(admin)
  expect(after).toMatchObject(before)
  expect(Object.values(before)).not.toContain(after.new)
}, 30_000)

test('in a cluster that was restored empty the nodes say what they had, and get it', async () => {
  const names = ['a', 'b', 'c']
  const folders = new Map(names.map(name => [name, mkdtempSync(join(tmpdir(), 'te-restored-'))]))
  closers.push(() => {
    for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true })
  })
  const follow = (url: string, node: string) => {
    const api = connect(url)
    const options = { node, stateDir: folders.get(node) ?? '', clock: systemClock, log: silentLog }
    const view = createClusterViewSource({ api, ...options })
    const stop = claimPodCIDRs({ api, view, node, clock: systemClock, log: silentLog })
    const close = async () => {
      await stop()
      view.close()
    }
    closers.unshift(close)
    return { view, close }
  }

  const first = await startCluster(0)
  for (const name of names) {
    await register(first.admin, name)
    await eventually(`${name} has one`, async () => (await podCIDRs(first.admin))[name] !== undefined)
  }
  const before = await podCIDRs(first.admin)
  const followers = names.map(name => follow(first.url, name))
  await eventually('all know', () => followers.every(({ view }) => view.current()?.entries.length === 3))
  for (const { close } of followers) await close()

  const second = await startCluster(60)
  await register(second.admin, 'c')
  await eventually('it waits', () =>
    second.controller.view().problems.some(text => text.includes('remembers no pod CIDRs')),
  )
  expect(await podCIDRs(second.admin)).toEqual({})
  for (const name of [...names].reverse()) follow(second.url, name)
  for (const name of ['b', 'a']) await register(second.admin, name)
  await eventually('all have one', async () => Object.keys(await podCIDRs(second.admin)).length === 3)
  expect(await podCIDRs(second.admin)).toEqual(before)
  await eventually('no more wait', () => !second.controller.view().problems.some(text => text.includes('remembers no')))
}, 30_000)
