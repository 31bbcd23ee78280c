/**
 * Measures one size of cluster in the network namespace that it is started in: a `Task` as its
 * argument, `Measured` on stdout. Everything measured is the built executable.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KubeApi } from '../../../src/kube/api.ts'
import { createKubeApi } from '../../../src/kube/client.ts'
import { loadKubeconfig } from '../../../src/kube/kubeconfig.ts'
import { BGP_PEERS, NODES, type Node, ROUTE_SLICES } from '../../../src/kube/resources.ts'
import type { RouteSlice } from '../../../src/kube/route-slice.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { TestApiServer } from '../../../test/support/kube-apiserver.ts'
import { kubeconfigText } from '../../../test/support/kubeconfig.ts'
import { eventually } from '../../../test/support/namespaces.ts'
import { KernelRoutes } from './kernel-routes.ts'
import { cpuSeconds, forgetPeak, memory, receivedBytes } from './process.ts'
import { LANS, MEASURED_NODE, nodeObject, nodeStatus, peerObject, SERVER_ADDRESS } from './site.ts'
import { smallCgroup } from './small-cgroup.ts'
import type { Measured, ProcessCost, Task } from './task.ts'

const HEARTBEAT_SECONDS = 300
/** Requests under way at once while the cluster is filled. */
const AT_ONCE = 16
const SETTLE_MILLISECONDS = 5000

const task: Task = JSON.parse(process.argv[2] ?? '{}')
const parting = new AsyncDisposableStack()
try {
  console.log(JSON.stringify(await measure()))
} finally {
  await parting.disposeAsync()
}
process.exit(0)

async function measure(): Promise<Measured> {
  const { nodes, seconds, namespaces } = task
  const server = await startServer()
  const api = createKubeApi({ kubeconfig: loadKubeconfig(server.kubeconfig), clock: systemClock, log: silentLog })
  parting.defer(() => api.close())
  say('filling the cluster')
  await fill(api)
  const stored = await api.get<Node>(NODES, MEASURED_NODE)
  const nodeBytes = JSON.stringify(stored).length

  say('starting the controller')
  const slices = api.cache<RouteSlice>(ROUTE_SLICES)
  const began = performance.now()
  const controller = start('controller', controllerConfig(server.kubeconfig))
  await published(slices, nodes)
  const controllerStart = (performance.now() - began) / 1000
  await Bun.sleep(SETTLE_MILLISECONDS)
  const controllerPeak = memory(controller.pid).peak
  for (let lan = 0; lan < LANS; lan++) await api.apply(BGP_PEERS, peerObject(lan), { fieldManager: 'bench' })
  await membersPublished(slices, nodes)

  say('starting the watch and the node')
  const watchBegan = performance.now()
  const watch = startWatch(server)
  await firstLine(watch)
  const watchStart = (performance.now() - watchBegan) / 1000
  const routes = await KernelRoutes.open(namespaces.node)
  parting.defer(() => routes.close())
  const nodeConfig = nodeConfiguration(server.kubeconfig)
  let node = start('node', nodeConfig, namespaces.node)
  const wanted = await routes.settled()

  say('the steady state')
  const heartbeats = beat(api)
  await Bun.sleep(SETTLE_MILLISECONDS)
  const [controllerRest, watchRest, nodeRest] = await resting(
    [
      { pid: controller.pid, namespace: undefined },
      { pid: watch.pid, namespace: namespaces.watcher },
      { pid: node.pid, namespace: namespaces.node },
    ],
    seconds,
  )
  heartbeats.stop()
  const cniServer = start('cni-server', nodeConfig, namespaces.node)
  await Bun.sleep(1000)
  const pairMegabytes = memory(node.pid).proportional + memory(cniServer.pid).proportional

  say('routes deleted by hand')
  const repaired = await routes.repairs(task.rounds)

  say('cold starts')
  const coldStart: number[] = []
  for (let round = 0; round < Math.min(5, task.rounds); round++) {
    await stop(node)
    routes.flush()
    const at = performance.now()
    node = start('node', nodeConfig, namespaces.node)
    await routes.untilCount(wanted)
    coldStart.push(performance.now() - at)
    await Bun.sleep(1500)
  }

  say('Nodes that come')
  await stop(node)
  const limit = smallCgroup(task.folder)
  parting.defer(() => limit?.remove())
  node = start('node', nodeConfig, namespaces.node, limit?.enter)
  await Bun.sleep(SETTLE_MILLISECONDS)
  forgetPeak(node.pid)
  const created: number[] = []
  for (let round = 0; round < task.rounds; round++) {
    // of the measured node's LAN, so that each is a route of its own
    const index = LANS * (Math.ceil(nodes / LANS) + round)
    created.push(await routes.untilRoute(() => createNode(api, index)))
    await Bun.sleep(100 + Math.random() * 300)
  }
  const lives = node.exitCode === null
  return {
    server: task.real ? 'kube-apiserver' : "the lab's",
    nodes,
    nodeBytes,
    watch: { ...watchRest, startSeconds: watchStart },
    controller: { ...controllerRest, peakMegabytes: controllerPeak, startSeconds: controllerStart },
    node: nodeRest,
    pairMegabytes,
    coldStart,
    created,
    repaired,
    churnPeakMegabytes: lives ? memory(node.pid).peak : Number.NaN,
    livesInSmallCgroup: limit === undefined ? undefined : lives,
  }
}

interface Server {
  readonly url: string
  readonly kubeconfig: string
  readonly token?: string
}

async function startServer(): Promise<Server> {
  if (task.real) {
    const server = await TestApiServer.start({ address: SERVER_ADDRESS })
    parting.defer(() => server.close())
    return { url: server.url, kubeconfig: server.kubeconfig, token: server.token() }
  }
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/lab-server.ts`, '6443'], { stdout: 'pipe' })
  parting.defer(() => end(child))
  await firstLine(child)
  const kubeconfig = join(task.folder, 'kubeconfig')
  const url = `http://${SERVER_ADDRESS}:6443`
  writeFileSync(kubeconfig, kubeconfigText(url))
  return { url, kubeconfig }
}

async function fill(api: KubeApi): Promise<void> {
  const jobs = Array.from({ length: task.nodes }, (_, index) => index)
  const worker = async () => {
    for (let index = jobs.pop(); index !== undefined; index = jobs.pop()) await createNode(api, index, podCIDR(index))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** A real API server may drop the status of what is created. */
async function createNode(api: KubeApi, index: number, withPodCIDR?: string): Promise<void> {
  const { status, ...object } = nodeObject(index, withPodCIDR)
  const made = await api.create<Node>(NODES, { ...object, status } as Node)
  if (made.status?.addresses === undefined || made.status.addresses.length === 0) {
    await api.mergePatch(NODES, object.metadata.name, { status }, { subresource: 'status' })
  }
}

function podCIDR(index: number): string {
  return `10.${index >> 9}.${(index >> 1) & 255}.${(index & 1) * 128}/25`
}

/** What kubelets write though nothing changes. */
function beat(api: KubeApi): { stop(): void } {
  let index = 0
  const timer = setInterval(
    () => {
      const name = `node-${index}`
      const heartbeat = new Date().toISOString().replace(/\.\d+/, '')
      void api
        .mergePatch(NODES, name, nodeStatus(index, heartbeat), { subresource: 'status' })
        .catch((error: unknown) => say(`a heartbeat failed: ${String(error)}`))
      index = (index + 1) % task.nodes
    },
    (HEARTBEAT_SECONDS * 1000) / task.nodes,
  )
  return { stop: () => clearInterval(timer) }
}

type Slices = { readonly objects: ReadonlyMap<string, RouteSlice> }

async function published(slices: Slices, nodes: number): Promise<void> {
  const count = () => [...slices.objects.values()].reduce((sum, { entries }) => sum + entries.length, 0)
  while (count() < nodes) await Bun.sleep(5)
}

async function membersPublished(slices: Slices, nodes: number): Promise<void> {
  await eventually(
    'all members to be published',
    () => {
      const entries = [...slices.objects.values()].flatMap(slice => slice.entries)
      return entries.filter(({ peers }) => peers.length > 0).length === nodes
    },
    120,
  )
}

function controllerConfig(kubeconfig: string): string {
  return configFile('controller', {
    kubeconfig,
    network: {
      podCIDRs: ['10.0.0.0/8'],
      edgeNodes: 'all()',
      rememberSeconds: 0,
      serviceCIDRs: ['192.168.0.0/16'],
    },
    allocatePodCIDRs: true,
  })
}

function nodeConfiguration(kubeconfig: string): string {
  const at = (name: string) => join(task.folder, 'node', name)
  return configFile('node', {
    kubeconfig,
    node: MEASURED_NODE,
    cni: { confDir: at('net.d'), binDir: at('bin') },
    paths: { enabled: false },
  })
}

function configFile(name: string, config: object): string {
  const state = join(task.folder, name)
  mkdirSync(state, { recursive: true })
  const file = join(task.folder, `${name}.yaml`)
  writeFileSync(file, JSON.stringify({ state, status: { listen: '127.0.0.1:0' }, ...config }))
  return file
}

function start(subcommand: string, config: string, namespace?: string, enter: readonly string[] = []): Bun.Subprocess {
  const inside = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]
  const log = Bun.file(join(task.folder, `${subcommand}.log`))
  const words = [task.executable, subcommand, '--config', config, '--log-level', 'error']
  const child = Bun.spawn([...inside, ...enter, ...words], { stdin: 'ignore', stdout: log, stderr: log })
  parting.defer(() => end(child))
  return child
}

function startWatch({ url, token }: Server): Bun.Subprocess<'ignore', 'pipe', 'inherit'> {
  const words = [process.execPath, `${import.meta.dir}/bare-watch.ts`, url, ...(token === undefined ? [] : [token])]
  const child = Bun.spawn(['ip', 'netns', 'exec', task.namespaces.watcher, ...words], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  parting.defer(() => end(child))
  return child
}

async function firstLine(child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>): Promise<void> {
  const reader = child.stdout.getReader()
  const { done } = await reader.read()
  reader.releaseLock()
  if (done) throw new Error('a process ended before it was ready')
}

async function stop(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGTERM')
  await child.exited
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGKILL')
  await child.exited
}

async function resting(
  processes: readonly { readonly pid: number; readonly namespace: string | undefined }[],
  seconds: number,
): Promise<[Rest, Rest, Rest]> {
  const bytes = (namespace: string | undefined) => (namespace === undefined ? 0 : receivedBytes(namespace, 'uplink'))
  const before = processes.map(({ pid, namespace }) => ({ cpu: cpuSeconds(pid), bytes: bytes(namespace) }))
  await Bun.sleep(seconds * 1000)
  const [a, b, c] = processes.map(({ pid, namespace }, index): Rest => {
    const { resident, peak, anonymous } = memory(pid)
    const began = before[index] ?? { cpu: 0, bytes: 0 }
    return {
      cpuPercent: ((cpuSeconds(pid) - began.cpu) / seconds) * 100,
      bytesPerSecond: (bytes(namespace) - began.bytes) / seconds,
      restMegabytes: resident,
      anonymousMegabytes: anonymous,
      peakMegabytes: peak,
    }
  })
  if (a === undefined || b === undefined || c === undefined) throw new Error('three processes are measured')
  return [a, b, c]
}

type Rest = ProcessCost & { readonly bytesPerSecond: number }

function say(text: string): void {
  console.error(`${task.nodes} nodes: ${text}`)
}
