/**
 * From what became of probes to what is broken and where: this node's prober, this node's link, a
 * neighbour, the switch's table, the line, another LAN, the size of packets. Pure.
 *
 * Never one witness: the prober first asks itself; a neighbour is blamed when others answer, the
 * link when nobody does; a switch by what it does for several podCIDRs; a line by two nodes of the
 * other LAN. What has no recent evidence is unknown.
 */

import { VPC } from '../kube/path-check.ts'
import { assertNever } from '../lib/assert.ts'
import { counted } from '../lib/count-text.ts'
import { familyOf } from '../lib/ip.ts'
import type { ConditionStatus } from '../model/condition-status.ts'
import type { Evidence, StateInput, TargetHistory, TargetState } from './evidence.ts'
import { answeredSince, isLossy, lostSince, stateOf } from './evidence.ts'
import type { LoneLan, PathKind, PathTarget } from './targets.ts'

/** Where the trouble is, as far as the evidence tells. */
export type Place =
  | 'prober'
  | 'this node'
  | 'neighbour'
  | 'switch'
  | 'line'
  | 'far LAN'
  | 'far node'
  | 'VPC'
  | 'packet size'
  | 'ECMP'
  | 'loss'

export interface PathFinding {
  readonly place: Place
  /** What happens, to what, and what is likely the cause. */
  readonly message: string
  /** podCIDRs that packets do not reach on this path, sorted. */
  readonly podCIDRs: readonly string[]
  /** The BGPPeer whose switch it is about (`switch`), else the LAN concerned. */
  readonly lan: string
}

/** Whether packets proved that a BGPPeer's switch holds the routes. */
export interface SwitchVerdict {
  readonly bgpPeer: string
  readonly via: string
  readonly status: ConditionStatus
  readonly reason: 'PacketsArrive' | 'PacketsLost' | 'NoEvidence'
  readonly message: string
  /**
   * podCIDRs that were reached by way of the switch, of those asked lately, and those that were
   * not.
   */
  readonly verified: readonly string[]
  readonly missing: readonly string[]
}

export interface PathVerdict {
  readonly findings: readonly PathFinding[]
  readonly switches: readonly SwitchVerdict[]
}

export interface VerdictInput extends StateInput {
  readonly evidence: Evidence
  /** Of a probe to this node's own address: the prober is measured first. */
  readonly self: TargetState
  /** LANs of this node alone. */
  readonly alone?: readonly LoneLan[]
  /** Whether it is asked from the VPC; else from a LAN. */
  readonly inVpc?: boolean
}

interface Seen {
  readonly target: PathTarget
  readonly state: TargetState
  readonly history: TargetHistory
}

export function pathVerdict(input: VerdictInput): PathVerdict {
  const seen = [...input.evidence.values()].map(
    (history): Seen => ({ target: history.target, history, state: stateOf(history, input) }),
  )
  const small = seen.filter(({ target }) => target.size === 'small')
  const kind = (wanted: PathKind) => small.filter(({ target }) => target.kind === wanted)
  const [direct, bySwitch, far, vpc] = [kind('direct'), kind('by-switch'), kind('far'), kind('vpc')]
  if (input.self !== 'good') {
    const unknown = switchVerdicts(bySwitch.map(asUnknown), { direct: [], far: [] })
    return { findings: proberFindings(input.self), switches: unknown }
  }
  const switches = switchVerdicts(bySwitch, { direct, far })
  return {
    findings: [
      ...directFindings(direct),
      ...switches.flatMap(switchFinding),
      ...farFindings(far, { switches, vpc, inVpc: input.inVpc === true }),
      ...vpcFindings(vpc, {
        far,
        now: input.now,
        silentMilliseconds: input.failingMilliseconds ?? VPC_SILENT_MILLISECONDS,
      }),
      ...sizeFindings(seen),
      ...small.flatMap(ecmpFinding),
      ...lossFindings(small, input.now),
    ],
    switches: [...switches, ...(input.alone ?? []).map(lan => loneVerdict(lan, [...far, ...vpc]))],
  }
}

/**
 * In a LAN of one node nobody can be asked by way of the switch. An answer from far away comes back
 * by the switch's route to this node, so it proves that.
 */
function loneVerdict({ bgpPeer, via, podCIDRs }: LoneLan, far: readonly Seen[]): SwitchVerdict {
  const families = new Set(far.filter(isGood).map(({ target }) => target.family))
  const verified = podCIDRs.filter(podCIDR => families.has(familyOf(podCIDR)))
  const proved = verified.length > 0
  return {
    bgpPeer,
    via,
    status: proved ? 'True' : 'Unknown',
    reason: proved ? 'PacketsArrive' : 'NoEvidence',
    message: proved
      ? `answers from beyond this LAN of one node came back by ${via}`
      : 'this node is alone in its LAN, and nobody beyond it answers',
    verified,
    missing: [],
  }
}

function asUnknown(seen: Seen): Seen {
  return { ...seen, state: 'unknown' }
}

function proberFindings(self: TargetState): PathFinding[] {
  if (self === 'unknown') return []
  const message =
    'probes to this node itself get no answer: nothing can be said of any path; see that no firewall drops UDP on the loopback interface and that the port of paths is free'
  return [{ place: 'prober', message, podCIDRs: [], lan: '' }]
}

const isLost = ({ state }: Seen) => state === 'failing' || state === 'unanswered'
/** Whether the other path carried while this one did not: what came before proves nothing. */
function arrivesMeanwhile(other: TargetHistory | undefined, { history }: Seen): boolean {
  return answeredSince(other, lostSince(history) ?? Number.POSITIVE_INFINITY)
}

const isGood = ({ state }: Seen) => state === 'good' || state === 'partly'

/**
 * Neighbours that never answered are said nothing of while others do: an older version, a firewall.
 */
function directFindings(direct: readonly Seen[]): PathFinding[] {
  const failing = direct.filter(({ state }) => state === 'failing')
  if (failing.length === 0) return []
  const nodes = new Set(failing.map(({ target }) => target.node))
  if (nodes.size > 1 && !direct.some(isGood)) {
    const message = `no neighbour of the LAN answers any more (${[...nodes].sort().join(', ')}): this node's link, its firewall, or its routes`
    return [{ place: 'this node', message, podCIDRs: podCIDRsOf(failing), lan: lanOf(failing) }]
  }
  return [...nodes].sort().map(node => {
    const lost = failing.filter(({ target }) => target.node === node)
    const cidrs = podCIDRsOf(lost)
    return {
      place: 'neighbour',
      message: `packets to ${cidrs.join(', ')} of ${node}, a neighbour, do not arrive: is ${node} up, does it route and let pods' packets in, and does a route or rule of another program stand in the way here?`,
      podCIDRs: cidrs,
      lan: lanOf(lost),
    }
  })
}

/** What the packets handed to each switch say of its routes. */
function switchVerdicts(
  bySwitch: readonly Seen[],
  other: { readonly direct: readonly Seen[]; readonly far: readonly Seen[] },
): SwitchVerdict[] {
  const groups = Map.groupBy(bySwitch, ({ target }) => `${target.lan} ${target.via ?? ''}`)
  return [...groups.keys()].sort().flatMap(key => {
    const group = groups.get(key) ?? []
    const first = group[0]?.target
    return first === undefined ? [] : [switchVerdict(group, { bgpPeer: first.lan, via: first.via ?? '' }, other)]
  })
}

function switchVerdict(
  group: readonly Seen[],
  name: { readonly bgpPeer: string; readonly via: string },
  other: { readonly direct: readonly Seen[]; readonly far: readonly Seen[] },
): SwitchVerdict {
  const verified = podCIDRsOf(group.filter(isGood))
  // whom nothing reaches directly either, in the same time, is no witness against the switch
  const reachable = new Map(other.direct.filter(isGood).map(({ target, history }) => [target.podCIDR, history]))
  const lost = group.filter(seen => isLost(seen) && arrivesMeanwhile(reachable.get(seen.target.podCIDR), seen))
  const missing = podCIDRsOf(lost)
  const unknown = (message: string): SwitchVerdict => ({
    ...name,
    status: 'Unknown',
    reason: 'NoEvidence',
    message,
    verified,
    missing: [],
  })
  if (verified.length === 0 && missing.length === 0)
    return unknown('no probe by way of the switch was answered or lost yet')
  if (missing.length === 0) {
    const message = `packets that were handed to ${name.via} came out at the right node for ${counted(verified.length, 'podCIDR')}`
    return { ...name, status: 'True', reason: 'PacketsArrive', message, verified, missing }
  }
  const everAnswered = group.some(({ history }) => history.answeredAt !== undefined)
  if (!everAnswered && other.far.some(isGood)) {
    return unknown(
      `${name.via} sends nothing back to where it came from, so its routes cannot be asked from here; other LANs do reach this node`,
    )
  }
  const message =
    verified.length === 0
      ? `no packet that was handed to ${name.via} came out at a node of the LAN, asked for ${missing.join(', ')}: it does not hold the routes (an import filter or prefix limit?), holds them with another next hop, or does not forward`
      : `packets that were handed to ${name.via} do not come out for ${missing.join(', ')}, while those for ${counted(verified.length, 'other')} do: it does not hold the route, or with another next hop`
  return { ...name, status: 'False', reason: 'PacketsLost', message, verified, missing }
}

function switchFinding(verdict: SwitchVerdict): PathFinding[] {
  if (verdict.status !== 'False') return []
  return [{ place: 'switch', message: verdict.message, podCIDRs: verdict.missing, lan: verdict.bgpPeer }]
}

function farFindings(
  far: readonly Seen[],
  beside: { readonly switches: readonly SwitchVerdict[]; readonly vpc: readonly Seen[]; readonly inVpc: boolean },
): PathFinding[] {
  const lans = Map.groupBy(far, ({ target }) => target.lan)
  const states = [...lans.keys()].sort().map(lan => {
    const group = lans.get(lan) ?? []
    // a LAN that never answered may not answer probes at all; once it did, silence is news
    const lost = group.filter(({ state }) => state === 'failing')
    return { lan, group, lost, good: group.some(isGood) }
  })
  const dead = states.filter(({ lost, good }) => lost.length > 0 && !good)
  const single = states
    .filter(({ lost, good }) => lost.length > 0 && good)
    .flatMap(({ lan, lost }) =>
      lost.map(
        ({ target }): PathFinding => ({
          place: 'far node',
          message: `packets to ${target.podCIDR} of ${target.node} (LAN ${lan}) do not arrive, while others of that LAN do: the node, or its route on that LAN's switch`,
          podCIDRs: [target.podCIDR],
          lan,
        }),
      ),
    )
  if (dead.length === 0) return single
  const allDead = dead.length === states.length && states.length > 1
  // said of the switch already
  if (allDead && beside.switches.some(({ status }) => status === 'False')) return single
  if (allDead) {
    const message = lineText(dead.map(({ lan }) => lan).join(', '), beside)
    return [...single, { place: 'line', message, podCIDRs: dead.flatMap(({ lost }) => podCIDRsOf(lost)), lan: '' }]
  }
  return [
    ...single,
    ...dead.map(
      ({ lan, lost }): PathFinding => ({
        place: 'far LAN',
        message: `LAN ${lan} does not answer any more: that LAN, the line to it, or ${beside.inVpc ? "the VPC's routes to its pod CIDRs" : 'the routes to here on its switch'}`,
        podCIDRs: podCIDRsOf(lost),
        lan,
      }),
    ),
  ]
}

function lineText(lans: string, { vpc, inVpc }: { readonly vpc: readonly Seen[]; readonly inVpc: boolean }): string {
  if (inVpc)
    return `no LAN answers any more (${lans}): the line from the VPC, its routes to pod CIDRs, or a security group`
  const cause = vpc.some(isGood)
    ? 'while the VPC does: the line between the LANs, or their routes to here'
    : 'while this LAN does: the gateway, the line behind it, or the way back'
  return `no other LAN answers any more (${lans}), ${cause}`
}

/**
 * A controller goes away with its machine, and another leads half a minute later at an address of
 * its own: silence of less than this is no news.
 */
const VPC_SILENT_MILLISECONDS = 60_000

/** Once the controller answered, its silence is news; no other LAN answers either: the line is. */
function vpcFindings(
  vpc: readonly Seen[],
  { far, now, silentMilliseconds }: { readonly far: readonly Seen[]; readonly now: number; silentMilliseconds: number },
): PathFinding[] {
  const lost = vpc.filter(
    ({ state, history }) => state === 'failing' && now - (lostSince(history) ?? now) > silentMilliseconds,
  )
  if (lost.length === 0 || (far.some(isLost) && !far.some(isGood))) return []
  const addresses = [...new Set(lost.map(({ target }) => target.address))].sort()
  const message = `the controller in the VPC (${addresses.join(', ')}) does not answer any more: the line to the VPC, the VPC's route to this node's pod CIDRs, a security group there, or the controller's machine`
  return [{ place: 'VPC', message, podCIDRs: podCIDRsOf(lost), lan: VPC }]
}

/** Small packets arrive and those of full size do not: a link with a smaller MTU on the way. */
function sizeFindings(seen: readonly Seen[]): PathFinding[] {
  const small = new Map(
    seen
      .filter(({ target, state }) => target.size === 'small' && state === 'good')
      .map(({ target, history }) => [pathOf(target), history]),
  )
  const lost = seen.filter(
    one => one.target.size === 'full' && isLost(one) && arrivesMeanwhile(small.get(pathOf(one.target)), one),
  )
  const groups = Map.groupBy(lost, ({ target }) => `${target.kind} ${target.lan}`)
  return [...groups.values()].map(group => {
    const target = group[0]?.target
    const way = target === undefined ? '' : wayText(target)
    return {
      place: 'packet size' as const,
      message: `packets as large as pods send do not arrive ${way}, small ones do: a link on that way has a smaller MTU; set cni.mtu to it, or raise it there`,
      podCIDRs: podCIDRsOf(group),
      lan: target?.lan ?? '',
    }
  })
}

function ecmpFinding({ target, state }: Seen): PathFinding[] {
  if (state !== 'partly') return []
  const message = `some flows to ${target.podCIDR} of ${target.node} are lost ${wayText(target)} and others are not: one of several next hops is dead`
  return [{ place: 'ECMP', message, podCIDRs: [target.podCIDR], lan: target.lan }]
}

/**
 * Many packets get lost and others arrive: a bad cable, a full line. What is named otherwise is not
 * counted again.
 */
function lossFindings(seen: readonly Seen[], now: number): PathFinding[] {
  const good = seen.filter(({ state }) => state === 'good')
  const groups = Map.groupBy(good, ({ target }) => `${target.kind} ${target.lan} ${target.via ?? ''}`)
  return [...groups.values()].flatMap(group => {
    const target = group[0]?.target
    const histories = group.map(({ history }) => history)
    if (target === undefined || !isLossy(histories, now)) return []
    const message = `many packets get lost ${wayText(target)} while others arrive: a bad cable or optic, a duplex mismatch, or a line that is full`
    return [{ place: 'loss' as const, message, podCIDRs: podCIDRsOf(group), lan: target.lan }]
  })
}

function wayText(target: PathTarget): string {
  switch (target.kind) {
    case 'direct':
      return 'from node to node within the LAN'
    case 'by-switch':
      return `by way of the switch ${target.via ?? ''}`
    case 'far':
      return `on the way to LAN ${target.lan}`
    case 'vpc':
      return 'on the way to the VPC'
    default:
      return assertNever(target.kind)
  }
}

function pathOf({ kind, node, podCIDR, via }: PathTarget): string {
  return [kind, node, podCIDR, via ?? ''].join(' ')
}

function podCIDRsOf(seen: readonly Seen[]): string[] {
  return [...new Set(seen.map(({ target }) => target.podCIDR))].sort()
}

function lanOf(seen: readonly Seen[]): string {
  return seen[0]?.target.lan ?? ''
}
