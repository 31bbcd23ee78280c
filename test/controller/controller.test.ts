/**
 * The controller against a real kube-apiserver, with exactly the rights of config/rbac.yaml: CRDs,
 * the user document's flow in kubectl, pod CIDRs, RouteSlices, leadership, a restart of the API
 * server.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { type Controller, type ControllerConfig, createController } from '../../src/controller/reconcile.ts'
import type { KubeApi } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { createEventRecorder } from '../../src/kube/event-recorder.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import {
  BGP_PEERS,
  CONTROLLER_LEASE,
  type KubeObject,
  LEASES,
  NODES,
  type Node,
  ROUTE_SLICES,
} from '../../src/kube/resources.ts'
import type { RouteSlice } from '../../src/kube/route-slice.ts'
import { speakerPatch } from '../../src/kube/speaker-entry.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { type Log, silentLog } from '../../src/lib/log.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually, run } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { COLUMNS, USER_DOCUMENT } from '../support/user-document.ts'

const withApi = testNeeding('KUBEBUILDER_ASSETS')
const SECONDS = 1000
let server: TestApiServer
let admin: KubeApi
let open: { close(): unknown }[] = []
/** What the controllers log, at info and above. */
const said: string[] = []
const log: Log = {
  debug: () => {},
  info: ({ node = '' }, phrase) => said.push(`info: ${phrase} ${node}`.trim()),
  warn: ({ node = '' }, phrase) => said.push(`warn: ${phrase} ${node}`.trim()),
  error: ({ node = '' }, phrase) => said.push(`error: ${phrase} ${node}`.trim()),
  child: () => log,
}

beforeAll(async () => {
  if (missing(['KUBEBUILDER_ASSETS']).length > 0) return
  server = await TestApiServer.start({ crds: false })
  admin = connect('admin')
  server.applyYaml(
    run([process.execPath, 'src/main.ts', 'manifests', '--part', 'rbac', '--bgp-secret', 'bgp-secret=node-1']).stdout,
  )
  for (const user of ['user-1', 'user-2']) {
    const name = `test-${user}`
    server.kubectl(['create', 'clusterrolebinding', name, '--clusterrole=terway-edge-controller', `--user=${user}`])
    for (const [namespace, role] of [
      ['kube-system', 'terway-edge-controller'],
      ['kube-system', 'terway-edge-password-bgp-secret'],
      ['terway-edge-nodes', 'terway-edge-controller'],
    ] as const)
      server.kubectl(['-n', namespace, 'create', 'rolebinding', `${role}-${user}`, `--role=${role}`, `--user=${user}`])
  }
}, 300 * SECONDS)

afterAll(async () => {
  for (const part of open) await part.close()
  await server?.close()
}, 300 * SECONDS)

function connect(user: string): KubeApi {
  const api = createKubeApi({
    kubeconfig: loadKubeconfig(server.userKubeconfig(user)),
    clock: systemClock,
    log: silentLog,
    cacheTimes: { backoff: { initialMilliseconds: 100, maximumMilliseconds: 500 } },
  })
  open.push(api)
  return api
}

const CONFIG: ControllerConfig = {
  podCIDRs: ['10.0.0.0/22'],
  podsPerNode: 128,
  serviceCIDRs: ['10.0.0.0/24'],
  vpcCIDRs: ['192.168.0.0/16'],
  dataCenterCIDRs: ['172.16.0.0/16'],
  edgeNodes: { kind: 'all' },
  foreignPodCIDRs: false,
  allocatePodCIDRs: true,
  rememberSeconds: 0,
  removal: { share: 0.5, number: 2, delayMilliseconds: 600_000 },
  leaseNamespace: 'kube-system',
}

function start(user: string, identity: string, config: Partial<ControllerConfig> = {}): Controller {
  const api = connect(user)
  const events = createEventRecorder({
    api,
    component: 'terway-edge-controller',
    host: identity,
    clock: systemClock,
    log: silentLog,
  })
  const controller = createController({
    api,
    events,
    clock: systemClock,
    log,
    identity,
    config: { ...CONFIG, ...config },
  })
  open = [controller, events, ...open]
  return controller
}

async function makeNode(name: string, address: string, labels: Record<string, string> = {}): Promise<void> {
  await admin.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } })
  const status = { addresses: [{ type: 'InternalIP', address }], conditions: [{ type: 'Ready', status: 'True' }] }
  await admin.mergePatch(NODES, name, { status }, { subresource: 'status' })
}
/**
 * As kube-controller-manager does when a kubelet is no longer heard, and the kubelet when it is
 * back.
 */
async function setReady(name: string, status: 'True' | 'False' | 'Unknown'): Promise<void> {
  const lastTransitionTime = new Date().toISOString()
  const patch = { status: { conditions: [{ type: 'Ready', status, lastTransitionTime }] } }
  await admin.mergePatch(NODES, name, patch, { subresource: 'status' })
}
/** SESSIONS and PREFIXES as `kubectl get bgppeer -o wide` prints them. */
function wide(): string {
  const { stdout } = server.kubectl(['get', 'bgppeer', 'peer', '-o', 'wide', '--no-headers'])
  return stdout.trim().split(/\s+/).slice(6, 8).join(' ')
}
function established(): string {
  const fields = ['status', 'reason', 'message'].map(field => `{.status.conditions[?(@.type=="Established")].${field}}`)
  return server.kubectl(['get', 'bgppeer', 'peer', '-o', `jsonpath=${fields.join('|')}`]).stdout
}
async function entries() {
  return (await admin.list<RouteSlice>(ROUTE_SLICES)).flatMap(slice => slice.entries)
}
function describe(peer: string): string {
  return server.kubectl(['describe', 'bgppeers', peer]).stdout
}
function accepted(peer: string): string {
  const path = 'jsonpath={.status.conditions[?(@.type=="Accepted")].reason}'
  return server.kubectl(['get', 'bgppeer', peer, '-o', path]).stdout
}

const POOL = { 'alibabacloud.com/nodepool-id': 'npxxx' }

withApi(
  'it installs its CRDs, leads and is ready',
  async () => {
    const controller = start('user-1', 'first')
    const settled = () => controller.view().isLeader && controller.view().problems.length === 0
    await eventually('ready', () => controller.view().ready && settled())
    expect(controller.view()).toMatchObject({
      leader: 'first',
      problems: [],
      contact: { connected: true, server: server.url },
    })
    const explain = () => server.kubectl(['explain', 'bgppeer.spec.nodeSelector'], { mayFail: true }).stdout
    await eventually('kubectl explain', () => explain().includes('Which nodes belong to the LAN'))
  },
  300 * SECONDS,
)

withApi("the user's document applies and prints as documented", async () => {
  await makeNode('node-1', '172.16.0.11', POOL)
  await makeNode('node-2', '172.16.0.12', POOL)
  await makeNode('cloud-1', '192.168.0.5')
  server.applyYaml(USER_DOCUMENT)
  await eventually('accepted', () => accepted('peer') === 'Accepted')
  const lines = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map(line => line.split(/\s{2,}/))
  const [head, row] = lines(server.kubectl(['get', 'bgppeer', 'peer']).stdout)
  expect(head).toEqual(COLUMNS)
  expect(row?.slice(0, 5)).toEqual(['peer', '["node-1","node-2"]', '65010', '172.16.0.1', '65001'])
  const [wideHead, wideRow] = lines(server.kubectl(['get', 'bgppeer', 'peer', '-o', 'wide']).stdout)
  expect(wideHead).toEqual([...COLUMNS, 'SESSIONS', 'PREFIXES', 'VERIFIED'])
  expect(wideRow?.slice(6, 8)).toEqual(['0/2', '0'])
})

withApi('pod CIDRs are allocated around what is reserved, and published in one slice', async () => {
  await eventually('three entries', async () => (await entries()).length === 3)
  const found = (await entries()).sort((a, b) => (a.node < b.node ? -1 : 1))
  expect(found.map(({ node, addresses, peers }) => ({ node, addresses, peers }))).toEqual([
    { node: 'cloud-1', addresses: ['192.168.0.5'], peers: [] },
    { node: 'node-1', addresses: ['172.16.0.11'], peers: ['peer'] },
    { node: 'node-2', addresses: ['172.16.0.12'], peers: ['peer'] },
  ])
  expect(found.flatMap(({ podCIDRs }) => podCIDRs).sort()).toEqual(['10.0.1.0/25', '10.0.1.128/25', '10.0.2.0/25'])
  const node = await admin.get<Node>(NODES, 'node-1')
  expect(node?.spec?.podCIDRs).toEqual([node?.spec?.podCIDR ?? ''])
  expect((await admin.list(ROUTE_SLICES)).map(({ metadata }) => metadata.name)).toEqual(['routes-1'])
  expect(server.kubectl(['describe', 'node', 'node-1']).stdout).toMatch(
    /PodCIDRsAllocated\s+\S+\s+terway-edge-controller\s+pod CIDR 10\.0\.[12]\.\d+\/25/,
  )
})

withApi('heartbeats and statuses of nodes write no slice', async () => {
  const before = (await admin.get<RouteSlice>(ROUTE_SLICES, 'routes-1'))?.metadata.generation ?? 0
  for (let beat = 0; beat < 6; beat++) {
    await admin.mergePatch(NODES, 'node-1', { metadata: { annotations: { beat: String(beat) } } })
    const conditions = [{ type: 'Ready', status: beat % 2 === 0 ? 'Unknown' : 'True' }]
    await admin.mergePatch(NODES, 'node-2', { status: { conditions } }, { subresource: 'status' })
  }
  // a pass that has seen all of the above
  await admin.mergePatch(NODES, 'cloud-1', { metadata: { labels: { later: 'yes' } } })
  server.applyYaml(USER_DOCUMENT.replaceAll('name: peer\n', 'name: marker\n').replace('172.16.0.1\n', '172.16.0.3\n'))
  await eventually('a later pass', () => accepted('marker') === 'Accepted')
  await eventually('the slice of that pass', async () =>
    (await entries()).some(({ peers }) => peers.includes('marker')),
  )
  await admin.delete(BGP_PEERS, 'marker')
  await eventually('the slice without it', async () =>
    (await entries()).every(({ peers }) => !peers.includes('marker')),
  )
  const after = await admin.get<RouteSlice>(ROUTE_SLICES, 'routes-1')
  // the marker came and went; nothing for heartbeats
  expect(after?.metadata.generation).toBe(before + 2)
})

withApi('a BGPPeer that cannot work gets a condition and an Event; nodes keep what worked', async () => {
  await admin.mergePatch(BGP_PEERS, 'peer', { spec: { gateway: 'fd00::1', nodeSelector: 'a/b/c=d' } })
  await eventually('refused', () => accepted('peer') === 'InvalidSpec')
  const text = await eventually('the Event', () => /Warning\s+InvalidSpec\s.*/.exec(describe('peer'))?.[0])
  expect(text).toContain('spec.gateway: fd00::1 is not of the same address family as peerIP 172.16.0.1')
  expect(text).toContain('spec.nodeSelector: "a/b/c=d": at character 1')
  expect(
    (await entries())
      .filter(({ peers }) => peers.includes('peer'))
      .map(({ node }) => node)
      .sort(),
  ).toEqual(['node-1', 'node-2'])
  server.applyYaml(USER_DOCUMENT)
  await admin.mergePatch(BGP_PEERS, 'peer', {
    spec: { gateway: null, nodeSelector: Object.entries(POOL)[0]?.join('=') },
  })
  await eventually('accepted again', () => accepted('peer') === 'Accepted')
  await eventually('and said', () => /Normal\s+Accepted\s/.test(describe('peer')))
})

withApi('an unknown speaker and a missing Secret are told, each by its own reason', async () => {
  await admin.mergePatch(BGP_PEERS, 'peer', { spec: { localSpeakers: ['node-1', 'node-9'] } })
  await eventually('the speaker', () => accepted('peer') === 'UnknownSpeaker')
  await eventually('its Event', () => /Warning\s+UnknownSpeaker\s.*node-9 is no node/.test(describe('peer')))
  await admin.mergePatch(BGP_PEERS, 'peer', { spec: { localSpeakers: ['node-1', 'node-2'] } })
  await eventually('accepted', () => accepted('peer') === 'Accepted')
  server.kubectl(['-n', 'kube-system', 'delete', 'secret', 'bgp-secret'])
  await eventually('the Secret', () => accepted('peer') === 'SecretNotFound')
  await eventually('its Event', () =>
    /Warning\s+SecretNotFound\s.*kube-system\/bgp-secret does not exist/.test(describe('peer')),
  )
  expect(describe('peer')).not.toContain('mySecretValue')
  server.applyYaml(USER_DOCUMENT)
  await eventually('accepted with it', () => accepted('peer') === 'Accepted')
})

withApi("the controller's fields and a speaker's entry live side by side", async () => {
  const { apiVersion, kind } = { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'BGPPeer' }
  for (const node of ['node-1', 'node-2']) {
    const speakers = [
      {
        node,
        state: 'Established',
        since: '2026-01-01T00:00:00Z',
        advertisedPrefixes: 2,
        receivedPrefixes: 0,
        flaps: 0,
      },
    ]
    const object: KubeObject & { status: object } = {
      apiVersion,
      kind,
      metadata: { name: 'peer' },
      status: { speakers },
    }
    await admin.apply(BGP_PEERS, object, {
      fieldManager: `terway-edge-speaker-${node}`,
      force: true,
      subresource: 'status',
    })
  }
  await eventually('counted', () =>
    /\s2\/2\s+2\s/.test(server.kubectl(['get', 'bgppeer', 'peer', '-o', 'wide', '--no-headers']).stdout),
  )
  const text = server.kubectl(['get', 'bgppeer', 'peer', '-o', 'yaml']).stdout
  expect(text.match(/state: Established/g)).toHaveLength(2)
})

withApi(
  'a speaker whose node is not heard does not count, and no route changes; its entry goes when it is a speaker no more',
  async () => {
    const routing = async () =>
      JSON.stringify(
        (await admin.list<RouteSlice>(ROUTE_SLICES)).map(({ metadata, entries }) => [
          metadata.resourceVersion,
          entries,
        ]),
      )
    const before = await routing()
    const warnings = () => describe('peer').match(/Warning\s+SpeakerNotHeard\s.*node-1 is.*/g) ?? []
    await setReady('node-2', 'False')
    await setReady('node-1', 'Unknown')
    await eventually('not counted', () => wide() === '1/2 2')
    expect(established()).toMatch(
      /^Unknown\|SpeakerNotHeard\|node-1 is not heard .* if only the uplink is down it may well be up$/,
    )
    await eventually('its Event', () => warnings().length === 1)
    const page = open.find((part): part is Controller => 'view' in part)?.view().sessions
    expect(page?.map(({ node, state }) => `${node} ${state}`)).toEqual(['node-1 unknown', 'node-2 Established'])
    const entriesOf = () =>
      server.kubectl(['get', 'bgppeer', 'peer', '-o', 'jsonpath={.status.speakers[*].node}']).stdout
    expect(entriesOf()).toBe('node-1 node-2') // its own writer may only be out of reach
    await setReady('node-1', 'True')
    await setReady('node-2', 'True')
    await eventually('counted again', () => wide() === '2/2 2')
    expect(established()).toBe('True|AllEstablished|every speaker has its session')
    expect(await routing()).toBe(before)
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]).not.toMatch(/\(x\d+ over/)

    await admin.mergePatch(BGP_PEERS, 'peer', { spec: { localSpeakers: ['node-1'] } })
    await eventually('the entry is taken away', () => entriesOf() === 'node-1')
    expect(wide()).toBe('1/1 2')
    await admin.mergePatch(BGP_PEERS, 'peer', { spec: { localSpeakers: ['node-1', 'node-2'] } })
    await eventually('counted as not reported', () => wide() === '1/2 2')
    const tookAway = (node: string) =>
      said.filter(line => line === `info: took away the entry of a speaker that left ${node}`)
    expect(tookAway('node-2')).toHaveLength(1)

    const strange = speakerPatch(
      { name: 'peer' },
      {
        node: 'stranger',
        state: 'Established',
        since: '2026-01-01T00:00:00Z',
        advertisedPrefixes: 0,
        receivedPrefixes: 0,
        flaps: 0,
      },
    )
    await admin.apply(BGP_PEERS, strange, { fieldManager: 'somebody', force: true, subresource: 'status' })
    await eventually('what is false is put right', () => !entriesOf().includes('stranger'))
    expect(tookAway('stranger')).toEqual([])
    // said once the answer has come, which may be after others see it
    await eventually('it is said', () => said.some(line => line.endsWith('stranger')))
    expect(said.filter(line => line.endsWith('stranger'))).toHaveLength(1)
  },
  300 * SECONDS,
)

withApi('a full pool is an Event on the Node; a deleted Node gives its block to it', async () => {
  for (const index of [3, 4, 5, 6]) await makeNode(`node-${index}`, `172.16.0.1${index}`)
  const full = () => /Warning\s+PodCIDRPoolExhausted\s.*no IPv4 block for 128 pods is left in 10\.0\.0\.0\/22/
  await eventually('the Event', () => full().test(server.kubectl(['describe', 'nodes', 'node-6']).stdout))
  await admin.delete(NODES, 'node-3')
  await eventually('the block', async () => (await admin.get<Node>(NODES, 'node-6'))?.spec?.podCIDR !== undefined)
  await eventually('published', async () => (await entries()).some(({ node }) => node === 'node-6'))
  expect((await entries()).some(({ node }) => node === 'node-3')).toBe(false)
})

withApi(
  'two controllers: one leads, and the other takes over when it leaves',
  async () => {
    const first = open.find((part): part is Controller => 'view' in part)
    const second = start('user-2', 'second')
    await eventually('the second is ready', () => second.view().ready && second.view().leader === 'first')
    expect([first?.view().isLeader, second.view().isLeader]).toEqual([true, false])
    expect(second.view().nodes.map(({ name }) => name)).toContain('node-1')
    await first?.close()
    // given back, or taken by the second already: nobody waits until it has run out
    const lease = await admin.get<KubeObject>(LEASES, CONTROLLER_LEASE, 'kube-system')
    expect((lease as { spec?: { holderIdentity?: string } } | undefined)?.spec?.holderIdentity).not.toBe('first')
    await eventually('the second leads', () => second.view().isLeader)
    await makeNode('late', '172.16.0.99')
    await eventually('and works', () => second.view().nodes.some(({ name }) => name === 'late'))
    await eventually('without loss', async () => (await entries()).length >= 6)
  },
  300 * SECONDS,
)

withApi(
  'it goes on after a restart of the API server, with nothing withdrawn',
  async () => {
    const second = open.find((part): part is Controller => 'view' in part)
    const before = (await entries()).map(({ node }) => node).sort()
    await server.stopApiServer()
    await eventually('out of reach', () => second?.view().contact.problem?.includes('connection refused'))
    expect(second?.view().nodes.length).toBeGreaterThan(0)
    await server.startApiServer()
    await admin.delete(NODES, 'late').catch(() => false)
    await eventually('connected', () => second?.view().contact.connected)
    await eventually('leading again', () => second?.view().isLeader)
    await admin.mergePatch(BGP_PEERS, 'peer', { spec: { localSpeakers: ['node-1'] } })
    await eventually(
      'and working',
      () => server.kubectl(['get', 'bgppeer', 'peer', '-o', 'jsonpath={.status.sessions}']).stdout === '1/1',
    )
    expect((await entries()).map(({ node }) => node).sort()).toEqual(before.filter(node => node !== 'late'))
  },
  300 * SECONDS,
)

withApi(
  'CustomResourceDefinitions that somebody deleted are installed again, and what was published is again',
  async () => {
    const before = (await entries()).map(({ node }) => node).sort()
    server.kubectl(['delete', 'crd', 'bgppeers.network.openyurt.io', 'routeslices.network.openyurt.io'])
    await eventually(
      'they are back',
      () => server.kubectl(['get', 'bgppeers,routeslices'], { mayFail: true }).status === 0,
      60,
    )
    await eventually('published', async () => (await entries().catch(() => [])).length === before.length, 60)
    expect((await entries()).map(({ node }) => node).sort()).toEqual(before)
  },
  150 * SECONDS,
)

withApi('without rights it says so, and does nothing', async () => {
  const poor = start('user-3', 'poor')
  await eventually('the refusal', () => poor.view().problems.some(text => text.includes('User "user-3" cannot')))
  expect([poor.view().ready, poor.view().isLeader]).toEqual([false, false])
})
