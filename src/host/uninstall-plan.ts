/**
 * What `uninstall` has to do on a machine as it was seen: the node leaves the network before its
 * files go, and what the other role of this machine needs stays. Pure.
 */
import { dirname } from 'node:path'
import type { Config } from '../config/schema.ts'
import { pluginPaths } from './install-plan.ts'
import {
  CONTROLLER_STATE,
  EXECUTABLE,
  otherRole,
  PREVIOUS_EXECUTABLE,
  PREVIOUS_FOLDER,
  partOf,
  previousOf,
  ROLE_FILES,
  type Role,
  STATE_DIRECTORY,
  unitName,
} from './installed-files.ts'
import { DHCPCD_CONF, ENI_FILES, KEEP_OFF_FILES, withoutKeepOff } from './keep-off.ts'
import { installedPlugins } from './plugin-plan.ts'
import type { SeenMachine } from './seen-machine.ts'
import { giveBackShared, SERVICE_USER } from './service-user.ts'
import { type Step, systemctlStep } from './steps.ts'

export interface WantedUninstall {
  readonly role: Role
  readonly config: Pick<Config, 'state' | 'cni'>
  /** Also the configuration, the kubeconfig and the state. */
  readonly purge: boolean
  /**
   * The folder of --root; only the machine that runs this (`/`) has services and a network to
   * leave.
   */
  readonly root: string
  /** Whether a process works with the state folder now. */
  readonly running: boolean
}

/** The paths that `planUninstall` wants to have been looked at. */
export function pathsToSeeForUninstall({ config }: Pick<WantedUninstall, 'config'>): string[] {
  const roles = Object.values(ROLE_FILES).flatMap(files => [
    ...[files.config, previousOf(files.config), files.kubeconfig],
    ...files.units,
  ])
  const folders = [dirname(ROLE_FILES.node.config), PREVIOUS_FOLDER, config.state, STATE_DIRECTORY, ...CONTROLLER_STATE]
  const files = [
    EXECUTABLE,
    PREVIOUS_EXECUTABLE,
    ...roles,
    ...folders,
    ...pluginPaths(config),
    config.cni.confDir,
    ...KEEP_OFF_FILES.map(({ path }) => path),
    ...ENI_FILES,
    DHCPCD_CONF,
  ]
  return files.flatMap(path => [path, partOf(path)])
}

/** The file of dhcpcd as it was before. */
function dhcpcdSteps(seen: SeenMachine): Step[] {
  const file = seen.paths.get(DHCPCD_CONF)
  const text = file?.kind === 'file' && file.text !== undefined ? withoutKeepOff(file.text) : undefined
  if (file?.kind !== 'file' || text === undefined || text === file.text) return []
  return [{ do: 'write', what: 'network program', path: DHCPCD_CONF, text, mode: file.mode }]
}

export function planUninstall(wanted: WantedUninstall, seen: SeenMachine): readonly Step[] {
  const { role, config, purge, root, running } = wanted
  const here = root === '/'
  const { units } = ROLE_FILES[role]
  const installed = units.filter(path => seen.paths.has(path))
  const shared = ROLE_FILES[otherRole(role)].units.some(path => seen.paths.has(path))
  const remove = (paths: readonly string[]): Step[] =>
    [...new Set(paths.flatMap(path => [path, partOf(path)]))]
      .filter(path => seen.paths.has(path))
      .map(path => ({ do: 'remove', path }))
  const systemd = here && seen.enabled !== undefined
  return [
    ...(here && role === 'node' && running ? [{ do: 'drain' } as const] : []),
    ...(systemd ? installed.map(path => systemctlStep('disable', '--now', unitName(path))) : []),
    ...(here && role === 'node' ? [{ do: 'leave network' } as const] : []),
    ...(role === 'node' ? remove(installedPlugins(config, seen)) : []),
    ...(role === 'node'
      ? [...remove([...KEEP_OFF_FILES.map(({ path }) => path), ...ENI_FILES]), ...dhcpcdSteps(seen)]
      : []),
    ...(role === 'node' ? giveBackShared(config, seen) : []),
    ...remove(units),
    ...(systemd ? [systemctlStep('daemon-reload')] : []),
    ...(purge ? purgeSteps(wanted, { remove, shared }) : keptSteps(wanted, seen)),
    ...(purge && role === 'node' && seen.user !== undefined ? [REMOVE_USER] : []),
    ...(shared ? [] : remove([PREVIOUS_EXECUTABLE, PREVIOUS_FOLDER, EXECUTABLE])),
  ]
}

const REMOVE_USER: Step = { do: 'remove user', name: SERVICE_USER }

function purgeSteps(
  { role, config }: WantedUninstall,
  { remove, shared }: { readonly remove: (paths: readonly string[]) => Step[]; readonly shared: boolean },
): Step[] {
  const files = ROLE_FILES[role]
  return [
    ...remove(shared ? [files.config, previousOf(files.config), files.kubeconfig] : [dirname(files.config)]),
    ...remove(role === 'node' ? [config.state, STATE_DIRECTORY] : CONTROLLER_STATE),
  ]
}

function keptSteps({ role, config, root }: WantedUninstall, seen: SeenMachine): Step[] {
  const files = ROLE_FILES[role]
  const kept = [files.config, files.kubeconfig, role === 'node' ? config.state : CONTROLLER_STATE[0]]
    .filter(path => seen.paths.has(path))
    .map(path => (root === '/' ? path : `${root}${path}`))
  return kept.length === 0 ? [] : [{ do: 'say', text: `kept: ${kept.join(', ')} (--purge removes them)` }]
}
