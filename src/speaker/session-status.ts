/**
 * A session in people's words (`bgpSession`), what of it the speaker reports in
 * `status.speakers[]`, and when that is worth a write. Pure.
 *
 * Every write travels to every node that watches BGPPeers, so the report is calmer than the
 * session: while a session fails, the RFC 4271 states it passes through (Connect, Active, OpenSent,
 * OpenConfirm, Idle) are one state, Active, with the reason of the last failure.
 */

import type { BfdSessionView } from '../bfd/bfd-types.ts'
import type { NotAnnounced, SessionView } from '../bgp/speaker-types.ts'
import type { BGPPeerSpec, SpeakerStatus } from '../kube/bgp-peer.ts'
import { fieldsOf, nothingLeft, pickFields, present } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { ConditionStatus } from '../model/condition-status.ts'
import { type BgpSession, REPORTED, type Reported } from '../model/session.ts'
import { bfdPath } from './bfd-status.ts'
import { notAnnouncedText } from './not-announced.ts'
import type { SessionMemory } from './session-history.ts'

/**
 * A session as it is this moment, on `node`. What a session that is up cannot announce (`missing`)
 * is its error.
 */
export function bgpSession(
  node: string,
  session: SessionView,
  missing: readonly NotAnnounced[],
  seen: {
    readonly bfd?: BfdSessionView | undefined
    readonly proof?: RoutesProof | undefined
    readonly memory?: SessionMemory | undefined
  } = {},
): BgpSession {
  const { key, peerAddress, localAs, peerAs, localAddress, state, since, negotiated, ...others } = session
  const { advertisedPrefixes, receivedPrefixes, flaps, neighbor, lastError, notAnnounced: _, ...rest } = others
  nothingLeft(rest)
  const established = state === 'Established'
  const proof = established ? seen.proof : undefined
  const { memory } = seen
  return present<BgpSession>({
    bgpPeer: key,
    node,
    peerIP: peerAddress,
    peerAsNumber: peerAs,
    localAsNumber: localAs,
    localAddress,
    state,
    since: timestamp((established ? undefined : memory?.downSince) ?? since),
    lastUp: established || memory?.lastUp === undefined ? undefined : timestamp(memory.lastUp),
    advertisedPrefixes,
    notAnnouncedPrefixes: established ? missing.reduce((sum, { prefixes }) => sum + prefixes, 0) : undefined,
    receivedPrefixes,
    flaps,
    holdTimeSeconds: negotiated?.holdTimeSeconds,
    capabilities: negotiated?.capabilities ?? [],
    // why a session once was not up is told by Events, not by one that is
    lastError: established ? notAnnouncedText(missing) : lastError?.message,
    neighbor,
    bfd: seen.bfd && bfdPath(seen.bfd),
    routesVerified: proof?.status,
    // what is well needs no words
    routesProblem: proof?.status === 'False' ? proof.message : undefined,
    history: memory?.transitions,
    notifications: memory?.notifications,
  })
}

/** What packets by way of a peer proved, as whoever measures says it. */
export interface RoutesProof {
  readonly status: ConditionStatus
  readonly message: string
}

/** A BGPPeer to which `node` opens no session, as an Idle session with the problem. */
export function unopenedSession(
  node: string,
  peer: { readonly name: string; readonly spec: Pick<BGPPeerSpec, 'peerIP' | 'peerAsNumber' | 'localAsNumber'> },
  why: { readonly lastError: string; readonly since: string },
): BgpSession {
  const { peerIP, peerAsNumber, localAsNumber } = peer.spec
  return {
    bgpPeer: peer.name,
    node,
    peerIP,
    peerAsNumber,
    localAsNumber,
    state: 'Idle',
    ...why,
    advertisedPrefixes: 0,
    receivedPrefixes: 0,
    flaps: 0,
    capabilities: [],
  }
}

/** The report that follows `previous`; `opened` false: of a session that is not even tried. */
export function speakerStatus(
  session: BgpSession,
  previous: SpeakerStatus | undefined,
  { opened }: { readonly opened: boolean } = { opened: true },
): SpeakerStatus {
  const established = session.state === 'Established'
  const state = established ? 'Established' : opened ? 'Active' : 'Idle'
  const still = !established && previous?.state === state
  return {
    ...WHILE_DOWN,
    ...pickFields(session, fieldsOf<SpeakerStatus, Reported>(REPORTED, 'always')),
    ...(established ? pickFields(session, fieldsOf<SpeakerStatus, Reported>(REPORTED, 'while-up')) : {}),
    state,
    since: still ? previous.since : session.since,
  }
}

const WHILE_DOWN = { advertisedPrefixes: 0, receivedPrefixes: 0 } as const

/**
 * What was last written, and when (Clock.monotonic() milliseconds); `status` undefined: the entry
 * was removed.
 */
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
 * When `wanted` should be written, in the milliseconds of `now`; undefined when the server has it
 * already. Transitions go out after the settling time, counts and texts that change by themselves
 * less often. Nothing is written periodically.
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
  const proof = a.routesVerified !== b.routesVerified
  return a.state !== b.state || a.since !== b.since || a.flaps !== b.flaps || firstError || proof
}

function sameStatus(a: SpeakerStatus, b: SpeakerStatus): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

function sorted(status: SpeakerStatus): readonly (readonly [string, unknown])[] {
  return Object.entries(status).sort(([a], [b]) => (a < b ? -1 : 1))
}
