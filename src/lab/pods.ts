/**
 * The lab's pods: a namespace each, wired by calling the CNI plugin just as a container runtime
 * does (CNI 1.1.0 section 2): the configuration that the agent wrote on stdin, the parameters in
 * the environment, inside the node's network namespace. Nothing is wired by hand: what the plugin
 * does not do is not there.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { inFolder } from './folders.ts'
import type { MachinePlan } from './plan.ts'
import { attempt, inside, namespacePath, PROGRAM_PATH } from './run.ts'

export function confFolder(directory: string, node: MachinePlan): string {
  return inFolder(directory, 'nodes', node.name, 'net.d')
}

export function binFolder(directory: string, node: MachinePlan): string {
  return inFolder(directory, 'nodes', node.name, 'bin')
}

/**
 * The configuration list that a runtime would use: the first of the folder in order of names;
 * undefined until there is one.
 */
export function networkConfig(directory: string, node: MachinePlan): string | undefined {
  const folder = confFolder(directory, node)
  const [first] = readdirSync(folder)
    .filter(name => name.endsWith('.conflist'))
    .sort()
  return first === undefined ? undefined : readFileIfPresent(join(folder, first))
}

interface PluginCall {
  readonly type: string
  readonly stdin: string
}

/**
 * What a runtime hands to each plugin of a list: its own part with the name and version of the
 * list. Pure.
 */
export function pluginCalls(conflist: string): readonly PluginCall[] {
  const list: unknown = JSON.parse(conflist)
  if (typeof list !== 'object' || list === null || !('plugins' in list) || !Array.isArray(list.plugins)) {
    throw new UserError('the CNI configuration is not a list of plugins')
  }
  const { name, cniVersion } = { name: '', cniVersion: '', ...list }
  const plugins: readonly unknown[] = list.plugins
  return plugins.map(plugin => {
    const fields = { type: '', ...(typeof plugin === 'object' && plugin !== null ? plugin : {}) }
    return { type: fields.type, stdin: JSON.stringify({ ...fields, name, cniVersion }) }
  })
}

/** "Try again later" (CNI 1.1.0, error code 11): a runtime does. */
export class PodWaits extends UserError {}
const TRY_AGAIN_LATER = 11

/**
 * Adds the node's pod to its network; returns the pod's addresses. Throws `PodWaits` while there is
 * no address for it.
 */
export async function addPod(directory: string, node: MachinePlan): Promise<readonly string[]> {
  const conflist = networkConfig(directory, node)
  if (conflist === undefined) throw new UserError(`${node.name} has no CNI configuration yet: it is not ready`)
  let result = ''
  for (const { type, stdin } of pluginCalls(conflist)) {
    const environment = [
      'CNI_COMMAND=ADD',
      `CNI_CONTAINERID=lab-${node.name}`,
      `CNI_NETNS=${namespacePath(node.podNamespace)}`,
      'CNI_IFNAME=eth0',
      `CNI_PATH=${binFolder(directory, node)}`,
      `CNI_ARGS=K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-${node.name}`,
      `PATH=${PROGRAM_PATH}`,
    ]
    const plugin = join(binFolder(directory, node), type)
    const call = await attempt(inside(node.namespace, ['env', ...environment, plugin]), { stdin })
    if (call.status !== 0) {
      const message = `CNI ADD on ${node.name} failed: ${(call.stdout || call.stderr).trim()}`
      throw errorCodeOf(call.stdout) === TRY_AGAIN_LATER ? new PodWaits(message) : new UserError(message)
    }
    result = call.stdout
  }
  const addresses = resultAddresses(result)
  if (addresses.length === 0) throw new UserError(`CNI ADD on ${node.name} gave no address: ${result.trim()}`)
  return addresses
}

function errorCodeOf(stdout: string): number | undefined {
  try {
    const value: unknown = JSON.parse(stdout)
    return typeof value === 'object' && value !== null && 'code' in value ? Number(value.code) : undefined
  } catch {
    return undefined
  }
}

/** The addresses in a CNI result, without their prefix lengths. Pure. */
export function resultAddresses(result: string): readonly string[] {
  const value: unknown = JSON.parse(result)
  const ips: unknown = typeof value === 'object' && value !== null && 'ips' in value ? value.ips : undefined
  if (!Array.isArray(ips)) return []
  return ips.flatMap((ip: unknown) => {
    const address = typeof ip === 'object' && ip !== null && 'address' in ip ? ip.address : undefined
    return typeof address === 'string' ? [address.split('/')[0] ?? address] : []
  })
}
