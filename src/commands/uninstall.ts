/**
 * `terway-edge uninstall`: takes a node, or the controller, off this machine. Puts the rooms
 * together that a node leaves the network by; `host/uninstall-plan.ts` decides.
 */
import { join } from 'node:path'
import { leaveNetwork } from '../agent/leave.ts'
import { removePodLinks } from '../cni/leave.ts'
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { leaveInterfaces } from '../eni/leave.ts'
import { Nft } from '../firewall/nftables.ts'
import { removeFirewall } from '../firewall/reconcile.ts'
import { carryOut, dryRunText } from '../host/carry-out.ts'
import { askToDrain, drainTimeoutSeconds } from '../host/drain.ts'
import { ROLE_FILES, type Role } from '../host/installed-files.ts'
import { lookAt } from '../host/look.ts'
import { runningProcess } from '../host/state-folder.ts'
import { pathsToSeeForUninstall, planUninstall, type WantedUninstall } from '../host/uninstall-plan.ts'
import { systemClock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { print } from '../lib/stdout.ts'
import { removeProbeRouting } from '../paths/kernel.ts'
import { requireRoot } from './install.ts'
import { createProgram, runProgram } from './program.ts'

interface UninstallOptions {
  readonly root: string
  readonly controller: boolean
  readonly purge: boolean
  readonly dryRun: boolean
}

export function uninstallCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'uninstall',
    'Withdraws what this node announces, stops the services, removes its routes, its CNI configuration and what install made.',
    [
      'terway-edge uninstall',
      'terway-edge uninstall --purge   # also the configuration, the kubeconfig and the state',
      'terway-edge uninstall --controller --dry-run   # what would be removed',
    ],
  )
    .option('--controller', 'remove the controller, not a node', false)
    .option('--purge', 'remove the configuration, the kubeconfig and the state too', false)
    .option('--dry-run', 'say what would be removed, and remove nothing', false)
    .option('--root <dir>', 'what was installed below this folder', '/')
  return runProgram<UninstallOptions>(program, args, async options => {
    await uninstall(options)
    return 0
  })
}

async function uninstall({ root, controller, purge, dryRun }: UninstallOptions): Promise<void> {
  const role: Role = controller ? 'controller' : 'node'
  if (!dryRun) requireRoot(root, 'uninstall')
  const file = join(root, ROLE_FILES[role].config)
  const config = parseConfig(readFileIfPresent(file) ?? '', file)
  const running = runningProcess(config.state) !== undefined
  const wanted: WantedUninstall = { role, config, purge, root, running }
  const steps = planUninstall(wanted, lookAt(root, pathsToSeeForUninstall(wanted), ROLE_FILES[role].units))
  const say = (line: string) => print(`${line}\n`)
  if (dryRun) for (const line of dryRunText(steps, root)) say(line)
  else await carryOut(steps, { root, say, drain: () => drain(config), leaveNetwork: () => leave(config, say) })
}

async function drain(config: Config): Promise<void> {
  await askToDrain(config.state, systemClock, drainTimeoutSeconds(config)).catch(error =>
    complain([`could not withdraw first: ${errorText(error)}`]),
  )
}

/** What can be taken away is, whatever else cannot. */
async function leave({ route, cni, eni, state }: Config, say: (line: string) => void): Promise<void> {
  const { protocol, table } = route
  const left = leaveNetwork({ mark: { protocol, table }, confDir: cni.confDir, stateDir: state })
  const firewall = await removeFirewall()
  const probes = removeProbeRouting(protocol)
  const pods = removePodLinks(state)
  const numbers = { protocol, ...eni }
  const interfaces = await leaveInterfaces({ numbers, routeTable: table, nftables: Nft.find() })
  for (const line of [...left.done, ...[...firewall.removed, ...interfaces.removed].map(what => `removed ${what}`)])
    say(line)
  if (pods.removed > 0)
    say(`removed the ${pods.removed === 1 ? 'interface of 1 pod' : `interfaces of ${pods.removed} pods`}`)
  complain([...left.problems, ...firewall.problems, ...probes, ...pods.problems, ...interfaces.problems])
}

function complain(problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`${problem}\n`)
}
