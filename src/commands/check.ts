/**
 * `terway-edge check`: sends packets over every kind of path now, and says which arrive: from this
 * node, or with `--kubeconfig` from every LAN (check-cluster.ts). Exit status 0: all did; 1: some
 * were lost, or nothing could be checked; 2: wrong usage.
 */
import { Option } from 'commander'
import { configuredMtu } from '../agent/cni-config.ts'
import { type ConfigFlags, loadConfig } from '../config/load.ts'
import { runningProcess } from '../host/state-folder.ts'
import { loadClusterState } from '../kube/cluster-state.ts'
import { viewOf } from '../kube/merge-cluster.ts'
import { systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { formatTable, printable } from '../lib/table.ts'
import type { PathsView } from '../model/snapshot.ts'
import { checkPaths } from '../paths/check.ts'
import { standOfNode } from '../paths/stand.ts'
import { isProved, pathsView } from '../paths/view.ts'
import { countingLine, PROOF_TEXT, pathCells } from './check-text.ts'
import { addNodeOptions, createProgram, runProgram } from './program.ts'
import { printJson } from './show.ts'

interface CheckFlags extends ConfigFlags {
  readonly output?: 'wide' | 'json'
  readonly timeout: number
}

const TIMEOUT_SECONDS = 120

export function checkCommand(args: string[]): Promise<number> {
  const program = addNodeOptions(
    createProgram(
      'check',
      'Sends packets over every kind of path now, and says which arrive: to neighbours, by way of the switch, to other LANs and the VPC, small and as large as pods send. From this node; with --kubeconfig from every LAN to every other. Exit status 1 when some are lost.',
      [
        'sudo terway-edge check',
        "terway-edge check -o json | jq '.findings'",
        'terway-edge check --kubeconfig ~/.kube/config   # every LAN to every LAN, from a desk',
        'terway-edge check --kubeconfig ~/.kube/config -o wide   # by node, family and size',
      ],
    ),
  )
    .addOption(new Option('-o, --output <format>', 'how to print it').choices(['wide', 'json']))
    .option(
      '--timeout <seconds>',
      'with --kubeconfig: how long to wait for answers',
      text => {
        const seconds = Number(text)
        if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 3600) return seconds
        throw new UserError(`--timeout ${text}: a whole number of seconds, 1 to 3600`, { exitStatus: 2 })
      },
      TIMEOUT_SECONDS,
    )
  return runProgram<CheckFlags>(program, args, async ({ output, timeout, ...flags }) => {
    if (flags.kubeconfig !== undefined) {
      const { checkCluster } = await import('./check-cluster.ts')
      return checkCluster({ kubeconfig: flags.kubeconfig, output, timeoutSeconds: timeout })
    }
    return checkFromHere(flags, output)
  })
}

async function checkFromHere(flags: ConfigFlags, output: CheckFlags['output']): Promise<number> {
  const config = loadConfig(flags)
  if (!config.paths.enabled) throw new UserError('paths.enabled is false in the configuration: nobody answers probes')
  if (runningProcess(config.state) === undefined)
    throw new UserError(
      'terway-edge does not run on this node, and its process answers probes: systemctl start terway-edge',
    )
  const { state } = loadClusterState(config.state, { node: config.node })
  if (state === undefined)
    throw new UserError('nothing is known of the cluster yet: terway-edge status says whether the API server answers')
  const { entries, peers, controllers = [] } = viewOf(state, new Map(), 'state')
  const result = await checkPaths({
    clock: systemClock,
    stand: standOfNode({
      self: config.node,
      view: { entries, peers },
      controllers,
      protocol: config.route.protocol,
      bySwitch: config.paths.bySwitch,
      prepares: false,
    }),
    mtu: configuredMtu(config.cni.confDir),
    port: config.paths.port,
    onProgress: countingLine(output === undefined, 'probes'),
  })
  const view = pathsView({ verdict: result.verdict, histories: [...result.evidence.values()] })
  if (output === 'json') printJson(view)
  else print(formatCheck(view))
  return isProved(view) ? 0 : 1
}

/** The text for people. */
function formatCheck(view: PathsView): string {
  if (view.kinds.length === 0) return 'There is no other node to ask: nothing was sent.\n'
  const table = formatTable(
    [
      { title: 'PATH' },
      { title: 'LAN' },
      { title: 'FAMILY' },
      { title: 'SIZE' },
      { title: 'ANSWERED', align: 'right' },
      { title: 'ROUND TRIP', align: 'right' },
    ],
    view.kinds.map(pathCells),
  )
  const switches = view.switches.map(
    ({ bgpPeer, status, message }) =>
      `BGPPeer ${printable(bgpPeer)}: routes of the switch ${PROOF_TEXT[status]}: ${printable(message)}\n`,
  )
  const findings =
    view.findings.length === 0
      ? ['Nothing is lost.\n']
      : view.findings.map(({ place, message }) => `LOST (${place}): ${printable(message)}\n`)
  return `${table}\n${switches.join('')}${findings.join('')}`
}
