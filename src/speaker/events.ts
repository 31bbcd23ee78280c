/**
 * Which Kubernetes Events a speaker records on a BGPPeer (`kubectl describe bgppeers`), and how
 * often. Pure: the memory of what was recorded goes in and comes out.
 *
 * Messages of one cause are equal, so that the recorder counts them in one Event; a session that
 * fails every second is recorded at most every 30 s. What a peer sent (RFC 9003 texts) is shown
 * printable and short; secrets are never here.
 */
import type { PeerConfig, SessionEvent } from '../bgp/speaker-types.ts'
import type { KubeEvent } from '../kube/api.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import { BGP_PEERS } from '../kube/resources.ts'
import { assertNever } from '../lib/assert.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export type SpeakerEventReason =
  | 'Established'
  | 'FailedEstablish'
  | 'SessionLost'
  | 'GracefulRestart'
  | 'Drained'
  | 'NotAnnounced'
  | 'SecretNotFound'
  | 'BfdNotUp'
  | 'TtlTooLow'

/** What happened, before the rate is looked at. */
export interface SpeakerEvent {
  readonly bgpPeer: string
  readonly type: 'Normal' | 'Warning'
  readonly reason: SpeakerEventReason
  readonly message: string
  /** A state, not a try: it is told again only so that the Event does not expire. */
  readonly lasts?: true
}

/**
 * When each text was last recorded, by BGPPeer, reason and text; and each reason. Clock.monotonic()
 * milliseconds.
 */
export type EventMemory = ReadonlyMap<string, number>

/** Between two records of one failure. */
const REPEAT_MILLISECONDS = 30_000
/** Between two records of failures of one BGPPeer, whatever they say. */
const BETWEEN_FAILURES_MILLISECONDS = 5_000
/** Kept this long to tell a repetition; then it is as good as new. */
const FORGET_MILLISECONDS = 600_000
/** Between two records of a problem that lasts. */
const REPEAT_PROBLEM_MILLISECONDS = 600_000

/** The Event of what happened to the session that `config` describes, on node `self`. */
export function sessionEvent(self: string, event: SessionEvent, config: PeerConfig): SpeakerEvent {
  const session = `${self} to ${endpoint(config)} AS ${config.peerAs}`
  switch (event.kind) {
    case 'established':
      return {
        bgpPeer: event.key,
        type: 'Normal',
        reason: 'Established',
        message: `${session}: the session is established`,
      }
    case 'failed':
      return {
        bgpPeer: event.key,
        type: 'Warning',
        reason: 'FailedEstablish',
        message: `${session}: ${printable(event.error.message)}`,
      }
    case 'lost':
      return {
        bgpPeer: event.key,
        type: event.error.planned === true ? 'Normal' : 'Warning',
        reason: 'SessionLost',
        message: `${session}: ${printable(event.error.message)}`,
      }
    case 'graceful-restart':
      return {
        bgpPeer: event.key,
        type: 'Normal',
        reason: 'GracefulRestart',
        message: `${session}: ${printable(event.detail)}`,
      }
    default:
      return assertNever(event)
  }
}

/** The Event of prefixes that an established session does not announce. */
export function notAnnouncedEvent(self: string, text: string, config: PeerConfig): SpeakerEvent {
  const message = `${self} to ${endpoint(config)} AS ${config.peerAs}: ${text}`
  return { bgpPeer: config.key, type: 'Warning', reason: 'NotAnnounced', message }
}

/** The Event of a session that the operator ends. */
export function drainEvent(self: string, reason: string, config: PeerConfig): SpeakerEvent {
  const message = `${self} to ${endpoint(config)} AS ${config.peerAs}: ${printable(reason)}; its announcements are withdrawn`
  return { bgpPeer: config.key, type: 'Normal', reason: 'Drained', message }
}

/**
 * The Event of a problem that keeps a session from being opened, or undefined for one that only the
 * log and the page tell.
 */
export function problemEvent(self: string, problem: SpeakerProblem): SpeakerEvent | undefined {
  const { bgpPeer, kind, message } = problem
  switch (kind) {
    case 'SecretNotFound':
      return { bgpPeer, type: 'Warning', reason: 'SecretNotFound', message: `${self}: ${message}`, lasts: true }
    case 'PeerTaken':
    case 'OwnAddress':
    case 'NoSourceAddress':
      return { bgpPeer, type: 'Warning', reason: 'FailedEstablish', message: `${self}: ${message}`, lasts: true }
    case 'BfdMultihop':
    case 'BfdNotOnLink':
    case 'BfdNotUp':
      return { bgpPeer, type: 'Warning', reason: 'BfdNotUp', message: `${self}: ${message}`, lasts: true }
    case 'TtlTooLow':
      return { bgpPeer, type: 'Warning', reason: kind, message: `${self}: ${message}`, lasts: true }
    case 'NoNextHop':
    case 'PrefixTaken':
    case 'TtlNotKnown':
      return undefined
    default:
      return assertNever(kind)
  }
}

/** Since when each problem is there (Clock.monotonic() milliseconds), and whether it was told. */
export type ProblemMemory = ReadonlyMap<string, { readonly since: number; readonly told: boolean }>

/**
 * One `kubectl apply` makes a BGPPeer first and its Secret a moment later: what is shorter than
 * this is no problem.
 */
export const PROBLEM_LASTS_MILLISECONDS = 2_000

/**
 * The problems that last, those among them that were not told yet, and whether others may still
 * come to last.
 */
export function lastingProblems(
  memory: ProblemMemory,
  problems: readonly SpeakerProblem[],
  now: number,
): { memory: ProblemMemory; lasting: readonly SpeakerProblem[]; news: readonly SpeakerProblem[]; waiting: boolean } {
  const key = ({ bgpPeer, message }: SpeakerProblem) => `${bgpPeer}: ${message}`
  const since = (problem: SpeakerProblem) => memory.get(key(problem))?.since ?? now
  const lasting = problems.filter(problem => now - since(problem) >= PROBLEM_LASTS_MILLISECONDS)
  const news = lasting.filter(problem => memory.get(key(problem))?.told !== true)
  const next = problems.map(
    problem => [key(problem), { since: since(problem), told: lasting.includes(problem) }] as const,
  )
  return { memory: new Map(next), lasting, news, waiting: lasting.length < problems.length }
}

/** Whether to record `event` now, and the memory after that. */
export function admit(memory: EventMemory, event: SpeakerEvent, now: number): { memory: EventMemory; record: boolean } {
  const { bgpPeer, reason, message } = event
  const same = JSON.stringify([bgpPeer, reason, message])
  const kind = JSON.stringify([bgpPeer, reason])
  const since = (key: string) => now - (memory.get(key) ?? Number.NEGATIVE_INFINITY)
  const repeat = event.lasts ? REPEAT_PROBLEM_MILLISECONDS : REPEAT_MILLISECONDS
  const failing = event.type === 'Warning' && reason !== 'SessionLost'
  if (failing && (since(same) < repeat || since(kind) < BETWEEN_FAILURES_MILLISECONDS)) return { memory, record: false }
  const kept = [...memory].filter(([key, at]) => now - at < FORGET_MILLISECONDS && !endsFailure(event, key))
  return { memory: new Map([...kept, [same, now], [kind, now]]), record: true }
}

/** The Event as the API server takes it. */
export function kubeEvent(event: SpeakerEvent, peer: BGPPeer): KubeEvent {
  const apiVersion = `${BGP_PEERS.group}/${BGP_PEERS.version}`
  const regarding = { apiVersion, kind: BGP_PEERS.kind, name: peer.name, uid: peer.uid }
  return { regarding, type: event.type, reason: event.reason, message: event.message }
}

/** After a session was up, the next failure is news again. */
function endsFailure(event: SpeakerEvent, key: string): boolean {
  return (
    event.reason === 'Established' && key.startsWith(JSON.stringify([event.bgpPeer, 'FailedEstablish']).slice(0, -1))
  )
}

function endpoint(config: PeerConfig): string {
  if (config.peerPort === 179) return config.peerAddress
  return config.peerAddress.includes(':')
    ? `[${config.peerAddress}]:${config.peerPort}`
    : `${config.peerAddress}:${config.peerPort}`
}

/** One line of at most 300 characters without control characters. */
function printable(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.length <= 300 ? line : `${line.slice(0, 299)}…`
}
