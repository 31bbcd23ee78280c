/**
 * Pods on elastic network interfaces with the built executable as the controller, under its own
 * roles, on a real API server, against the simulated cloud over HTTP: signatures, real time, kill
 * -9. A node may report on its own ENINode only, and what it writes beside is undone.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Invariants } from '../../src/cloudsim/invariants.ts'
import { type Serving, serveCloud } from '../../src/cloudsim/serve.ts'
import { decodeENINode } from '../../src/kube/decode-eni-node.ts'
import { type ENINode, reportFieldManager, reportPatch } from '../../src/kube/eni-node.ts'
import { nodeIdentityObjects } from '../../src/kube/node-identity.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { KEY, REGION, simulator, ZONE } from '../cloud/world.ts'
import { buildVersion } from '../support/build.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { run } from '../support/namespaces.ts'
import { NODE_GROUP, nodeUser } from '../support/node-user.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = ['KUBEBUILDER_ASSETS', 'kubectl'] as const
const test = testNeeding(...NEEDS)
const folder = mkdtempSync(join(tmpdir(), 'te-eni-'))
const program = join(folder, 'terway-edge')
const sim = simulator(systemClock, { delays: { attach: 500, detach: 500, delete: 300 } })
const pods = new Map<string, string>()
let eniNodes: readonly ENINode[] = []
const invariants = new Invariants(sim, {
  pods: () => pods,
  eniNodes: () => eniNodes,
  isOurs: item => item.tags.creator === 'terway-edge' && item.tags['terway-edge/cluster'] === 'cluster-1',
})
let server: TestApiServer | undefined
let serving: Serving | undefined
let controller: Bun.Subprocess | undefined

function api(): TestApiServer {
  if (server === undefined) throw new Error('the API server did not start')
  return server
}

async function call(path: string, options: { method?: string; body?: object; type?: string; as?: string } = {}) {
  const { method = 'GET', body, type = 'application/json', as } = options
  const answer = await fetch(`${api().url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${api().token()}`,
      'content-type': type,
      ...(as === undefined ? {} : { 'impersonate-user': nodeUser(as), 'impersonate-group': NODE_GROUP }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    tls: { rejectUnauthorized: false },
  })
  return { status: answer.status, body: (await answer.json()) as { items?: object[]; status?: object } }
}

const ENI_NODES = '/apis/network.openyurt.io/v1alpha1/eninodes'

async function look(): Promise<ENINode | undefined> {
  const { body } = await call(ENI_NODES)
  eniNodes = (body.items ?? []).map(item => decodeENINode(item).node).filter(node => node !== undefined)
  return eniNodes.find(({ name }) => name === 'node-1')
}

async function until<T>(what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    await Bun.sleep(100)
  }
  throw new Error(
    `never: ${what}\n${JSON.stringify(await look(), null, 1)}\n${await Bun.file(join(folder, 'log')).text()}`,
  )
}

beforeAll(async () => {
  if (missing(NEEDS).length > 0) return
  buildVersion(program, '0.0.0')
  server = await TestApiServer.start()
  const rules = run([
    process.execPath,
    'src/main.ts',
    'manifests',
    '--part',
    'rbac',
    '--cloud-secret',
    'cloud-key',
  ]).stdout
  // the controller is a ServiceAccount; here its rights are those of a user, as there are no tokens
  // for it
  const account = /kind: ServiceAccount\n(\s+)name: terway-edge-controller\n\s+namespace: kube-system/g
  const inline = '{kind: ServiceAccount, name: terway-edge-controller, namespace: kube-system}'
  const user = '{kind: User, name: user-1, apiGroup: rbac.authorization.k8s.io}'
  const own = rules
    .replaceAll(inline, user)
    .replace(account, 'kind: User\n$1name: user-1\n$1apiGroup: rbac.authorization.k8s.io')
  server.applyYaml(own)
  for (const object of nodeIdentityObjects('node-1')) server.applyYaml(JSON.stringify(object))
  const data = { accessKeyId: btoa(KEY.id), accessKeySecret: btoa(KEY.secret) }
  const conf = { vswitches: { [ZONE]: ['vsw-1'] }, security_group: 'sg-1', max_pool_size: 2, enable_eni_trunking: true }
  for (const object of [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'cloud-key', namespace: 'kube-system' }, data },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'eni-config', namespace: 'kube-system' },
      data: { eni_conf: JSON.stringify(conf) },
    },
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: 'node-1',
        labels: { 'node.kubernetes.io/instance-type': 'ecs.g7.xlarge', 'topology.kubernetes.io/zone': ZONE },
      },
      spec: { providerID: `${REGION}.i-1` },
    },
  ])
    server.applyYaml(JSON.stringify(object))
  sim.world.addInstance({ id: 'i-1', product: 'ecs', type: 'ecs.g7.xlarge', vpcID: 'vpc-1', zoneID: ZONE }, 'vsw-node')
  const seeing = {
    fetch: async (request: Request) => {
      await look() // the record of a call is there before the call
      return await sim.fetch(request)
    },
  }
  serving = await serveCloud(seeing, { hostname: '127.0.0.1', port: 0 })
  const endpoint = `http://127.0.0.1:${serving.port}`
  const config = {
    allocatePodCIDRs: false,
    status: { listen: '127.0.0.1:0' },
    cloud: {
      credentials: { from: 'secret', name: 'cloud-key' },
      endpoints: { ecs: endpoint, vpc: endpoint, ens: endpoint },
      clusterID: 'cluster-1',
    },
  }
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config))
}, 300_000)

afterAll(async () => {
  await stop('SIGKILL')
  await serving?.close()
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

function start(): void {
  controller = Bun.spawn(
    [program, 'controller', '--config', join(folder, 'config.yaml'), '--kubeconfig', api().userKubeconfig('user-1')],
    { cwd: folder, stdout: 'ignore', stderr: Bun.file(join(folder, 'log')) },
  )
}

async function stop(signal: NodeJS.Signals): Promise<void> {
  controller?.kill(signal)
  await controller?.exited
  controller = undefined
}

/** Gives the Lease back, as nobody waits for 15 s here. */
async function freeLease(): Promise<void> {
  await call('/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/terway-edge-controller', { method: 'DELETE' })
}

/** The node's half: waiting pods get what is there, what is to leave is let go. */
async function report(waiting: number): Promise<void> {
  const node = await look()
  const interfaces = node?.status.interfaces ?? []
  const taken = new Set(pods.values())
  const idle = interfaces.flatMap(({ addresses }) => addresses).filter(address => !taken.has(address))
  const released = interfaces.flatMap(({ releasing }) => releasing).filter(address => !taken.has(address))
  const body = reportPatch('node-1', { inUse: pods.size, waiting, released, idle, left: false })
  const path = `${ENI_NODES}/node-1/status?fieldManager=${reportFieldManager('node-1')}&force=true`
  const { status } = await call(path, { method: 'PATCH', body, type: 'application/apply-patch+yaml', as: 'node-1' })
  expect(status).toBe(200)
}

function free(node: ENINode): readonly string[] {
  const taken = new Set(pods.values())
  return node.status.interfaces
    .filter(({ state }) => state === 'InUse')
    .flatMap(({ addresses }) => addresses)
    .filter(address => !taken.has(address))
}

test('scaled up and down through kill -9, on the real API server under its own roles', async () => {
  start()
  await until('there is an ENINode', look)
  await report(20)
  for (const pause of [300, 900, 1500]) {
    await Bun.sleep(pause)
    await stop('SIGKILL')
    await freeLease()
    start()
  }
  await until('there are addresses for all', async () => {
    const node = await look()
    return node !== undefined && free(node).length >= 20
  })
  const node = await look()
  for (const [index, address] of (node === undefined ? [] : free(node)).slice(0, 3).entries())
    pods.set(`pod-${index}`, address)
  await report(0)
  await until('the rest is given back', async () => {
    await report(0)
    const now = await look()
    return now?.status.interfaces.flatMap(item => [...item.addresses, ...item.releasing]).length === 5
  })
  await until('nothing is under way', async () => (await look())?.status.operations.length === 0)
  expect(invariants.check()).toEqual([])
  const calls = invariants.changingCalls().length
  await Bun.sleep(3_000)
  expect(invariants.since(calls)).toEqual([])
  const told = api().kubectl(['get', 'events', '-o', 'json']).stdout
  expect(told).toContain('ModeDecided')
  expect(api().kubectl(['get', 'node', 'node-1', '-o', 'json']).stdout).toContain('"SufficientIP"')
}, 300_000)

test('what a node writes outside of status.node is undone, and told; another node may write nothing', async () => {
  const before = await look()
  const path = `${ENI_NODES}/node-1/status?fieldManager=somebody&force=true`
  const meta = { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'ENINode', metadata: { name: 'node-1' } }
  const stolen = { ...meta, status: { interfaces: [], operations: [] } }
  const options = { method: 'PATCH', body: stolen, type: 'application/apply-patch+yaml' }
  expect((await call(path, { ...options, as: 'node-2' })).status).toBe(403)
  expect((await call(`${ENI_NODES}/node-1?fieldManager=somebody`, { ...options, as: 'node-1' })).status).toBe(403)
  expect((await call(path, { ...options, as: 'node-1' })).status).toBe(200)
  await until('it is as it was', async () => {
    const node = await look()
    return Bun.deepEquals(node?.status.interfaces, before?.status.interfaces)
  })
  await until('it is told', async () => api().kubectl(['get', 'events', '-o', 'json']).stdout.includes('ForeignWrite'))
  expect(invariants.check()).toEqual([])
}, 300_000)

test('no key stands in the log, a status, an Event or the page', async () => {
  const log = await Bun.file(join(folder, 'log')).text()
  const address = /"address":"(http[^"]+)"/.exec(log)?.[1]
  const page = await (await fetch(`${address}/api/v1/snapshot`)).text()
  expect(page).toContain('"eni-ecs"')
  expect(page).toContain('has no effect: trunk and member interfaces are not used')
  const metrics = await (await fetch(`${address}/metrics`)).text()
  expect(metrics).toContain('terway_edge_eni_capacity_addresses{node="node-1"} 45')
  const all = [
    log,
    page,
    metrics,
    JSON.stringify(await call(ENI_NODES)),
    api().kubectl(['get', 'events', '-o', 'json']).stdout,
  ]
  for (const text of all) expect(text.includes(KEY.secret)).toBe(false)
})
