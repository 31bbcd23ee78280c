/**
 * What a speaker reports of its session in `status.speakers[]`, and when that is worth a write. Pure.
 *
 * Every write travels to every node that watches BGPPeers, so the report is calmer than the session: while a session fails, the RFC
 * 4271 states it passes through (Connect, Active, OpenSent, OpenConfirm, Idle) are one state, Active, with the reason of the last
 * failure. The status page shows the states as they are (`sessionRow`).
 */
import type { NotAnnounced, SessionView } from '../bgp/speaker-types.ts'
import type { SpeakerStatus } from '../kube/bgp-peer.ts'
import { timestamp } from '../lib/timestamp.ts'
import { notAnnouncedText } from './not-announced.ts'

/** A session for the status page: compatible with `SessionRow` of src/status/snapshot.ts, which this room may not import. */
export interface SpeakerSession {
  readonly bgpPeer: string
  readonly node: string
  readonly peerIP: string
  readonly peerAsNumber: number
  readonly localAsNumber: number
  readonly localAddress?: string
  readonly state: string
  readonly since: string
  readonly advertisedPrefixes: number
  /** Of a session that is up. */
  readonly notAnnouncedPrefixes?: number
  readonly receivedPrefixes: number
  readonly flaps: number
  readonly holdTimeSeconds?: number
  readonly capabilities: readonly string[]
  readonly lastError?: string
}

/** The report that follows `previous`. What a session that is up cannot announce (`missing`) is its error. */
export function speakerStatus(
  node: string,
  session: SessionView,
  from: { previous: SpeakerStatus | undefined; missing: readonly NotAnnounced[] },
): SpeakerStatus {
  const { previous } = from
  const lastError = errorOf(session, from.missing)
  const established = session.state === 'Established'
  const stillDown = !established && previous !== undefined && previous.state === 'Active'
  return {
    node,
    state: established ? 'Established' : 'Active',
    since: stillDown ? previous.since : timestamp(session.since),
    ...(established && session.localAddress !== undefined ? { localAddress: session.localAddress } : {}),
    advertisedPrefixes: established ? session.advertisedPrefixes : 0,
    receivedPrefixes: established ? session.receivedPrefixes : 0,
    ...(lastError === undefined ? {} : { lastError }),
    flaps: session.flaps,
    ...(established && session.negotiated !== undefined
      ? { holdTimeSeconds: session.negotiated.holdTimeSeconds, capabilities: session.negotiated.capabilities }
      : {}),
  }
}

/** The report of a BGPPeer to which no session is opened; `row` says why. */
export function idleStatus(row: SpeakerSession, previous: SpeakerStatus | undefined): SpeakerStatus {
  return {
    node: row.node,
    state: row.state,
    since: previous?.state === row.state ? previous.since : row.since,
    advertisedPrefixes: 0,
    receivedPrefixes: 0,
    ...(row.lastError === undefined ? {} : { lastError: row.lastError }),
    flaps: 0,
  }
}

/** A session as it is this moment. */
export function sessionRow(node: string, session: SessionView, missing: readonly NotAnnounced[]): SpeakerSession {
  const { negotiated } = session
  const lastError = errorOf(session, missing)
  const established = session.state === 'Established'
  return {
    bgpPeer: session.key,
    node,
    peerIP: session.peerAddress,
    peerAsNumber: session.peerAs,
    localAsNumber: session.localAs,
    ...(session.localAddress === undefined ? {} : { localAddress: session.localAddress }),
    state: session.state,
    since: timestamp(session.since),
    advertisedPrefixes: session.advertisedPrefixes,
    ...(established ? { notAnnouncedPrefixes: missing.reduce((sum, { prefixes }) => sum + prefixes, 0) } : {}),
    receivedPrefixes: session.receivedPrefixes,
    flaps: session.flaps,
    ...(negotiated === undefined ? {} : { holdTimeSeconds: negotiated.holdTimeSeconds }),
    capabilities: negotiated?.capabilities ?? [],
    ...(lastError === undefined ? {} : { lastError }),
  }
}

/** Why a session once was not up is told by Events, not by a session that is. */
function errorOf({ state, lastError }: SessionView, missing: readonly NotAnnounced[]): string | undefined {
  return state === 'Established' ? notAnnouncedText(missing) : lastError?.message
}

/** What was last written, and when (Clock.monotonic() milliseconds); `status` undefined: the entry was removed. */
export interface Written {
  readonly status: SpeakerStatus | undefined
  readonly at: number
}

/** Changes within this time are one write. */
const SETTLE_MILLISECONDS = 2_000
const BETWEEN_TRANSITIONS_MILLISECONDS = 5_000
const BETWEEN_COUNTS_MILLISECONDS = 10_000
const BETWEEN_TEXTS_MILLISECONDS = 30_000

/**
 * When `wanted` should be written, in the milliseconds of `now`; undefined when the server has it already. Transitions go out
 * after the settling time, counts and texts that change by themselves less often. Nothing is written periodically.
 */
export function writeDueAt(
  written: Written | undefined,
  wanted: SpeakerStatus | undefined,
  now: number,
): number | undefined {
  const soon = now + SETTLE_MILLISECONDS
  if (written === undefined) return soon
  const before = written.status
  if (before === undefined || wanted === undefined) return before === wanted ? undefined : soon
  if (sameStatus(before, wanted)) return undefined
  if (isTransition(before, wanted)) return Math.max(soon, written.at + BETWEEN_TRANSITIONS_MILLISECONDS)
  const onlyText = sameStatus({ ...before, lastError: '' }, { ...wanted, lastError: '' })
  return Math.max(soon, written.at + (onlyText ? BETWEEN_TEXTS_MILLISECONDS : BETWEEN_COUNTS_MILLISECONDS))
}

function isTransition(a: SpeakerStatus, b: SpeakerStatus): boolean {
  const firstError = a.lastError === undefined && b.lastError !== undefined
  return a.state !== b.state || a.since !== b.since || a.flaps !== b.flaps || firstError
}

function sameStatus(a: SpeakerStatus, b: SpeakerStatus): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

function sorted(status: SpeakerStatus): readonly (readonly [string, unknown])[] {
  return Object.entries(status).sort(([a], [b]) => (a < b ? -1 : 1))
}
