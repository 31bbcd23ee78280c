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
import { type ClusterSource, createClusterViewSource } from '../../src/kube/cluster-view.ts'
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
}, 300_000)

interface Follower {
  readonly view: ClusterSource
  close(): Promise<void>
}

/** Nodes, each with a state folder that lasts, that follow a cluster. */
function nodesThatFollow(): (url: string, node: string) => Follower {
  const folders = new Map<string, string>()
  closers.push(() => {
    for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true })
  })
  return (url, node) => {
    const stateDir = folders.get(node) ?? mkdtempSync(join(tmpdir(), 'te-restored-'))
    folders.set(node, stateDir)
    const api = connect(url)
    const view = createClusterViewSource({ api, node, stateDir, clock: systemClock, log: silentLog })
    const stop = claimPodCIDRs({ api, view, node, stateDir, clock: systemClock, log: silentLog })
    const close = async () => {
      await stop()
      view.close()
    }
    closers.unshift(close)
    return { view, close }
  }
}

/** Longer than any test: what it waits for does not come by the time. */
const LONG_SECONDS = 3600

test('in a new cluster nodes that say that they never had one get theirs at once; a silent one is waited for', async () => {
  const { url, admin, controller } = await startCluster(LONG_SECONDS)
  const follow = nodesThatFollow()
  for (const name of ['a', 'b']) {
    await register(admin, name)
    follow(url, name)
    await eventually(`${name} has one`, async () => (await podCIDRs(admin))[name] !== undefined)
  }
  await register(admin, 'silent')
  await register(admin, 'd')
  follow(url, 'd')
  const waits = () => controller.view().problems.find(text => text.includes('remembers no pod CIDRs')) ?? ''
  await eventually('d waits for the silent one', () => waits().includes('d, silent get none until silent may'))
  follow(url, 'silent')
  await eventually('all have one', async () => Object.keys(await podCIDRs(admin)).length === 4)
}, 300_000)

test('in a cluster that was restored empty the nodes say what they had, and get it', async () => {
  const names = ['a', 'b', 'c']
  const follow = nodesThatFollow()
  const first = await startCluster(0)
  for (const name of names) {
    await register(first.admin, name)
    await eventually(`${name} has one`, async () => (await podCIDRs(first.admin))[name] !== undefined)
  }
  const before = await podCIDRs(first.admin)
  const followers = names.map(name => follow(first.url, name))
  await eventually('all know', () => followers.every(({ view }) => view.current()?.entries.length === 3))
  for (const { close } of followers) await close()

  const second = await startCluster(LONG_SECONDS)
  await eventually('it has looked before any node is there', () => second.controller.view().ready)
  await register(second.admin, 'c')
  await eventually('it waits', () =>
    second.controller.view().problems.some(text => text.includes('remembers no pod CIDRs')),
  )
  expect(await podCIDRs(second.admin)).toEqual({})
  follow(second.url, 'c')
  await eventually('c has its own', async () => (await podCIDRs(second.admin)).c === before.c)
  await register(second.admin, 'new')
  follow(second.url, 'new')
  const waits = () => second.controller.view().problems.find(text => text.includes('remembers no')) ?? ''
  await eventually('who never had one waits for those that come back', () =>
    waits().includes('new get none until nodes that are not back yet'),
  )
  for (const name of ['b', 'a']) {
    follow(second.url, name)
    await register(second.admin, name)
  }
  await eventually('all have one', async () => Object.keys(await podCIDRs(second.admin)).length === 3)
  expect(await podCIDRs(second.admin)).toEqual(before)
}, 300_000)
