/**
 * `terway-edge confirm`: lets removals go that controller and nodes hold because they look like a
 * mistake (kube/mass-removal.ts). Says what is held where the controller tells it, then writes the
 * time as an annotation on the RouteSlices, which controller and nodes watch. It holds for the next
 * minute, too. With --local the word is for this node alone, without any API server: a file in its
 * state folder (kube/local-word.ts).
 */
import { loadConfig } from '../config/load.ts'
import { runningProcess } from '../host/state-folder.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { withReadableStatus } from '../kube/bgp-peer-status.ts'
import { createKubeApi } from '../kube/client.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { sayLocally } from '../kube/local-word.ts'
import { BGP_PEERS, ROUTE_SLICES } from '../kube/resources.ts'
import { nextWord, REMOVALS_CONFIRMED, type RouteSlice } from '../kube/route-slice.ts'
import { systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { silentLog } from '../lib/log.ts'
import { print } from '../lib/stdout.ts'
import { timestamp } from '../lib/timestamp.ts'
import { createProgram, runProgram } from './program.ts'

interface Options {
  readonly kubeconfig?: string
  readonly dryRun?: boolean
  readonly local?: boolean
  readonly config?: string
  readonly state?: string
}

export function confirmCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'confirm',
    'Lets removals go that are held as a likely mistake (Event RemovalHeld). Run it where you may patch RouteSlices.',
    [
      'terway-edge confirm --kubeconfig ~/.kube/config',
      'terway-edge confirm --kubeconfig ~/.kube/config --dry-run   # only says',
      'sudo terway-edge confirm --local   # on a node, for it alone, without API server',
    ],
  )
    .option('--kubeconfig <file>', "the administrator's kubeconfig (default: in-cluster)")
    .option('--dry-run', 'say what is held, and let nothing go')
    .option('--local', 'let go what this node holds, and nothing else; needs no API server')
    .option('--config <file>', "with --local: the configuration file of the node's service")
    .option('--state <dir>', "with --local: the state folder of the node's service (default: /var/lib/terway-edge)")
  return runProgram<Options>(program, args, async options => {
    print(options.local === true ? await confirmLocally(options) : await confirm(options))
    return 0
  })
}

async function confirm({ kubeconfig, dryRun = false }: Options): Promise<string> {
  const clock = systemClock
  const api = createKubeApi({ kubeconfig: loadKubeconfig(kubeconfig), clock, log: silentLog })
  try {
    const slices = await api.list<RouteSlice>(ROUTE_SLICES)
    const held = (await api.list<BGPPeerObject>(BGP_PEERS))
      .map(object => withReadableStatus(object))
      .flatMap(({ metadata, status }) =>
        (status?.conditions ?? [])
          .filter(({ type, status }) => type === 'RemovalHeld' && status === 'True')
          .map(({ message }) => `BGPPeer ${metadata.name}: ${message}\n`),
      )
    if (dryRun) return held.length > 0 ? held.join('') : 'no BGPPeer says that a removal is held\n'
    if (slices.length === 0) {
      throw new UserError(
        'there is no RouteSlice to write the word on: nodes go on as they are until the controller has published again; to empty the network, drain or uninstall its nodes',
      )
    }
    const word = { metadata: { annotations: { [REMOVALS_CONFIRMED]: nextWord(slices, timestamp(clock.now())) } } }
    for (const { metadata } of slices) await api.mergePatch(ROUTE_SLICES, metadata.name, word)
    return `${held.join('')}confirmed: what is held goes now, and what is removed within the next minute goes at once\n`
  } finally {
    api.close()
  }
}

async function confirmLocally({ kubeconfig, dryRun = false, config, state }: Options): Promise<string> {
  if (kubeconfig !== undefined || dryRun)
    throw new UserError('--local goes with neither --kubeconfig nor --dry-run: terway-edge status says what is held', {
      exitStatus: 2,
    })
  const { state: stateDir } = loadConfig({
    ...(config !== undefined && { config }),
    ...(state !== undefined && { state }),
  })
  if (runningProcess(stateDir) === undefined)
    throw new UserError(`no terway-edge works with ${stateDir}: is the service running? systemctl status terway-edge`)
  return (await sayLocally(stateDir, systemClock))
    ? 'confirmed: this node lets go what it holds, and what is removed within the next minute\n'
    : 'nothing is held on this node\n'
}
