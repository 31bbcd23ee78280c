/**
 * What a node does when its disk takes nothing: a state that could not be stored is stored later,
 * also when nothing changes any more.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cache, KubeApi } from '../../src/kube/api.ts'
import { clusterStatePath, loadClusterState } from '../../src/kube/cluster-state.ts'
import { createClusterViewSource } from '../../src/kube/cluster-view.ts'
import { type KubeObject, ROUTE_SLICES } from '../../src/kube/resources.ts'
import { silentLog } from '../../src/lib/log.ts'
import { FakeClock } from '../support/fake-clock.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-store-'))
afterAll(() => rmSync(folder, { recursive: true }))

const SLICE = {
  metadata: { name: 'routes-1' },
  entries: [{ node: 'edge-1', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25'], peers: [] }],
}

/** An API server that has said everything that it will ever say, once `tell` is called. */
function quietApi(): { api: KubeApi; tell: () => void } {
  const listeners: (() => void)[] = []
  const cache: KubeApi['cache'] = <T extends KubeObject>(type: { kind: string }): Cache<T> => ({
    synced: true,
    objects: new Map(type.kind === ROUTE_SLICES.kind ? [['routes-1', SLICE as unknown as T]] : []),
    lastContact: 0,
    problem: undefined,
    kindUnknown: false,
    listedAt: 0,
    onChange: listener => {
      listeners.push(listener)
      return () => {}
    },
    refresh: async () => {},
    close: () => {},
  })
  const api = { server: 'http://127.0.0.1:1', cache } as KubeApi
  return {
    api,
    tell: () => {
      for (const listener of listeners) listener()
    },
  }
}

test('a state that could not be stored is stored when the disk takes it', async () => {
  const clock = new FakeClock()
  const { api, tell } = quietApi()
  mkdirSync(join(clusterStatePath(folder), 'in the way'), { recursive: true })
  const view = createClusterViewSource({ api, node: 'edge-1', stateDir: folder, clock, log: silentLog })
  tell()
  expect(view.current()?.entries).toHaveLength(1)
  await clock.advance(60_000)
  rmSync(clusterStatePath(folder), { recursive: true })
  await clock.advance(30_000)
  const stored = loadClusterState(folder)
  expect('state' in stored && stored.state?.slices.size).toBe(1)
  expect(clock.pending).toBe(0) // the steady state has no timer
  view.close()
})

test('closed, it writes no more', async () => {
  const clock = new FakeClock()
  const { api, tell } = quietApi()
  const stateDir = join(folder, 'closed')
  mkdirSync(join(clusterStatePath(stateDir), 'in the way'), { recursive: true })
  const view = createClusterViewSource({ api, node: 'edge-1', stateDir, clock, log: silentLog })
  tell()
  expect(clock.pending).toBe(1)
  view.close()
  expect(clock.pending).toBe(0)
})
