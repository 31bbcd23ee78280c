/**
 * Asks all LANs, and the controller in the VPC, to try every path now, and gathers what they say:
 * the question is an annotation on BGPPeers, the answers are Events on them (kube/path-check.ts),
 * so a desk needs nothing but the API server. The annotation is taken away at the end; a node that
 * hears it late finds nobody waiting, which does no harm.
 */
import type { Cache, KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { decodeBGPPeer } from '../kube/decode-bgp-peer.ts'
import { CHECK_ASKED, type CheckReport, checkReport, PATHS_CHECKED } from '../kube/path-check.ts'
import { BGP_PEERS, CONTROLLER_LEASE, EVENTS, type KubeObject, LEASES, NODES, type Node } from '../kube/resources.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'

export interface ClusterCheckOptions {
  readonly api: KubeApi
  readonly clock: Clock
  /** How the check is known: `kube/path-check.ts` says its form. */
  readonly word: string
  readonly timeoutMilliseconds: number
  /** Ends the wait before its time. */
  readonly signal: AbortSignal
  /** Told how many of how many have answered. */
  readonly onProgress: (done: number, all: number) => void
}

export interface ClusterAnswers {
  readonly reports: readonly CheckReport[]
  /** Who did not answer, and why as far as that is known. */
  readonly silent: readonly string[]
}

interface Expected {
  readonly node: string
  /** BGPPeers that it speaks for. */
  readonly bgpPeers: readonly string[]
}

const LOOK_MILLISECONDS = 200

/** Throws a `UserError` where there is nobody to ask. */
export async function askCluster(options: ClusterCheckOptions): Promise<ClusterAnswers> {
  const { api, word } = options
  const objects = await api.list<BGPPeerObject>(BGP_PEERS)
  const bgpPeers = objects.map(({ metadata }) => metadata.name)
  if (bgpPeers.length === 0) throw new UserError('there is no BGPPeer, so there is no LAN that could be asked')
  const expected = await expectedAnswers(api, objects)
  const events = api.cache<KubeObject>(EVENTS, {
    namespace: 'default', // where Events of objects without a namespace lie
    fieldSelector: `reason=${PATHS_CHECKED}`,
  })
  try {
    await annotate(api, bgpPeers, word)
    return await gather(events, expected, options)
  } finally {
    await annotate(api, bgpPeers, null)
    events.close()
  }
}

async function gather(
  events: Cache<KubeObject>,
  expected: readonly Expected[],
  { api, clock, word, timeoutMilliseconds, signal, onProgress }: ClusterCheckOptions,
): Promise<ClusterAnswers> {
  const deadline = clock.monotonic() + timeoutMilliseconds
  for (;;) {
    const reports = reportsOf(events, word)
    const waiting = expected.filter(({ node }) => !reports.some(report => report.node === node))
    onProgress(reports.length, expected.length)
    if (waiting.length === 0 || clock.monotonic() >= deadline || signal.aborted)
      return { reports, silent: await whySilent(api, waiting) }
    await sleep(clock, LOOK_MILLISECONDS, signal)
  }
}

/** `null` takes the word away. */
async function annotate(api: KubeApi, bgpPeers: readonly string[], word: string | null): Promise<void> {
  const patch = { metadata: { annotations: { [CHECK_ASKED]: word } } }
  for (const name of bgpPeers) await api.mergePatch(BGP_PEERS, name, patch)
}

/** The speakers of all LANs, and the controller where one leads. */
async function expectedAnswers(api: KubeApi, objects: readonly BGPPeerObject[]): Promise<Expected[]> {
  const speakers = new Map<string, string[]>()
  for (const object of objects) {
    const decoded = decodeBGPPeer(object)
    if (!('peer' in decoded)) continue
    const { name, spec } = decoded.peer
    for (const node of spec.localSpeakers) speakers.set(node, [...(speakers.get(node) ?? []), name])
  }
  const lease = await api.get<KubeObject>(LEASES, CONTROLLER_LEASE, 'kube-system').catch(() => undefined)
  const nodes = [...speakers].map(([node, bgpPeers]) => ({ node, bgpPeers }))
  return lease === undefined ? nodes : [...nodes, { node: 'controller', bgpPeers: [] }]
}

function reportsOf(events: Cache<KubeObject>, word: string): CheckReport[] {
  const reports = [...events.objects.values()].flatMap(event => checkReport(event) ?? [])
  return reports.filter(({ asked }) => asked === word).toSorted((a, b) => (a.node < b.node ? -1 : 1))
}

async function whySilent(api: KubeApi, waiting: readonly Expected[]): Promise<string[]> {
  if (waiting.length === 0) return []
  const nodes = await api.list<Node>(NODES)
  return waiting.map(({ node, bgpPeers }) => {
    if (node === 'controller') return 'the controller did not answer: does it run, and is paths.enabled true there?'
    const found = nodes.find(({ metadata }) => metadata.name === node)
    const ready = found?.status?.conditions?.find(({ type }) => type === 'Ready')?.status
    const why =
      found === undefined
        ? 'there is no such Node'
        : ready === 'Unknown'
          ? 'its Node is not heard (Ready is Unknown)'
          : 'does terway-edge of this version run there, with paths.enabled?'
    return `${node}, a speaker of ${bgpPeers.join(', ')}, did not answer: ${why}`
  })
}
