/**
 * What `install` has to do on a machine as it was seen. Installing twice changes nothing; a
 * configuration that is there is replaced only by one that was named; what was not made here is
 * never touched; what cannot work is a problem, said before anything is changed. Pure.
 */
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { Problem } from '../lib/errors.ts'
import {
  CNI_NAMES,
  EXECUTABLE,
  NODE_UNIT,
  PREVIOUS_EXECUTABLE,
  previousOf,
  ROLE_FILES,
  type Role,
  STATE_DIRECTORY,
  unitName,
} from './installed-files.ts'
import {
  DHCPCD_CONF,
  ENI_FILES,
  ENI_FOLDERS,
  eniKeepOffFiles,
  getsInterfaces,
  KEEP_OFF_FILES,
  type KeepOffFile,
  NETWORKD,
  withKeepOff,
} from './keep-off.ts'
import { isFileOf, isLinkTo, type SeenMachine, sha256 } from './seen-machine.ts'
import {
  handOverSteps,
  pathsToHandOver,
  SERVICE_USER,
  SERVICE_USER_LINE,
  secretFiles,
  stateSteps,
} from './service-user.ts'
import { type Step, systemctlStep, type What } from './steps.ts'
import { foldersToOpen, hiddenPaths, unitsFor } from './unit.ts'

export interface WantedInstall {
  readonly role: Role
  /** The executable to install, as this process sees it. */
  readonly executable: { readonly from: string; readonly sha256: string }
  /** What the configuration says that will be in effect. */
  readonly config: Config
  /**
   * Its text, where it is to be written: named with --config, or the example where there is none.
   */
  readonly configText: string | undefined
  /** Of --kubeconfig. */
  readonly kubeconfigText: string | undefined
  /** Whether the services are to run on this machine now. */
  readonly start: boolean
  /** The folder of --root. */
  readonly root: string
}

export interface InstallPlan {
  readonly steps: readonly Step[]
  /** Why it must not be begun. */
  readonly problems: readonly Problem[]
}

/** The paths that `planInstall` wants to have been looked at. */
export function pathsToSee({ role, config }: Pick<WantedInstall, 'role' | 'config'>): string[] {
  const { config: file, kubeconfig } = ROLE_FILES[role]
  const units = unitsFor(role, config).map(({ path }) => path)
  return [
    ...[EXECUTABLE, PREVIOUS_EXECUTABLE, file, kubeconfig, ...units],
    ...(config.kubeconfig === undefined ? [] : [config.kubeconfig]),
    ...(role === 'node'
      ? [
          ...pluginPaths(config),
          ...foldersToMake(config),
          ...pathsToHandOver(config),
          ...KEEP_OFF_FILES.flatMap(({ folder, path }) => [folder, path]),
          ...[DHCPCD_CONF, ...ENI_FOLDERS, ...ENI_FILES, ...NETWORKD],
        ]
      : statusFiles(config)),
  ]
}

export function planInstall(wanted: WantedInstall, seen: SeenMachine): InstallPlan {
  const { role, config } = wanted
  const node = role === 'node' && runsServices(wanted, seen)
  const steps: Step[] = [
    ...(node ? userSteps(seen) : []),
    executableStep(wanted, seen),
    ...kubeconfigSteps(wanted, seen),
    configStep(wanted, seen),
    ...(role === 'node' ? pluginPaths(config).map(path => pluginStep(path, seen)) : []),
    ...(role === 'node' ? folderSteps(config, seen) : []),
    ...(node ? handOverSteps(config, seen, writtenPaths(wanted, seen)) : []),
    ...(role === 'node' ? keepOffSteps(wanted, seen) : []),
    ...unitsFor(role, config).map(({ path, text }) => textStep(seen, { what: 'unit', path, text, mode: 0o644 })),
    ...startSteps(wanted, seen),
  ]
  return { steps, problems: problemsOf(wanted, seen) }
}

/** Where no systemd runs, whoever starts it says as whom. */
function runsServices({ root }: WantedInstall, { enabled }: SeenMachine): boolean {
  return root !== '/' || enabled !== undefined
}

function userSteps({ user }: SeenMachine): Step[] {
  return user === undefined ? [{ do: 'make user', name: SERVICE_USER, line: SERVICE_USER_LINE }] : []
}

/** Files that this installation writes anew, root's alone at first. */
function writtenPaths(wanted: WantedInstall, seen: SeenMachine): ReadonlySet<string> {
  return new Set(kubeconfigSteps(wanted, seen).flatMap(step => (step.do === 'write' ? [step.path] : [])))
}

/** Where the programs are that would manage pods' interfaces. */
function keepOffSteps({ config, start }: WantedInstall, seen: SeenMachine): Step[] {
  const interfaces =
    seen.cloud !== undefined && getsInterfaces(config.mode, seen.cloud) ? eniKeepOffFiles(seen.cloud) : []
  const written = (files: readonly KeepOffFile[]) =>
    files
      .filter(({ folder }) => seen.paths.has(folder))
      .map(({ path, text }) => textStep(seen, { what: 'network program', path, text, mode: 0o644 }))
  // interfaces may be plugged in before networkd starts anew
  const news = written(interfaces)
  const reload = start && news.some(({ do: what }) => what === 'write') && NETWORKD.some(path => seen.paths.has(path))
  const files: Step[] = [
    ...written(KEEP_OFF_FILES),
    ...news,
    ...(reload && seen.enabled !== undefined
      ? [systemctlStep('try-reload-or-restart', 'systemd-networkd.service')]
      : []),
  ]
  const dhcpcd = seen.paths.get(DHCPCD_CONF)
  if (dhcpcd?.kind !== 'file' || dhcpcd.text === undefined) return files
  const { text, mode } = dhcpcd
  return [...files, textStep(seen, { what: 'network program', path: DHCPCD_CONF, text: withKeepOff(text), mode })]
}

function problemsOf(wanted: WantedInstall, seen: SeenMachine): Problem[] {
  const { role, config } = wanted
  return [
    ...(role === 'node' ? hiddenPaths(config) : unreadable(config, seen)),
    ...kubeconfigProblems(wanted, seen),
    ...(role === 'node' ? pluginPaths(config).flatMap(path => pluginProblems(path, seen)) : []),
  ]
}

/** Where the kubeconfig of the service is. */
function kubeconfigPath({ role, config }: WantedInstall): string {
  return role === 'node' ? (config.kubeconfig ?? ROLE_FILES.node.kubeconfig) : ROLE_FILES[role].kubeconfig
}

function kubeconfigProblems(wanted: WantedInstall, seen: SeenMachine): Problem[] {
  const { role, config, kubeconfigText, start } = wanted
  if (role === 'node' && config.kubeconfig === undefined) {
    const line = `kubeconfig: ${ROLE_FILES.node.kubeconfig}`
    return [{ path: 'kubeconfig', message: `the configuration names none: add the line "${line}"` }]
  }
  if (!start || kubeconfigText !== undefined || seen.paths.has(kubeconfigPath(wanted))) return []
  const make = `terway-edge kubeconfig${role === 'controller' ? ' --controller' : ''}`
  const message = `there is no ${kubeconfigPath(wanted)}: name one with --kubeconfig FILE (${make} makes it)`
  return [{ path: 'kubeconfig', message }]
}

/** The controller's service is a user of its own, who reads what all may read. */
function unreadable(config: Config, seen: SeenMachine): Problem[] {
  return statusFiles(config).flatMap(path => {
    const there = seen.paths.get(path)
    if (there?.kind !== 'file' || (there.mode & 0o004) !== 0) return []
    const message = `${path} cannot be read by the user of the service: hand it over with LoadCredential= in a drop-in`
    return [{ path: 'status', message }]
  })
}

function statusFiles({ status }: Config): string[] {
  return secretFiles({ kubeconfig: undefined, status })
}

function executableStep({ executable }: WantedInstall, seen: SeenMachine): Step {
  const what = 'executable'
  if (isFileOf(seen, EXECUTABLE, executable.sha256)) return { do: 'leave', what, path: EXECUTABLE, why: 'unchanged' }
  return { do: 'copy', what, from: executable.from, path: EXECUTABLE, keepAs: PREVIOUS_EXECUTABLE }
}

function kubeconfigSteps(wanted: WantedInstall, seen: SeenMachine): Step[] {
  const text = wanted.kubeconfigText
  if (text === undefined) return []
  return [textStep(seen, { what: 'kubeconfig', path: kubeconfigPath(wanted), text, mode: 0o600 })]
}

function configStep({ role, configText }: WantedInstall, seen: SeenMachine): Step {
  const path = ROLE_FILES[role].config
  if (configText === undefined) return { do: 'leave', what: 'configuration', path, why: 'kept' }
  const file = { what: 'configuration', path, text: configText, mode: 0o644 } as const
  return textStep(seen, seen.paths.has(path) ? { ...file, keepAs: previousOf(path) } : file)
}

interface TextFile {
  readonly what: What
  readonly path: string
  readonly text: string
  readonly mode: number
  readonly keepAs?: string
}

function textStep(seen: SeenMachine, file: TextFile): Step {
  const { what, path, text } = file
  return isFileOf(seen, path, sha256(text)) ? { do: 'leave', what, path, why: 'unchanged' } : { do: 'write', ...file }
}

export function pluginPaths({ cni }: Pick<Config, 'cni'>): string[] {
  return CNI_NAMES.map(name => join(cni.binDir, name))
}

function pluginStep(path: string, seen: SeenMachine): Step {
  const what = 'CNI plugin'
  if (isLinkTo(seen, path, EXECUTABLE)) return { do: 'leave', what, path, why: 'unchanged' }
  if (isLoopback(path) && seen.paths.has(path)) return { do: 'leave', what, path, why: 'kept' }
  return { do: 'link', what, path, target: EXECUTABLE }
}

/** The loopback of the CNI project's package does as well. */
function isLoopback(path: string): boolean {
  return path.endsWith('/loopback')
}

function pluginProblems(path: string, seen: SeenMachine): Problem[] {
  const there = seen.paths.get(path)
  if (isLoopback(path) || there === undefined || there.kind === 'link') return []
  return [{ path: 'cni.binDir', message: `${path} is there and is not ours: move it away first` }]
}

/** Folders that the services may write only if they are there. */
function foldersToMake(config: Config): string[] {
  return [config.cni.confDir, ...foldersToOpen(config)].filter(folder => folder !== STATE_DIRECTORY)
}

function folderSteps(config: Config, seen: SeenMachine): Step[] {
  return [...new Set(foldersToMake(config))]
    .filter(path => !seen.paths.has(path))
    .map(path => ({ do: 'make folder', path, mode: path === config.state ? 0o700 : 0o755 }))
}

function handOverState(config: Config, seen: SeenMachine): Step[] {
  const made = foldersToMake(config).includes(config.state) && !seen.paths.has(config.state)
  return stateSteps(config, seen, made)
}

function startSteps({ role, config, start, root }: WantedInstall, seen: SeenMachine): Step[] {
  const { units } = ROLE_FILES[role]
  const names = units.map(unitName)
  if (!start) {
    const how = root === '/' ? 'enable --now' : `--root=${root} enable`
    const running = root === '/' && units.some(path => seen.paths.has(path))
    const given = role === 'node' && !running ? handOverState(config, seen) : []
    return [...given, { do: 'say', text: `nothing was started; to do that: systemctl ${how} ${names.join(' ')}` }]
  }
  const { enabled } = seen
  if (enabled === undefined) {
    const command = `${EXECUTABLE} ${role} --config ${ROLE_FILES[role].config}`
    return [{ do: 'say', text: `no systemd here: start it yourself with ${command}` }]
  }
  // where the node's service is enabled, the operator has disabled the other one; where not,
  // nothing was ever started
  const known = unitsFor(role, config).filter(({ path }) => seen.paths.has(path))
  const left = enabled.has(NODE_UNIT) ? known.flatMap(({ path }) => (enabled.has(path) ? [] : [path])) : []
  const wanted = units.filter(path => !left.includes(path))
  // between a stop, at which a service writes there, and a start
  const given = role === 'node' ? handOverState(config, seen) : []
  return [
    systemctlStep('daemon-reload'),
    // all, before one that cannot start ends this
    ...wanted.map(path => systemctlStep('enable', unitName(path))),
    ...(given.length === 0 ? [] : [...known.map(({ path }) => systemctlStep('stop', unitName(path))), ...given]),
    ...wanted.map(path => systemctlStep('restart', unitName(path))),
    ...left.map(path => systemctlStep('try-restart', unitName(path))),
    { do: 'say', text: role === 'node' ? 'the service runs; see terway-edge status' : 'the controller runs' },
  ]
}
