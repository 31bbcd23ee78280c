/**
 * `terway-edge install`: makes this machine a node, or the controller's. Puts together what is
 * wanted, what is seen, the plan and its doing; `host/install-plan.ts` decides.
 */
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import configExample from '../../config/config.yaml' with { type: 'text' }
import { controllerProblems } from '../config/controller-problems.ts'
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { carryOut, dryRunText } from '../host/carry-out.ts'
import { installableExecutable } from '../host/executable.ts'
import { pathsToSee, planInstall, type WantedInstall } from '../host/install-plan.ts'
import { ROLE_FILES, type Role } from '../host/installed-files.ts'
import { lookAt, seeCloud } from '../host/look.ts'
import { pathsToSeeForPlugin, planPluginInstall } from '../host/plugin-plan.ts'
import { isHidden } from '../host/unit.ts'
import { namedFiles } from '../kube/kubeconfig-files.ts'
import { BGP_PEERS, NODES } from '../kube/resources.ts'
import { problemOfKubeconfig } from '../kube/try-kubeconfig.ts'
import { type Problem, problemsError, UserError } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { print } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'

interface InstallOptions {
  readonly root: string
  readonly config?: string
  readonly kubeconfig?: string
  readonly controller: boolean
  readonly pluginOnly: boolean
  readonly start: boolean
  readonly offline: boolean
  readonly dryRun: boolean
}

export function installCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'install',
    'Installs this executable as the services of an edge node: agent and speaker (terway-edge), and the server of the CNI plugin (terway-edge-cni); or with --controller as the controller. Needs no network but the API server. Installing again updates it, and leaves terway-edge-cni disabled where it was.',
    [
      'terway-edge install --kubeconfig ./node.kubeconfig',
      'terway-edge install --kubeconfig ./node.kubeconfig --config ./shop-7.yaml --dry-run   # what would change',
      'terway-edge install --controller --config ./controller.yaml --kubeconfig ./controller.kubeconfig',
      'terway-edge install --root /mnt/image --no-start   # into an image that is being built',
    ],
  )
    .option('--kubeconfig <file>', `copied to ${ROLE_FILES.node.kubeconfig} (terway-edge kubeconfig makes it)`)
    .option('--config <file>', `copied to ${ROLE_FILES.node.config}; what was there is kept as .previous`)
    .option('--controller', 'install the controller, not a node', false)
    .option(
      '--plugin-only',
      'install the CNI plugin alone: the node runs in a container (manifests --daemonset)',
      false,
    )
    .option('--dry-run', 'say what would change, and change nothing', false)
    .option('--offline', 'do not try the kubeconfig: the API server is out of reach now', false)
    .option('--root <dir>', 'install below this folder instead of /', '/')
    .option('--no-start', 'do not enable and start the services')
  return runProgram<InstallOptions>(program, args, async options => {
    if (options.pluginOnly) await installPlugin(options)
    else await install(options)
    return 0
  })
}

async function install(options: InstallOptions): Promise<void> {
  const { root, dryRun } = options
  const role: Role = options.controller ? 'controller' : 'node'
  if (!dryRun) requireRoot(root, 'install')
  const { config, text } = configurationFor(role, options)
  const wanted: WantedInstall = {
    role,
    executable: installableExecutable(),
    config,
    configText: text,
    kubeconfigText: options.kubeconfig === undefined ? undefined : readFileIfPresent(options.kubeconfig),
    start: options.start && root === '/',
    root,
  }
  const seen = lookAt(root, pathsToSee(wanted), ROLE_FILES[role].units)
  const plan = planInstall(wanted, role === 'node' ? { ...seen, cloud: seeCloud(root, config.state) } : seen)
  const problems = [
    ...(role === 'controller' ? controllerProblems(config) : []),
    ...plan.problems,
    ...(await kubeconfigProblems(role, wanted, options)),
  ]
  if (problems.length > 0) throw problemsError('nothing was changed: the installation', problems)
  const say = (line: string) => print(`${line}\n`)
  if (dryRun) for (const line of dryRunText(plan.steps, root)) say(line)
  else await carryOut(plan.steps, { root, say })
}

/** What a container does on its node: `root` is the node's, and the configuration is read there. */
async function installPlugin(options: InstallOptions): Promise<void> {
  const { root, config: file, dryRun, kubeconfig, controller } = options
  if (controller || kubeconfig !== undefined)
    throw new UserError('--plugin-only goes with neither --controller nor --kubeconfig', USAGE)
  if (!dryRun) requireRoot(root, 'install')
  const path = join(root, file ?? ROLE_FILES.node.config)
  const config = parseConfig(readFileIfPresent(path) ?? '', path)
  const wanted = { config, executable: installableExecutable() }
  const { steps, problems } = planPluginInstall(wanted, lookAt(root, pathsToSeeForPlugin(config), []))
  if (problems.length > 0) throw problemsError('nothing was changed: the installation', problems)
  const say = (line: string) => print(`${line}\n`)
  if (dryRun) for (const line of dryRunText(steps, root)) say(line)
  else await carryOut(steps, { root, say })
}

/** The configuration that will be in effect, and its text where it is to be written. */
function configurationFor(role: Role, options: InstallOptions): { config: Config; text: string | undefined } {
  const installed = join(options.root, ROLE_FILES[role].config)
  if (options.config !== undefined) {
    if (!existsSync(options.config)) throw new UserError(`--config ${options.config}: there is no such file`, USAGE)
    const text = readFileSync(options.config, 'utf8')
    return { config: parseConfig(text, options.config), text }
  }
  const there = readFileIfPresent(installed)
  if (there !== undefined) return { config: parseConfig(there, installed), text: undefined }
  if (role === 'node') return { config: parseConfig(configExample, 'the example'), text: configExample }
  throw new UserError(`there is no ${installed}: name the controller's configuration with --config FILE`, USAGE)
}

/** What each of them must be allowed to read. */
const ROLE_READS = { node: BGP_PEERS, controller: NODES } as const

const USAGE = { exitStatus: 2 } as const

/** What is wrong with a kubeconfig that was named: a copy must work where the original did. */
async function kubeconfigProblems(role: Role, wanted: WantedInstall, options: InstallOptions): Promise<Problem[]> {
  const { kubeconfig: file, offline } = options
  if (file === undefined) {
    if (wanted.start && !offline && !options.dryRun) await warnOfInstalled(role, wanted.config)
    return []
  }
  const reason = await problemOfKubeconfig(file, ROLE_READS[role], { loadOnly: offline || !wanted.start })
  const left = namedFiles(wanted.kubeconfigText ?? '').filter(({ path }) => !isAbsolute(path) || isHidden(path))
  return [
    ...left.map(({ key, path }) => ({
      path: '--kubeconfig',
      message: `its ${key} is the file ${path}, which the service will not find: kubectl config view --flatten --minify puts it in`,
    })),
    ...(reason === undefined ? [] : [{ path: '--kubeconfig', message: `${reason} (--offline does not ask)` }]),
  ]
}

/**
 * What is installed goes on from its state where the API server is out of reach: no reason to
 * refuse an update.
 */
async function warnOfInstalled(role: Role, config: Config): Promise<void> {
  const file = role === 'node' ? config.kubeconfig : ROLE_FILES.controller.kubeconfig
  if (file === undefined || !existsSync(file)) return
  const reason = await problemOfKubeconfig(file, ROLE_READS[role])
  if (reason !== undefined) process.stderr.write(`note: the kubeconfig ${file} does not work now: ${reason}\n`)
}

/** Throws unless this is root, where the machine itself is to be changed. */
export function requireRoot(root: string, command: string): void {
  if (root === '/' && process.getuid?.() !== 0) throw new UserError(`run it as root: sudo terway-edge ${command}`)
}
