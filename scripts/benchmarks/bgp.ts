/**
 * The BGP speaker: many prefixes to a BIRD beside other senders and beside a replay of ready bytes,
 * one change in a large LAN, many peers at rest, and the codec alone. All in network namespaces of
 * its own.
 */
import { nodeAdded } from './bgp/change.ts'
import type { CodecSpeed } from './bgp/codec.ts'
import { peersAtRest } from './bgp/peers.ts'
import type { Workload } from './bgp/routes.ts'
import { OURS, REPLAY, SENDERS } from './bgp/senders.ts'
import { type Transfer, transfer } from './bgp/transfer.ts'
import { markdownTable, median, type Section } from './section.ts'
import { versionOf } from './start.ts'

const NODES = 1000
const PEERS = 200
const SECONDS_AT_REST = 30
const TRANSFERS: readonly { readonly workload: Workload; readonly rounds: number; readonly limitSeconds: number }[] = [
  { workload: { prefixes: 100_000, nextHops: NODES }, rounds: 5, limitSeconds: 60 },
  { workload: { prefixes: 100_000, nextHops: 1 }, rounds: 3, limitSeconds: 60 },
  { workload: { prefixes: 1_000_000, nextHops: NODES }, rounds: 3, limitSeconds: 300 },
]
/** The most that our transfer may take, of the replay's. */
const REPLAY_GOAL = 1.3
const CODEC_WORKLOAD: Workload = { prefixes: 200_000, nextHops: NODES }

const INTRODUCTION = `The raw replay writes the bytes that our speaker sends, encoded beforehand, over the same kind of socket: what the wire and the receiver
allow. Everyone has the routes before the session comes up; "from start" begins with the process and has reading the routes in it, and what
each one waits before it dials. Ours runs from its sources on Bun. The replay begins with nothing to compute and a second core to itself; ours
begins with code that was never run and so has a few milliseconds before the first octet, which is much of a short transfer and little of a
long one. Its memory is mostly the texts of the prefixes and the table that finds them: BIRD keeps them in far less.`

export const bgp: Section = {
  title: 'BGP',
  versions: () => [
    `Bun ${Bun.version}`,
    versionOf('bird', ['--version']),
    versionOf('gobgpd', ['--version']),
    versionOf('exabgp', ['--version']),
  ],
  async run({ rounds }) {
    const parts: string[] = [INTRODUCTION]
    for (const { workload, rounds: most, limitSeconds } of TRANSFERS) {
      parts.push(await transfers(workload, Math.min(rounds, most), limitSeconds))
    }
    parts.push(await change(), await atRest(), await codec())
    return parts.join('\n\n')
  },
}

/** All senders in turns, so that what else the machine does meets all of them. */
async function transfers(workload: Workload, rounds: number, limitSeconds: number): Promise<string> {
  const runs = SENDERS.map(sender => ({ sender, done: [] as Transfer[], late: 0 }))
  for (let round = 0; round < rounds; round++) {
    for (const run of runs) {
      const result = await transfer(run.sender, workload, limitSeconds * 1000)
      if (result === undefined) run.late++
      else run.done.push(result)
      // one that is never done in time is not waited for again
      if (run.late > 0 && run.done.length === 0) runs.splice(runs.indexOf(run), 1, { ...run, late: rounds })
    }
  }
  const times = (done: readonly Transfer[]) => done.map(({ transferMilliseconds }) => transferMilliseconds)
  const limit = median(times(runs.find(({ sender }) => sender.name === REPLAY)?.done ?? []))
  const rows = runs.map(({ sender, done }) => {
    const typical = median(times(done))
    if (done.length === 0) return [sender.name, `not within ${limitSeconds} s`, '', '', '', '']
    return [
      sender.name === OURS ? `**${sender.name}**` : sender.name,
      typical.toFixed(0),
      Math.min(...times(done)).toFixed(0),
      (typical / limit).toFixed(2),
      (median(done.map(({ totalMilliseconds }) => totalMilliseconds)) / 1000).toFixed(1),
      median(done.map(({ peakMegabytes }) => peakMegabytes)).toFixed(0),
    ]
  })
  const heads = ['', 'median, ms', 'least, ms', 'of the replay', 'from start, s', 'peak memory, MB']
  const nextHops = workload.nextHops === 1 ? 'one next hop' : `${thousands(workload.nextHops)} next hops in turn`
  return `### ${thousands(workload.prefixes)} prefixes to BIRD, ${nextHops}

From the session being established until BIRD holds all; medians of ${rounds}.

${markdownTable(heads, rows)}

${verdict(runs.map(({ sender, done }) => ({ name: sender.name, milliseconds: median(times(done)), megabytes: median(done.map(({ peakMegabytes }) => peakMegabytes)) })))}`
}

interface Typical {
  readonly name: string
  readonly milliseconds: number
  readonly megabytes: number
}

/**
 * What the goal says of a table: ahead of the daemons, close to the replay. Daemons that were not
 * done in time are behind.
 */
function verdict(typical: readonly Typical[]): string {
  const ours = typical.find(({ name }) => name === OURS)
  const limit = typical.find(({ name }) => name === REPLAY)
  if (ours === undefined || limit === undefined) return ''
  const daemons = typical.filter(sender => sender !== ours && sender !== limit)
  const faster = daemons.filter(({ milliseconds }) => milliseconds <= ours.milliseconds).map(({ name }) => name)
  const smaller = daemons.filter(({ megabytes }) => megabytes < ours.megabytes).map(({ name }) => name)
  const ratio = ours.milliseconds / limit.milliseconds
  return [
    faster.length === 0 ? 'Faster than all three daemons.' : `**Slower than ${faster.join(' and ')}.**`,
    ratio <= REPLAY_GOAL
      ? `Within ${REPLAY_GOAL} times the replay.`
      : `**Misses the goal of ${REPLAY_GOAL} times the replay** with ${ratio.toFixed(2)}.`,
    smaller.length === 0 ? 'Less memory than all three.' : `More memory than ${smaller.join(' and ')}.`,
  ].join(' ')
}

async function change(): Promise<string> {
  const { milliseconds, octets, prefixesTold, changes } = await nodeAdded(NODES)
  return `### One node added to a LAN of ${thousands(NODES)}

${octets} octets on the session, and the switch's kernel has the route ${milliseconds.toFixed(1)} ms after the speaker was given the new set (medians of
${changes}; the switch is BIRD). BIRD counted ${prefixesTold} ${prefixesTold === 1 ? 'prefix' : 'prefixes'} in ${changes} changes: ${prefixesTold === changes ? 'only what changed was sent' : '**more than what changed was sent**'}.`
}

async function atRest(): Promise<string> {
  const rest = await peersAtRest({ peers: PEERS, prefixesEach: NODES, secondsWatched: SECONDS_AT_REST })
  const late = rest.latestMilliseconds
  return `### ${PEERS} peers on one speaker, at rest

Each has its ${thousands(rest.prefixesEach)} prefixes; hold time ${rest.keepaliveSeconds * 3} s, so a KEEPALIVE every ${rest.keepaliveSeconds} s at most, less jitter. In ${rest.secondsWatched} s:
${rest.megabytes.toFixed(0)} MB resident, ${rest.processorPercent.toFixed(1)} % of one core, ${thousands(rest.keepalives)} KEEPALIVEs, the latest ${late > 0 ? `${late.toFixed(1)} ms after` : `${(-late).toFixed(1)} ms before`} its time.`
}

async function codec(): Promise<string> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/bgp/codec.ts`, JSON.stringify(CODEC_WORKLOAD)])
  const speed: CodecSpeed = JSON.parse(await child.stdout.text())
  const rows: [string, number][] = [
    ['announcements as texts to UPDATEs (all that the speaker does)', speed.encodeTexts],
    ['a route set to UPDATEs (a session that comes back)', speed.encodeBlocks],
    ['UPDATEs to checked blocks (what a session does)', speed.decodeBlocks],
    ['UPDATEs to texts (`bgp decode`)', speed.decodeTexts],
  ]
  return `### The codec

${thousands(CODEC_WORKLOAD.prefixes)} prefixes with ${thousands(CODEC_WORKLOAD.nextHops)} next hops, on one core.

${markdownTable(
  ['', 'million prefixes per second'],
  rows.map(([name, rate]) => [name, (rate / 1e6).toFixed(1)]),
)}`
}

function thousands(number: number): string {
  return number.toLocaleString('en-GB')
}
