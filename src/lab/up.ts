/**
 * `lab up`: builds the lab step by step, in the order in which a real site comes to be (network,
 * API server, controller, nodes, pods), and takes it down again when a step fails, with the reason
 * and the logs that belong to it.
 *
 * Does not judge the result: it waits until nothing is wrong, or gives what is wrong to who called.
 */
import type { KubeApi } from '../kube/api.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText, UserError } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { claimCluster, makeObjects, openCluster, untilServing } from './cluster.ts'
import { takeDown } from './down.ts'
import { inFolder, makeFolder } from './folders.ts'
import { plainKubeconfig, readRealCluster } from './kubeconfig.ts'
import type { LabState } from './lab-state.ts'
import { logTails } from './log-tails.ts'
import { observeLab } from './observe.ts'
import { retry } from './patience.ts'
import { API_PORT, type LabOptions, type LabPlan, machinesOf, nodesOf, planLab } from './plan.ts'
import { addPod, networkConfig, PodWaits } from './pods.ts'
import {
  insideKubeconfig,
  inwardRoutes,
  outwardRoute,
  type ProgramOptions,
  startApi,
  startCloudProcess,
  startController,
  startNode,
  startRelayProcess,
} from './programs.ts'
import { LabBook, readRecord } from './record.ts'
import { routerPrograms, startRouters } from './routers.ts'
import { labCommandLine, requirePrograms } from './run.ts'
import { makeLinks, makeNamespaces, requireFreeNames, requireRoot } from './topology.ts'

export interface UpOptions {
  readonly lab: LabOptions
  /** As `ownCommand` gives it. */
  readonly command: readonly string[]
  /** The kubeconfig of a real cluster; absent: the lab's own API server. */
  readonly kubeconfig?: string
  /** Of the controller's page on the host's 127.0.0.1; 0: a free one. */
  readonly pagePort: number
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Tells the person what is going on, a line each. */
  readonly say: (line: string) => void
}

/** How long the network may take to come together. */
const READY_SECONDS = 240

/**
 * Builds a lab; resolves with its state once everything holds, or after a while with what does not.
 */
export async function up(options: UpOptions): Promise<LabState> {
  const { lab, clock, say } = options
  requireRoot()
  requirePrograms(['ip', 'ping', ...(lab.cloud ? ['nft'] : []), ...routerPrograms(lab.switches)])
  const earlier = readRecord(lab.directory)
  if (earlier?.phase === 'up') {
    throw new UserError(
      `a lab is up already in ${lab.directory}: look at it with "${labCommandLine('status', lab.directory)}", or remove it with "${labCommandLine('down', lab.directory)}"`,
    )
  }
  if (earlier !== undefined) {
    say('removing what a lab left behind that was killed while it was being built')
    await takeDown(lab.directory, earlier, clock)
  }
  const real = options.kubeconfig === undefined ? undefined : readRealCluster(options.kubeconfig)
  const plan = planLab(lab)
  makeFolder(lab.directory)
  requireFreeNames(plan)
  const book = new LabBook({
    phase: 'building',
    options: lab,
    namespaces: [],
    processes: [],
    pages: [],
    pods: [],
    kubeconfig: options.kubeconfig ?? inFolder(lab.directory, 'kubeconfig.host'),
    realCluster: real !== undefined,
    objects: [],
  })
  try {
    return await build({ ...options, plan, book, real })
  } catch (error) {
    say('it failed: taking the lab down')
    const report = new UserError(errorText(error) + logTails(errorText(error), book.record.processes))
    await takeDown(lab.directory, book.record, clock)
    throw report
  }
}

interface Build extends UpOptions {
  readonly plan: LabPlan
  readonly book: LabBook
  readonly real: ReturnType<typeof readRealCluster> | undefined
}

async function build(given: Build): Promise<LabState> {
  const { plan, book, command, say, clock, signal } = given
  const programs: ProgramOptions = { plan, book, command }
  say(
    `building two LANs with ${nodesOf(plan).length} nodes, two switches, a border router and a VPC host${plan.cloud === undefined ? '' : ', two nodes of ECS and one of ENS'} (namespaces ${plan.prefix}-…)`,
  )
  await makeNamespaces(plan, book)
  await makeLinks(plan)
  say(
    `starting the switches: ${plan.lans.map(({ switch: device }) => `${device.name} runs ${device.router}`).join(', ')}`,
  )
  await startRouters(plan, book, clock)
  if (plan.cloud !== undefined) await startCloud(given, programs)
  await startCluster(given, programs)
  const api = openCluster(book.record.kubeconfig, clock)
  try {
    await untilServing(api, { clock, signal, seconds: 30 })
    if (given.real !== undefined) await claimCluster(api, plan, book)
    say('starting the controller')
    const needs = startController(programs)
    await makeObjects(api, plan, book, { clock, signal, seconds: 60, needs })
    await startNodes(given, programs)
    await startPods(given)
    const state = await untilTogether(given, api)
    book.update(() => ({ phase: 'up' }))
    return state
  } finally {
    api.close()
  }
}

/** The simulated cloud: from then on its instances have their interfaces. */
async function startCloud({ say, clock, signal }: Build, programs: ProgramOptions): Promise<void> {
  say('starting the simulated cloud')
  const { process, readyFile } = startCloudProcess(programs)
  await retry({ clock, signal, seconds: 15, needs: process }, () => {
    if (readFileIfPresent(readyFile) === undefined) throw new UserError('openapi, the simulated cloud, did not start')
  })
}

/** The API server, or the way to a real one, and the ways in from the host. */
async function startCluster(
  { plan, book, real, pagePort, say, clock, signal }: Build,
  programs: ProgramOptions,
): Promise<void> {
  const inside = insideKubeconfig(plan.directory)
  const { address } = plan.vpc
  if (real === undefined) {
    say("starting the lab's own API server in the VPC")
    startApi(programs)
  } else say(`using the API server at ${real.host} port ${real.port}, through a relay in the VPC`)
  writeFileWhole(inside, real?.inside(address, API_PORT) ?? plainKubeconfig(`http://${address}:${API_PORT}`))
  const routes = [
    ...inwardRoutes(plan, { port: pagePort, embeddedApi: real === undefined }),
    ...(real === undefined ? [] : [outwardRoute(plan, real)]),
  ]
  const relay = startRelayProcess(programs, routes)
  const ports = await retry({ clock, signal, seconds: 15, needs: relay.process }, () => readPorts(relay.readyFile))
  book.update(() => ({
    pages: ['controller', ...machinesOf(plan).map(({ name }) => name)].map(name => ({
      name,
      url: `http://127.0.0.1:${ports[name]}/`,
    })),
  }))
  if (real === undefined) writeFileWhole(book.record.kubeconfig, plainKubeconfig(`http://127.0.0.1:${ports.api}`))
}

function readPorts(file: string): Readonly<Record<string, number>> {
  const text = readFileIfPresent(file)
  if (text === undefined) throw new UserError('the relay did not start')
  const ports: Readonly<Record<string, number>> = JSON.parse(text)
  return ports
}

async function startNodes({ plan, say, clock, signal }: Build, programs: ProgramOptions): Promise<void> {
  const nodes = machinesOf(plan)
  say(`starting terway-edge on ${nodes.map(({ name }) => name).join(', ')}`)
  const started = nodes.map(node => [node, startNode(programs, node)] as const)
  for (const [node, needs] of started) {
    await retry({ clock, signal, seconds: READY_SECONDS, needs }, () => {
      if (networkConfig(plan.directory, node) !== undefined) return
      throw new UserError(`${node.name} is not ready: it has written no CNI configuration`)
    })
  }
}

async function startPods({ plan, book, say, clock, signal }: Build): Promise<void> {
  say('starting a pod on each node, by CNI ADD')
  for (const node of machinesOf(plan)) {
    const patience = {
      clock,
      signal,
      seconds: READY_SECONDS,
      hopeless: (error: unknown) => !(error instanceof PodWaits),
    }
    const addresses = await retry(patience, () => addPod(plan.directory, node))
    book.update(({ pods }) => ({ pods: [...pods, { node: node.name, addresses }] }))
  }
}

/** Waits for sessions, routes and paths; in the end gives the last state, good or not. */
async function untilTogether({ plan, book, say, clock, signal }: Build, api: KubeApi): Promise<LabState> {
  say('waiting for the sessions, and for packets to get everywhere')
  let last: LabState | undefined
  try {
    return await retry({ clock, signal, seconds: READY_SECONDS }, async () => {
      last = await observeLab({ plan, record: book.record, api, clock })
      if (last.problems.length > 0) throw new UserError(last.problems[0] ?? '')
      return last
    })
  } catch (error) {
    if (last === undefined || signal.aborted) throw error
    const tails = logTails(last.problems.join('\n'), book.record.processes)
    if (tails !== '') say(tails.trim())
    return last
  }
}
