/**
 * What a person does with a lab that is up: look at it, run commands in its parts, run kubectl
 * against it.
 *
 * Does not change the lab, and takes no lock: looking is always possible.
 */
import type { Clock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { openCluster } from './cluster.ts'
import type { LabState } from './lab-state.ts'
import { observeLab } from './observe.ts'
import { type LabPlan, namespacesOf, planLab } from './plan.ts'
import { insideKubeconfig } from './programs.ts'
import { type LabRecord, readRecord } from './record.ts'
import { routerShellFolder } from './routers.ts'
import { findProgram, inside, labCommandLine } from './run.ts'
import { requireRoot } from './topology.ts'

/** The record of a lab that is there. */
function requireLab(directory: string): LabRecord {
  const record = readRecord(directory)
  if (record === undefined) {
    throw new UserError(`there is no lab in ${directory}: build one with "${labCommandLine('up', directory)}"`)
  }
  return record
}

/** What the lab in `directory` consists of. */
export function planOf(directory: string): LabPlan {
  return planLab(requireLab(directory).options)
}

/** The state of a lab that is up. */
export async function lookAt(directory: string, clock: Clock): Promise<LabState> {
  requireRoot()
  const record = requireLab(directory)
  if (record.phase !== 'up') {
    throw new UserError(
      `the lab in ${directory} is being built, or was killed while it was: "${labCommandLine('down', directory)}" removes it`,
    )
  }
  const api = openCluster(record.kubeconfig, clock)
  try {
    return await observeLab({ plan: planLab(record.options), record, api, clock })
  } finally {
    api.close()
  }
}

/** Runs a command in a part of the lab, with the person's terminal; its exit status. */
export async function executeIn(directory: string, place: string, command: readonly string[]): Promise<number> {
  requireRoot()
  const places = namespacesOf(planLab(requireLab(directory).options))
  const namespace = places.get(place)
  if (namespace === undefined) {
    throw new UserError(`${JSON.stringify(place)} is no part of the lab: it has ${[...places.keys()].join(', ')}`, {
      exitStatus: 2,
    })
  }
  return inTerminal(inside(namespace, command), routerShellFolder(directory, place))
}

/** Runs kubectl in the VPC, where the API server is. */
export async function runKubectl(directory: string, words: readonly string[]): Promise<number> {
  if (findProgram('kubectl') === undefined) {
    throw new UserError(
      `kubectl is not installed; the lab works without it, and with any client: --kubeconfig ${requireLab(directory).kubeconfig}`,
    )
  }
  return executeIn(directory, 'vpc', ['kubectl', `--kubeconfig=${insideKubeconfig(directory)}`, ...words])
}

/** `firstOfPath` is looked at before PATH for the programs that run inside. */
async function inTerminal([program = '', ...args]: readonly string[], firstOfPath: string): Promise<number> {
  const child = Bun.spawn([findProgram(program) ?? program, ...args], {
    stdin: 'inherit',
    stdout: 'inherit',
    stderr: 'inherit',
    env: { ...process.env, PATH: `${firstOfPath}:${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
  })
  const ignore = () => {} // Ctrl-C is for the command; we wait for it
  process.on('SIGINT', ignore)
  try {
    return await child.exited
  } finally {
    process.off('SIGINT', ignore)
  }
}
