/**
 * The node's view against a real kube-apiserver: what survives a lost API, a reboot, a broken
 * object; and Events as kubectl shows them.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KubeApi } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { clusterStatePath } from '../../src/kube/cluster-state.ts'
import { createClusterViewSource } from '../../src/kube/cluster-view.ts'
import type { ClusterViewSource } from '../../src/kube/cluster-view-types.ts'
import { createEventRecorder } from '../../src/kube/event-recorder.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { BGP_PEERS, EVENTS, type KubeObject, ROUTE_SLICES } from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const withApi = testNeeding('KUBEBUILDER_ASSETS')
let server: TestApiServer
let folder: string
let open: { close(): void }[] = []

beforeAll(async () => {
  if (missing(['KUBEBUILDER_ASSETS']).length > 0) return
  folder = mkdtempSync(join(tmpdir(), 'te-view-'))
  server = await TestApiServer.start()
  // exactly the rights of a node: its password Secret by name, no list of Secrets
  server.grant('user-1', [
    { apiGroups: ['network.openyurt.io'], resources: ['bgppeers', 'routeslices'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: [''], resources: ['secrets'], resourceNames: ['bgp-secret'], verbs: ['get', 'list', 'watch'] },
  ])
}, 300_000)

afterAll(async () => {
  for (const part of open) part.close()
  await server?.close()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

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

function source(api: KubeApi | undefined, stateDir: string): ClusterViewSource {
  const view = createClusterViewSource({ api, node: 'node-1', stateDir, clock: systemClock, log: silentLog })
  open = [view, ...open]
  return view
}

const PEER = {
  apiVersion: 'network.openyurt.io/v1alpha1',
  kind: 'BGPPeer',
  metadata: { name: 'peer' },
  spec: {
    localSpeakers: ['node-1', 'node-2'],
    localAsNumber: 65010,
    peerIP: '172.16.0.1',
    peerAsNumber: 65001,
    nodeSelector: 'all()',
    authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } },
  },
}

withApi(
  'a node follows the cluster, keeps what was good, and boots from its state',
  async () => {
    const admin = connect('admin')
    const stateDir = join(folder, 'follow')
    const view = source(connect('user-1'), stateDir)
    expect(view.current()).toBeUndefined()
    await eventually('an empty cluster is a view', () => view.current()?.source === 'api')
    expect(view.contact).toMatchObject({ connected: true, server: server.url, problem: undefined })

    await admin.create(ROUTE_SLICES, {
      ...PEER,
      kind: 'RouteSlice',
      metadata: { name: 'routes-1' },
      entries: [{ node: 'edge-1', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25'], peers: ['peer'] }],
    } as never)
    await admin.create(BGP_PEERS, PEER)
    await eventually('the peer without its Secret', () => view.current()?.passwordProblems.get('peer'))
    expect(view.current()?.passwordProblems.get('peer')).toContain('Secret kube-system/bgp-secret does not exist')
    const manifest =
      'apiVersion: v1\nkind: Secret\nmetadata: {name: bgp-secret, namespace: kube-system}\ndata: {password: bXlTZWNyZXRWYWx1ZQ==}'
    server.applyYaml(manifest)
    await eventually('the password', () => view.current()?.passwords.get('peer')?.reveal() === 'mySecretValue')
    expect(view.current()?.passwordProblems.size).toBe(0)

    expect([view.hasEntry('peer'), view.hasEntry('none')]).toEqual([false, undefined])
    await admin.mergePatch(BGP_PEERS, 'peer', { status: { speakers: [{ node: 'node-1' }] } }, { subresource: 'status' })
    await eventually('its entry', () => view.hasEntry('peer') === true)

    // a server whose CRD is an older one takes what ours refuses
    const schema = '/spec/versions/0/schema/openAPIV3Schema/properties/entries/items/properties/podCIDRs/items/format'
    const wider = JSON.stringify([{ op: 'remove', path: schema }])
    server.kubectl(['patch', 'crd', 'routeslices.network.openyurt.io', '--type=json', '-p', wider])
    await admin.mergePatch(BGP_PEERS, 'peer', { spec: { gateway: 'fd00::1' } })
    const half = {
      entries: [
        { node: 'edge-1', addresses: ['172.16.0.12'], podCIDRs: ['10.0.1.0/25'], peers: ['peer'] },
        { node: 'edge-2', podCIDRs: ['nonsense'] },
      ],
    }
    // until the server takes the wider schema up
    const refused = () =>
      admin
        .mergePatch(ROUTE_SLICES, 'routes-1', half)
        .then(() => true)
        .catch(() => false)
    await eventually('taken', refused)
    await eventually('the good half', () => view.current()?.entries[0]?.addresses[0] === '172.16.0.12')
    expect(view.current()?.peers[0]?.spec.peerAsNumber).toBe(65001)

    const storedNow = () => readFileSync(clusterStatePath(stateDir), 'utf8')
    // nodes act first
    await eventually('the good half is stored', () => storedNow().includes('172.16.0.12'))
    const stored = storedNow()
    await server.stopApiServer()
    await eventually('out of reach', () => view.contact.problem?.includes('connection refused'))
    expect(view.contact.connected).toBe(false)
    expect(view.current()?.entries).toHaveLength(1)
    const booted = source(connect('user-1'), stateDir)
    expect(booted.current()).toMatchObject({
      source: 'state',
      peers: [{ name: 'peer' }],
      entries: [{ node: 'edge-1' }],
    })
    expect(booted.current()?.passwords.get('peer')?.reveal()).toBe('mySecretValue')
    expect(source(undefined, stateDir).current()?.source).toBe('state')
    expect(storedNow()).toBe(stored)

    await server.startApiServer()
    await eventually('both follow again', () => view.contact.connected && booted.current()?.source === 'api')
    await admin.delete(BGP_PEERS, 'peer')
    await eventually('a deleted BGPPeer is gone', () => booted.current()?.peers.length === 0)
    expect(booted.current()?.entries).toHaveLength(1)
    await eventually(
      'from the disk too',
      () => !readFileSync(clusterStatePath(stateDir), 'utf8').includes('mySecretValue'),
    )

    await admin.delete(ROUTE_SLICES, 'routes-1')
    const other = { ...PEER, metadata: { name: 'another' } }
    await admin.create(BGP_PEERS, other)
    await eventually('the BGPPeer made after that', () => booted.current()?.peers[0]?.name === 'another')
    expect(booted.current()?.entries).toHaveLength(1) // no slice at all: the last ones stay
  },
  300_000,
)

withApi('a state file that is broken is no reason not to start', async () => {
  const stateDir = join(folder, 'corrupt')
  await Bun.write(clusterStatePath(stateDir), '{"version":1,"sli')
  const view = source(connect('user-1'), stateDir)
  expect(view.current()).toBeUndefined()
  await eventually('the view of the API', () => view.current()?.source === 'api')
  writeFileSync(clusterStatePath(stateDir), 'x')
  expect(source(undefined, stateDir).current()).toBeUndefined()
})

withApi('a Secret that may not be read is a problem with the reason, not a stop', async () => {
  const admin = connect('admin')
  const view = source(connect('user-1'), join(folder, 'forbidden'))
  await admin.create(BGP_PEERS, {
    ...PEER,
    metadata: { name: 'other' },
    spec: { ...PEER.spec, authPassword: { secretKeyRef: { name: 'other-secret', key: 'password' } } },
  } as never)
  await eventually('the refusal', () => view.current()?.passwordProblems.get('other'))
  expect(view.current()?.passwordProblems.get('other')).toContain('cannot list resource "secrets"')
  await admin.delete(BGP_PEERS, 'other')
})

/** As after an hour, when the API server forgets Events. */
async function expired(admin: KubeApi): Promise<void> {
  await eventually('the last write is done', async () =>
    JSON.stringify(await admin.list(EVENTS, { namespace: 'default' })).includes('"count":3'),
  )
  for (const { metadata } of await admin.list(EVENTS, { namespace: 'default' }))
    await admin.delete(EVENTS, metadata.name, 'default')
}

withApi('kubectl describe shows Events, counted and bounded', async () => {
  const admin = connect('admin')
  const peer = await admin.create<KubeObject>(BGP_PEERS, PEER)
  const events = createEventRecorder({
    api: admin,
    component: 'terway-edge-speaker',
    host: 'node-1',
    clock: systemClock,
    log: silentLog,
  })
  const { apiVersion, kind } = PEER
  const regarding = { apiVersion, kind, name: 'peer', uid: peer.metadata.uid ?? '' }
  for (let times = 0; times < 3; times++) {
    events.record({ regarding, type: 'Warning', reason: 'FailedEstablish', message: 'node-1: connection refused' })
    await eventually('written', async () => (await admin.list(EVENTS, { namespace: 'default' })).length > 0)
  }
  await expired(admin)
  events.record({ regarding, type: 'Warning', reason: 'FailedEstablish', message: 'node-1: connection refused' })
  await eventually('written anew', async () => (await admin.list(EVENTS, { namespace: 'default' })).length > 0)
  for (let flap = 0; flap < 100; flap++) {
    events.record({ regarding, type: 'Warning', reason: 'SessionLost', message: `flap ${flap}` })
  }
  await events.close()
  const text = server.kubectl(['describe', 'bgppeers', 'peer']).stdout
  expect(text).toMatch(
    /Warning\s+FailedEstablish\s+\S+ \(x4 over \S+\)\s+terway-edge-speaker\s+node-1: connection refused/,
  )
  expect((await admin.list(EVENTS, { namespace: 'default' })).length).toBeLessThanOrEqual(25)
  await admin.delete(BGP_PEERS, 'peer')
})
