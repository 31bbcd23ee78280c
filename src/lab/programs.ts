/**
 * The product's own processes in the lab: where the executable is, what each is configured with,
 * how each is started. They get what they would get on real machines: a configuration file, a
 * kubeconfig, folders for state and CNI.
 *
 * Does not know how processes are started and found again (processes.ts).
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { writeFileWhole } from '../lib/files.ts'
import { CLOUD_SECRET, ENS_CIDR, OPEN_API_PORT } from './cloud-plan.ts'
import { inFolder } from './folders.ts'
import {
  API_PORT,
  DATA_CENTER_CIDR,
  DATA_CENTER_CIDR6,
  EDGE_NODES,
  type LabPlan,
  type MachinePlan,
  machinesOf,
  POD_POOL,
  POD_POOL6,
  PODS_PER_NODE,
  STATUS_PORT,
  VPC_CIDR,
  VPC_CIDR6,
} from './plan.ts'
import { binFolder, confFolder } from './pods.ts'
import { startProcess } from './processes.ts'
import type { LabBook, ProcessRecord } from './record.ts'
import type { RelayRoute } from './relay.ts'
import { namespacePath } from './run.ts'

/** The command that runs this program: the compiled executable, or Bun with the source. */
export function ownCommand(executable: string | undefined): readonly string[] {
  if (executable !== undefined) return [resolve(executable)]
  const source = import.meta.path
  // Inside a compiled executable the modules lie in a file system of its own.
  return source.startsWith('/$bunfs/') ? [process.execPath] : [process.execPath, resolve(source, '../../main.ts')]
}

/** The API server's kubeconfig inside the lab. */
export function insideKubeconfig(directory: string): string {
  return inFolder(directory, 'kubeconfig')
}

export interface ProgramOptions {
  readonly plan: LabPlan
  readonly book: LabBook
  /** As `ownCommand` gives it. */
  readonly command: readonly string[]
}

export function startApi({ plan, book, command }: ProgramOptions): ProcessRecord {
  mkdirSync(inFolder(plan.directory, 'api'), { recursive: true, mode: 0o700 })
  const listen = `${plan.vpc.address}:${API_PORT}`
  const state = inFolder(plan.directory, 'api', 'state.json')
  const args = ['lab', 'api', '--listen', listen, '--state', state]
  return startProcess(book, { name: 'api', namespace: plan.vpc.namespace, command: [...command, ...args] })
}

export function startController({ plan, book, command }: ProgramOptions): ProcessRecord {
  const file = inFolder(plan.directory, 'controller', 'config.yaml')
  const only6 = (cidr: string) => (plan.vpc.address6 === undefined ? [] : [cidr])
  writeConfig(file, {
    kubeconfig: insideKubeconfig(plan.directory),
    state: inFolder(plan.directory, 'controller', 'state'),
    status: { listen: `127.0.0.1:${STATUS_PORT}` },
    network: {
      edgeNodes: plan.cloud === undefined ? 'all()' : EDGE_NODES,
      rememberSeconds: 0, // each lab is a new cluster
      podCIDRs: [POD_POOL, ...only6(POD_POOL6)],
      podsPerNode: PODS_PER_NODE,
      vpcCIDRs: [VPC_CIDR, ...only6(VPC_CIDR6), ...(plan.cloud === undefined ? [] : [ENS_CIDR])],
      dataCenterCIDRs: [DATA_CENTER_CIDR, ...only6(DATA_CENTER_CIDR6)],
    },
    ...(plan.cloud === undefined ? {} : { cloud: cloudConfig(plan) }),
  })
  const args = ['controller', '--config', file]
  return startProcess(book, { name: 'controller', namespace: plan.vpc.namespace, command: [...command, ...args] })
}

/** Where the controller finds the simulated cloud, and its key. */
function cloudConfig(plan: LabPlan): object {
  const endpoint = `http://${plan.vpc.address}:${OPEN_API_PORT}`
  return {
    credentials: { from: 'secret', name: CLOUD_SECRET },
    endpoints: { ecs: endpoint, vpc: endpoint, ens: endpoint },
    clusterID: plan.prefix,
  }
}

/** Starts the simulated cloud; it writes `readyFile` once its instances have interfaces. */
export function startCloudProcess({ plan, book, command }: ProgramOptions): {
  readonly process: ProcessRecord
  readonly readyFile: string
} {
  const readyFile = inFolder(plan.directory, 'cloud', 'ready')
  mkdirSync(inFolder(plan.directory, 'cloud'), { recursive: true, mode: 0o700 })
  const args = ['lab', 'cloud', '--dir', plan.directory, '--ready', readyFile]
  const started = startProcess(book, { name: 'openapi', namespace: plan.vpc.namespace, command: [...command, ...args] })
  return { process: started, readyFile }
}

export function startNode({ plan, book, command }: ProgramOptions, node: MachinePlan): ProcessRecord {
  const file = inFolder(plan.directory, 'nodes', node.name, 'config.yaml')
  const confDir = confFolder(plan.directory, node)
  const binDir = binFolder(plan.directory, node)
  mkdirSync(confDir, { recursive: true })
  mkdirSync(binDir, { recursive: true })
  installPlugin(join(binDir, 'terway-edge'), command)
  writeConfig(file, {
    node: node.name,
    kubeconfig: insideKubeconfig(plan.directory),
    state: inFolder(plan.directory, 'nodes', node.name, 'state'),
    status: { listen: `127.0.0.1:${STATUS_PORT}` },
    cni: { confDir, binDir },
  })
  const args = ['node', '--config', file]
  return startProcess(book, { name: node.name, namespace: node.namespace, command: [...command, ...args] })
}

/** JSON is YAML. */
function writeConfig(file: string, config: object): void {
  writeFileWhole(file, `${JSON.stringify(config, undefined, 2)}\n`)
}

/**
 * What `terway-edge install` does on a real node: puts the plugin where the runtime looks for it.
 */
function installPlugin(path: string, command: readonly string[]): void {
  const [program = '', ...rest] = command
  if (rest.length === 0) symlinkSync(program, path)
  else {
    const words = command.map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    writeFileSync(path, `#!/bin/sh\nexec ${words} "$@"\n`)
    chmodSync(path, 0o755)
  }
}

/**
 * What the host reaches inside the lab: the API server (unless a real one is used) and the status
 * pages.
 */
export function inwardRoutes(plan: LabPlan, options: { port: number; embeddedApi: boolean }): readonly RelayRoute[] {
  const page = (name: string, namespace: string, port: number): RelayRoute => ({
    name,
    listen: { address: '127.0.0.1', port },
    dial: { namespace: namespacePath(namespace), address: '127.0.0.1', port: STATUS_PORT },
  })
  const api: RelayRoute = {
    name: 'api',
    listen: { address: '127.0.0.1', port: 0 },
    dial: { namespace: namespacePath(plan.vpc.namespace), address: plan.vpc.address, port: API_PORT },
  }
  return [
    page('controller', plan.vpc.namespace, options.port),
    ...machinesOf(plan).map(node => page(node.name, node.namespace, 0)),
    ...(options.embeddedApi ? [api] : []),
  ]
}

/** How the lab reaches the API server of a real cluster: through the host. */
export function outwardRoute(plan: LabPlan, target: { host: string; port: number }): RelayRoute {
  return {
    name: 'cluster',
    listen: { namespace: namespacePath(plan.vpc.namespace), address: plan.vpc.address, port: API_PORT },
    dial: { address: target.host, port: target.port },
  }
}

/** Starts the relay process; it writes the ports it got to `readyFile`. */
export function startRelayProcess(
  { plan, book, command }: ProgramOptions,
  routes: readonly RelayRoute[],
): { readonly process: ProcessRecord; readonly readyFile: string } {
  const file = inFolder(plan.directory, 'relay', 'routes.json')
  const readyFile = inFolder(plan.directory, 'relay', 'ports.json')
  writeFileWhole(file, JSON.stringify(routes))
  const started = startProcess(book, {
    name: 'relay',
    command: [...command, 'lab', 'relay', '--routes', file, '--ready', readyFile],
  })
  return { process: started, readyFile }
}
