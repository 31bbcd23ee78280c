/**
 * `terway-edge check`: sends packets over every kind of path from this node now, and says which
 * arrive. Exit status 0: all did; 1: some were lost, or nothing could be checked; 2: wrong usage.
 */
import { configuredMtu } from '../agent/cni-config.ts'
import { type ConfigFlags, loadConfig } from '../config/load.ts'
import { runningProcess } from '../host/state-folder.ts'
import { loadClusterState } from '../kube/cluster-state.ts'
import { viewOf } from '../kube/merge-cluster.ts'
import { systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { formatTable, printable } from '../lib/table.ts'
import type { PathKindView, PathsView } from '../model/snapshot.ts'
import { checkPaths } from '../paths/check.ts'
import { isProved, pathsView } from '../paths/view.ts'
import { addNodeOptions, createProgram, runProgram } from './program.ts'
import { printJson } from './show.ts'

export function checkCommand(args: string[]): Promise<number> {
  const program = addNodeOptions(
    createProgram(
      'check',
      'Sends packets over every kind of path from this node now, and says which arrive: to neighbours, by way of the switch, to other LANs, small and as large as pods send. Exit status 1 when some are lost.',
      ['sudo terway-edge check', "terway-edge check -o json | jq '.findings'"],
    ),
  ).option('-o, --output <format>', 'json; leave it out for a table', text => {
    if (text === 'json') return text
    throw new UserError(`-o ${text}: there is json; leave it out for a table`, { exitStatus: 2 })
  })
  return runProgram<ConfigFlags & { output?: 'json' }>(program, args, async ({ output, ...flags }) => {
    const config = loadConfig(flags)
    if (!config.paths.enabled) throw new UserError('paths.enabled is false in the configuration: nobody answers probes')
    if (runningProcess(config.state) === undefined)
      throw new UserError(
        'terway-edge does not run on this node, and its process answers probes: systemctl start terway-edge',
      )
    const { state } = loadClusterState(config.state, { node: config.node })
    if (state === undefined)
      throw new UserError('nothing is known of the cluster yet: terway-edge status says whether the API server answers')
    const result = await checkPaths({
      clock: systemClock,
      self: config.node,
      view: viewOf(state, new Map(), 'state'),
      mtu: configuredMtu(config.cni.confDir),
      port: config.paths.port,
      bySwitch: config.paths.bySwitch,
      onProgress: progress(output === undefined),
    })
    const view = pathsView({ verdict: result.verdict, histories: [...result.evidence.values()] })
    if (output === 'json') printJson(view)
    else print(formatCheck(view))
    return isProved(view) ? 0 : 1
  })
}

/** One line that counts up, on a terminal alone. */
function progress(wanted: boolean): (done: number, all: number) => void {
  if (!wanted || !process.stderr.isTTY) return () => {}
  return (done, all) => {
    process.stderr.write(done === all ? '\r\x1b[K' : `\r${done} of ${all} probes`)
  }
}

const KIND_TEXT: Readonly<Record<PathKindView['kind'], string>> = {
  direct: 'to neighbours',
  'by-switch': 'by way of the switch',
  far: 'to another LAN',
}

/** The text for people. */
function formatCheck(view: PathsView): string {
  if (view.kinds.length === 0) return 'There is no other node to ask: nothing was sent.\n'
  const rows = view.kinds.map(({ kind, lan, family, size, sent, lost, roundTripMilliseconds }) => [
    KIND_TEXT[kind],
    lan,
    family === 'ipv4' ? 'IPv4' : 'IPv6',
    size,
    `${sent - lost} of ${sent}`,
    roundTripMilliseconds === undefined ? '-' : `${roundTripMilliseconds.toFixed(1)} ms`,
  ])
  const table = formatTable(
    [
      { title: 'PATH' },
      { title: 'LAN' },
      { title: 'FAMILY' },
      { title: 'SIZE' },
      { title: 'ANSWERED', align: 'right' },
      { title: 'ROUND TRIP', align: 'right' },
    ],
    rows,
  )
  const switches = view.switches.map(
    ({ bgpPeer, status, message }) =>
      `BGPPeer ${printable(bgpPeer)}: routes of the switch ${status === 'True' ? 'proved' : status === 'False' ? 'NOT there' : 'not known'}: ${printable(message)}\n`,
  )
  const findings =
    view.findings.length === 0
      ? ['Nothing is lost.\n']
      : view.findings.map(({ place, message }) => `LOST (${place}): ${printable(message)}\n`)
  return `${table}\n${switches.join('')}${findings.join('')}`
}
