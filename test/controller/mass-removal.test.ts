/**
 * Mass removals at the controller: what was tried on a LAN of four, each held, named and released;
 * small honest ones at once. Whole passes as values, and the real controller with the lab's API
 * server.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { serveApi } from '../../src/apiserver/serve.ts'
import { ensureCrds } from '../../src/controller/crds.ts'
import { decide, type ObservedCluster } from '../../src/controller/decide.ts'
import { nodeFacts } from '../../src/controller/nodes.ts'
import { NO_MEMORY, type PodCIDRConfig } from '../../src/controller/pod-cidr.ts'
import { createController } from '../../src/controller/reconcile.ts'
import type { KubeApi, KubeEvent } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { keptParts, keptText } from '../../src/kube/held-entries.ts'
import { NO_REMOVALS } from '../../src/kube/mass-removal.ts'
import { BGP_PEERS, NODES, type Node, ROUTE_SLICES } from '../../src/kube/resources.ts'
import { nextWord, REMOVALS_CONFIRMED, REMOVALS_RELEASED, type RouteSlice } from '../../src/kube/route-slice.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually } from '../support/namespaces.ts'

const CONFIG: PodCIDRConfig = {
  podCIDRs: ['10.0.0.0/16'],
  podsPerNode: 128,
  serviceCIDRs: [],
  vpcCIDRs: [],
  dataCenterCIDRs: [],
  edgeNodes: { kind: 'all' },
  foreignPodCIDRs: false,
}
const LIMITS = { share: 0.5, number: 2, delayMilliseconds: 600_000 }
const NAMES = ['a', 'b', 'c', 'd']
const SPEC = {
  localSpeakers: ['a'],
  localAsNumber: 65010,
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  nodeSelector: 'lan=1',
}
const PEER = {
  apiVersion: 'network.openyurt.io/v1alpha1',
  kind: 'BGPPeer',
  metadata: { name: 'lan', uid: 'uid-lan', generation: 1 },
  spec: SPEC,
}

function node(name: string, labels: Record<string, string> = { lan: '1' }, network = '172.16.0'): Node {
  const index = NAMES.indexOf(name)
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}`, labels, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { podCIDRs: [`10.0.${index}.0/25`] },
    status: { addresses: [{ type: 'InternalIP', address: `${network}.1${index}` }], conditions: [] },
  }
}

/** What a pass makes of a cluster in which `NAMES` are published. */
function pass(nodes: readonly Node[], change: Partial<ObservedCluster> = {}, drained: readonly string[] = []) {
  const base = {
    peers: [PEER],
    secret: () => undefined,
    now: '2026-02-01T00:00:00Z',
    memory: NO_MEMORY,
    apiServers: [],
    removals: { state: NO_REMOVALS, limits: LIMITS, at: 0, listedAt: 0, drained: new Set(drained) },
  }
  const before = decide(CONFIG, true, { ...base, nodes: NAMES.map(name => nodeFacts(node(name))), slices: [] })
  const slices = before.slices.create
  return decide(CONFIG, true, { ...base, nodes: nodes.map(nodeFacts), slices, ...change })
}

const shape = (decision: ReturnType<typeof pass>) =>
  decision.entries.map(({ node, peers }) => `${node}:${peers.join()}`)
const ALL = NAMES.map(name => `${name}:lan`)

describe('a pass', () => {
  test('three of four Nodes deleted: all stay published, no block of theirs is given to another', () => {
    const decision = pass([node('a'), { ...node('d'), metadata: { name: 'new' }, spec: {} }])
    expect(shape(decision)).toEqual([...ALL, 'new:'])
    expect(decision.slices.replace.map(({ entries }) => entries.length)).toEqual([5])
    expect([...decision.allocation.allocated.values()].flat()).toEqual(['10.0.0.128/25'])
  })

  test('one of four goes at once, as do three that were drained before; nodes are told that it was meant', () => {
    expect(shape(pass(['a', 'b', 'c'].map(name => node(name))))).toEqual(ALL.slice(0, 3))
    const decision = pass([node('a')], {}, ['b', 'c', 'd'])
    expect(shape(decision)).toEqual(['a:lan'])
    expect(decision.slices.replace[0]?.metadata.annotations).toEqual({ [REMOVALS_RELEASED]: '2026-02-01T00:00:00Z' })
  })

  test('a word of a clock that was ahead: the next one is behind it, or nobody would hear it', () => {
    const ahead = (annotation: string) =>
      pass([node('a')], {}, ['b', 'c', 'd']).slices.replace.map(slice => ({
        ...slice,
        metadata: { ...slice.metadata, annotations: { [annotation]: '2026-02-01T01:00:00Z' } },
      }))
    for (const annotation of [REMOVALS_CONFIRMED, REMOVALS_RELEASED]) {
      expect(nextWord(ahead(annotation), '2026-02-01T00:00:00Z')).toBe('2026-02-01T01:00:01Z')
      expect(nextWord(ahead(annotation), '2026-02-01T02:00:00Z')).toBe('2026-02-01T02:00:00Z')
    }
    expect(nextWord([], '2026-02-01T00:00:00Z')).toBe('2026-02-01T00:00:00Z')
  })

  test('the label off a LAN, a BGPPeer deleted, a selector that selects nobody: the nodes stay in their LAN', () => {
    expect(shape(pass(NAMES.map(name => node(name, {}))))).toEqual(ALL)
    expect(
      shape(
        pass(
          NAMES.map(name => node(name)),
          { peers: [] },
        ),
      ),
    ).toEqual(ALL)
    const peers = [{ ...PEER, spec: { ...SPEC, nodeSelector: 'lan=2' } }]
    expect(
      shape(
        pass(
          NAMES.map(name => node(name)),
          { peers },
        ),
      ),
    ).toEqual(ALL)
  })

  const other = {
    ...PEER,
    metadata: { name: 'other', uid: 'u' },
    spec: { ...SPEC, nodeSelector: 'lan=2', peerIP: '172.16.0.2' },
  }
  const relabelled = NAMES.map(name => node(name, { lan: '2' }))

  test('the label of another LAN put on most nodes of one: they stay in theirs, and one alone moves at once', () => {
    expect(shape(pass(relabelled, { peers: [PEER, other] }))).toEqual(ALL)
    const [first = node('a'), ...rest] = relabelled
    const one = [first, ...rest.map(({ metadata }) => node(metadata.name))]
    expect(shape(pass(one, { peers: [PEER, other] }))).toEqual(['a:other', ...ALL.slice(1)])
  })

  test('nodes that get addresses of another network, or whose BGPPeer another replaces, move at once', () => {
    const moved = NAMES.map(name => `${name}:other`)
    const elsewhere = NAMES.map(name => node(name, { lan: '2' }, '172.16.9'))
    expect(shape(pass(elsewhere, { peers: [PEER, other] }))).toEqual(moved)
    expect(shape(pass(relabelled, { peers: [other] }))).toEqual(moved)
  })

  test('nodes that move one after another, as one command has them, are one removal', () => {
    const peers = [PEER, other]
    const nodes = NAMES.map(name => node(name))
    let decision = pass(nodes)
    for (const [index, one] of relabelled.entries()) {
      nodes[index] = one
      const { state } = decision.removals
      const slices = [{ ...PEER, kind: 'RouteSlice', metadata: { name: 'routes-1' }, entries: decision.entries }]
      const removals = { state, limits: LIMITS, at: 1000 * index, listedAt: 0, drained: new Set<string>() }
      decision = pass(nodes, { peers, slices, removals })
    }
    expect(shape(decision)).toEqual(['a:other', ...ALL.slice(1)])
  })

  test('all podCIDRs of one family withheld at once (a range mistyped in the configuration): they stay', () => {
    const dual = NAMES.map((name, index) => {
      const one = node(name)
      return { ...one, spec: { podCIDRs: [`10.0.${index}.0/25`, `fd10::${index}:0/121`] } }
    })
    const config = { ...CONFIG, podCIDRs: ['10.0.0.0/8', 'fd10::/32'] }
    const observed = {
      ...{ nodes: dual.map(nodeFacts), peers: [PEER], slices: [], secret: () => undefined, memory: NO_MEMORY },
      ...{ now: '2026-02-01T00:00:00Z', apiServers: [] },
      removals: { state: NO_REMOVALS, limits: LIMITS, at: 0, listedAt: 0, drained: new Set<string>() },
    }
    const before = decide(config, true, observed)
    const mistyped = { ...config, serviceCIDRs: ['fd00::/8'] }
    const decision = decide(mistyped, true, { ...observed, slices: before.slices.create })
    expect(decision.entries).toEqual(before.entries)
    expect(before.entries.map(({ podCIDRs }) => podCIDRs.length)).toEqual([2, 2, 2, 2])
    expect(keptParts(decision.removals.kept).map(keptText)[0]).toBe('IPv6 of node a')
  })
})

/** Not `run`: the API server lives in this process. */
async function runAsync(words: string[]): Promise<string> {
  const child = Bun.spawn(words, { stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return stdout + stderr
}

let closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers) await close()
  closers = []
})

async function startCluster(delayMilliseconds: number) {
  const server = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock })
  closers.push(() => server.close())
  const connect = (): KubeApi => {
    const url = `http://127.0.0.1:${server.port}`
    const kubeconfig = { server: url, origin: 'the test', credentials: async () => ({ headers: {} }), refresh() {} }
    const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
    closers.unshift(() => api.close())
    return api
  }
  const admin = connect()
  await ensureCrds(admin)
  const events: KubeEvent[] = []
  const controller = createController({
    api: connect(),
    events: { record: event => void events.push(event), close: async () => {} },
    clock: systemClock,
    log: silentLog,
    identity: 'leader',
    config: {
      ...CONFIG,
      allocatePodCIDRs: true,
      rememberSeconds: 0,
      removal: { ...LIMITS, delayMilliseconds },
      leaseNamespace: 'kube-system',
    },
  })
  closers.unshift(() => controller.close())
  for (const name of NAMES) {
    await admin.create(NODES, node(name))
    await admin.mergePatch(NODES, name, { status: node(name).status ?? {} }, { subresource: 'status' })
  }
  await admin.create(BGP_PEERS, PEER)
  const published = async () => {
    const slices = await admin.list<RouteSlice>(ROUTE_SLICES)
    return slices.flatMap(({ entries }) => entries.map(({ node, peers }) => `${node}:${peers.join()}`)).sort()
  }
  await eventually('published', async () => Bun.deepEquals(await published(), ALL))
  return { url: `http://127.0.0.1:${server.port}`, admin, controller, published, events }
}

test('held, named in problems, a condition and Events; the operator lets it go at once', async () => {
  const { url, admin, controller, published, events } = await startCluster(600_000)
  for (const name of ['b', 'c', 'd']) await admin.delete(NODES, name)
  await eventually('held', () => controller.view().heldRemovals > 0)
  expect(controller.view().problems.find(text => text.startsWith('RemovalHeld'))).toMatch(
    /the removal of node .* is held and nothing changes: it goes on after 20.*Z and a second look; at once: terway-edge confirm/,
  )
  const regarding = () => events.filter(({ reason }) => reason === 'RemovalHeld').map(event => event.regarding.kind)
  await eventually('Events', () => new Set(regarding()).size === 2)
  expect([...new Set(regarding())].sort()).toEqual(['BGPPeer', 'RouteSlice'])
  await eventually('the condition', async () => {
    const peer = await admin.get<{ status?: { conditions?: { type: string }[] } } & RouteSlice>(BGP_PEERS, 'lan')
    return peer?.status?.conditions?.some(({ type }) => type === 'RemovalHeld')
  })
  expect((await published()).length).toBeGreaterThanOrEqual(3)
  const kubeconfig = join(mkdtempSync(join(tmpdir(), 'te-confirm-')), 'kubeconfig')
  closers.push(() => rmSync(dirname(kubeconfig), { recursive: true }))
  writeFileSync(kubeconfig, kubeconfigText(url))
  const confirm = (...words: string[]) =>
    runAsync([process.execPath, 'src/main.ts', 'confirm', '--kubeconfig', kubeconfig, ...words])
  expect(await confirm('--dry-run')).toContain('BGPPeer lan: the removal of node ')
  expect(controller.view().heldRemovals).toBeGreaterThan(0)
  expect(await confirm()).toContain('confirmed: ')
  await eventually('gone', async () => Bun.deepEquals(await published(), ['a:lan']))
  await eventually('and forgotten', () => controller.view().heldRemovals === 0)
  expect((await admin.get(ROUTE_SLICES, 'routes-1'))?.metadata.annotations?.[REMOVALS_RELEASED]).toBeDefined()
}, 300_000)

test('it goes on by itself after the delay and a second list', async () => {
  const { admin, controller, published } = await startCluster(1500)
  for (const name of NAMES) await admin.mergePatch(NODES, name, { metadata: { labels: { lan: null } } })
  await eventually('held', () => controller.view().heldRemovals > 0)
  await eventually('released', async () => (await published()).every(text => text.endsWith(':')))
  await eventually('and forgotten', () => controller.view().heldRemovals === 0)
}, 300_000)
