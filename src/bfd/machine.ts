/**
 * One BFD session in asynchronous mode: `step(session, event) -> [session, actions]`, pure. RFC
 * 5880 section 6.8, which the functions cite. machine-types.ts has the vocabulary; sockets, clocks
 * and chance are in running-session.ts.
 *
 * Deviations: Demand mode is heeded, never asked for; no congestion control (section 7), as a
 * session has one hop and intervals that its operator chose.
 */
import { assertNever } from '../lib/assert.ts'
import type { Action, Cause, Event, Kept, Parameters, PollSequence, Remote, Session, Step } from './machine-types.ts'
import type { ControlPacket } from './packet.ts'
import { type BfdState, Diagnostic, SLOW_INTERVAL_MICROSECONDS } from './registry.ts'

const NO_REMOTE: Remote = {
  state: 'Down',
  diagnostic: Diagnostic.NoDiagnostic,
  discriminator: 0,
  desiredMinTxInterval: 0,
  requiredMinRxInterval: 1,
  detectMult: 0,
  demand: false,
}

/** A session out of service (AdminDown), silent until `enable`. */
export function newSession(parameters: Parameters, discriminator: number): Session {
  const desiredMinTxInterval = Math.max(parameters.desiredMinTxInterval, SLOW_INTERVAL_MICROSECONDS)
  return {
    parameters,
    state: 'AdminDown',
    diagnostic: Diagnostic.NoDiagnostic,
    discriminator,
    remote: NO_REMOTE,
    poll: 'none',
    desiredMinTxInterval,
    requiredMinRxInterval: parameters.requiredMinRxInterval,
    activeMinTxInterval: desiredMinTxInterval,
    activeMinRxInterval: parameters.requiredMinRxInterval,
  }
}

export function step(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'enable':
      return session.state === 'AdminDown' ? enable(session) : [session, []]
    case 'resume':
      return session.state === 'AdminDown' ? resume(session, event.kept) : [session, []]
    case 'disable':
      return session.state === 'AdminDown' ? [session, []] : disable(session)
    case 'configure':
      return configure(session, event.parameters)
    case 'packet':
      return receive(session, event.packet)
    case 'transmit-timer-expired':
      return transmit(session)
    case 'detection-timer-expired':
      return detectionExpired(session)
    default:
      return assertNever(event)
  }
}

/**
 * Section 6.8.2: between our packets, before jitter; undefined: the peer wants none. Microseconds.
 */
export function transmitInterval(session: Session): number | undefined {
  const { remote, poll } = session
  if (remote.requiredMinRxInterval === 0) return undefined
  // Section 6.8.7: a peer in Demand mode gets packets only while we poll.
  if (inDemand(session) && poll !== 'polling' && poll !== 'again') return undefined
  return Math.max(session.activeMinTxInterval, remote.requiredMinRxInterval)
}

function inDemand({ remote, state }: Session): boolean {
  return remote.demand && state === 'Up' && remote.state === 'Up'
}

/** Section 6.8.4, asynchronous mode; undefined before the first packet. Microseconds. */
export function detectionTime({ remote, activeMinRxInterval }: Session): number | undefined {
  if (remote.detectMult === 0) return undefined
  return remote.detectMult * Math.max(activeMinRxInterval, remote.desiredMinTxInterval)
}

/**
 * Section 6.8.7: 75 to 100 % of an interval, at most 90 % when one lost packet is a failure.
 * `random` is in [0, 1).
 */
export function jittered(milliseconds: number, detectMult: number, random: number): number {
  const widest = detectMult === 1 ? 0.9 : 1
  return milliseconds * (0.75 + (widest - 0.75) * random)
}

/**
 * How long the peer waits for our packets, once it knows our present values (the peer's view of
 * section 6.8.4). Microseconds.
 */
export function remoteDetectionTime(session: Session): number {
  return session.parameters.detectMult * Math.max(session.desiredMinTxInterval, session.remote.requiredMinRxInterval)
}

/**
 * What the peer said within the last Detection Time goes on to count: how fast it can receive above
 * all (section 6.8.7).
 */
function enable(session: Session): Step {
  return become(session, { state: 'Down', diagnostic: Diagnostic.NoDiagnostic, cause: 'enabled' })
}

/**
 * Goes on where the former process ended; a Poll Sequence brings the peer our own intervals again.
 */
function resume(session: Session, { remote, desiredMinTxInterval, requiredMinRxInterval }: Kept): Step {
  const known = { remote, desiredMinTxInterval, requiredMinRxInterval }
  const active = { activeMinTxInterval: desiredMinTxInterval, activeMinRxInterval: requiredMinRxInterval }
  const diagnostic = Diagnostic.NoDiagnostic
  const [after, actions] = become({ ...session, ...known, ...active }, { state: 'Up', diagnostic, cause: 'resumed' })
  return [after, [...actions, { do: 'detect-within', milliseconds: milliseconds(detectionTime(after)) }]]
}

/** What the next process needs to go on with this session, once no Poll is out. */
export function keptOf({ discriminator, remote, desiredMinTxInterval, requiredMinRxInterval }: Session): Kept {
  return { discriminator, remote, desiredMinTxInterval, requiredMinRxInterval }
}

/**
 * Section 6.8.16; packets go on until the shell ends them, so that the peer learns of it, which may
 * still fall silent.
 */
function disable(session: Session): Step {
  const diagnostic = Diagnostic.AdministrativelyDown
  return become(session, { state: 'AdminDown', diagnostic, cause: 'disabled' })
}

/**
 * Section 6.8.6, from where the packet is known to be this session's. In AdminDown it is discarded
 * once its values are taken.
 */
function receive(before: Session, packet: ControlPacket): Step {
  const heard: Session = { ...before, remote: remoteOf(packet) }
  const session = packet.final ? pollAnswered(heard) : pollMayBegin(heard)
  const detection = (of: Session): Action => ({ do: 'detect-within', milliseconds: milliseconds(detectionTime(of)) })
  if (session.state === 'AdminDown') return [session, [...retimed(before, session), detection(session)]]
  const [after, moved] = transition(session, packet.state)
  const timing = moved.length > 0 ? moved : retimed(before, after)
  return [after, [...timing, detection(after), ...answer(after, packet)]]
}

/** The state machine of section 6.2. */
function transition(session: Session, received: BfdState): Step {
  const { state } = session
  if (received === 'AdminDown') {
    return state === 'Down' ? [session, []] : neighborDown(session, 'peer-admin-down')
  }
  if (state === 'Down' && received === 'Down') return become(session, { state: 'Init', cause: 'packet' })
  if ((state === 'Down' && received === 'Init') || (state === 'Init' && received !== 'Down')) {
    return become(session, { state: 'Up', diagnostic: Diagnostic.NoDiagnostic, cause: 'packet' })
  }
  if (state === 'Up' && received === 'Down') return neighborDown(session, 'peer-down')
  return [session, []]
}

function neighborDown(session: Session, cause: Cause): Step {
  return become(session, { state: 'Down', diagnostic: Diagnostic.NeighborSignaledSessionDown, cause })
}

/** Section 6.8.4; what the peer said is forgotten with its discriminator (section 6.8.1). */
function detectionExpired(session: Session): Step {
  const silent = { ...session, remote: NO_REMOTE, poll: 'none' as const }
  if (session.state === 'Down' || session.state === 'AdminDown') return [silent, retimed(session, silent)]
  const diagnostic = Diagnostic.ControlDetectionTimeExpired
  return become(silent, { state: 'Down', diagnostic, cause: 'detection-time-expired' })
}

/**
 * Into another state: tells the peer at once (section 6.8.7) and takes the intervals of that state
 * (section 6.8.3).
 */
function become(
  session: Session,
  to: { readonly state: BfdState; readonly cause: Cause; readonly diagnostic?: Diagnostic },
): Step {
  const { state, cause, diagnostic = session.diagnostic } = to
  const ended = state === 'AdminDown' || (state !== 'Up' && session.state === 'Up')
  const after = withIntervals({ ...session, state, diagnostic, ...(ended && { poll: 'none' as const }) })
  return [
    after,
    [{ do: 'state', from: session.state, to: state, cause }, { do: 'send', packet: packetOf(after) }, schedule(after)],
  ]
}

function configure(before: Session, parameters: Parameters): Step {
  const changed = withIntervals({ ...before, parameters })
  // Section 6.6: a peer that waits for no packets learns of another multiplier by a Poll alone.
  const unheard = inDemand(before) && before.parameters.detectMult !== parameters.detectMult
  const session = unheard ? { ...changed, poll: nextPoll(before) } : changed
  if (session.state === 'AdminDown') return [session, []]
  const detection = detectionTime(session)
  const moved = detection !== undefined && detection !== detectionTime(before)
  const deadline: readonly Action[] = moved ? [{ do: 'detect-since-last', milliseconds: detection / 1000 }] : []
  return [session, [...retimed(before, session), ...deadline]]
}

/**
 * Section 6.8.3. New values are polled, where there is a peer to know them. Up: until that is done
 * a longer transmit interval and a shorter receive interval do not count, as the peer does not know
 * them yet. Not Up: they count at once, and we send at most once a second.
 */
function withIntervals(session: Session): Session {
  const { requiredMinRxInterval: required, desiredMinTxInterval } = session.parameters
  const desired =
    session.state === 'Up' ? desiredMinTxInterval : Math.max(desiredMinTxInterval, SLOW_INTERVAL_MICROSECONDS)
  const same = desired === session.desiredMinTxInterval && required === session.requiredMinRxInterval
  const up = session.state === 'Up'
  if (same && up) return session
  return {
    ...session,
    desiredMinTxInterval: desired,
    requiredMinRxInterval: required,
    activeMinTxInterval: up ? Math.min(desired, session.activeMinTxInterval) : desired,
    activeMinRxInterval: up ? Math.max(required, session.activeMinRxInterval) : required,
    poll:
      same || session.state === 'AdminDown' || session.remote.discriminator === 0 ? session.poll : nextPoll(session),
  }
}

/** A Poll is due: now, or behind the one that is out. */
function nextPoll({ poll }: Session): PollSequence {
  return poll === 'none' ? 'polling' : poll === 'polling' ? 'again' : poll
}

/**
 * Section 6.5: a Final ends the Poll Sequence. If values changed meanwhile, it may have been for
 * the ones before: once more.
 */
function pollAnswered(session: Session): Session {
  if (session.poll === 'again') return { ...session, poll: 'wanted' }
  if (session.poll !== 'polling') return session
  return {
    ...session,
    poll: 'none',
    activeMinTxInterval: session.desiredMinTxInterval,
    activeMinRxInterval: session.requiredMinRxInterval,
  }
}

/**
 * A packet without Final after the last one: no late Final can end the next Poll Sequence, which
 * begins now.
 */
function pollMayBegin(session: Session): Session {
  return session.poll === 'wanted' ? { ...session, poll: 'polling' } : session
}

function transmit(session: Session): Step {
  const interval = transmitInterval(session)
  if (interval === undefined) return [session, [schedule(session)]]
  return [session, [{ do: 'send', packet: packetOf(session) }, schedule(session)]]
}

/** Section 6.8.7: a Poll is answered at once, whatever the timers say, and without the Poll bit. */
function answer(session: Session, packet: ControlPacket): readonly Action[] {
  if (!packet.poll) return []
  return [{ do: 'send', packet: { ...packetOf(session), poll: false, final: true } }]
}

/** A changed interval counts from the last packet on, not from the next (section 6.8.3). */
function retimed(before: Session, after: Session): readonly Action[] {
  return transmitInterval(before) === transmitInterval(after) ? [] : [schedule(after)]
}

function schedule(session: Session): Action {
  return { do: 'transmit-every', milliseconds: milliseconds(transmitInterval(session)) }
}

/**
 * Section 6.8.7. C is clear: this runs on the same processor as what uses it (RFC 5882 section
 * 4.3).
 */
function packetOf(session: Session): ControlPacket {
  return {
    diagnostic: session.diagnostic,
    state: session.state,
    poll: session.poll === 'polling' || session.poll === 'again',
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMult: session.parameters.detectMult,
    myDiscriminator: session.discriminator,
    yourDiscriminator: session.remote.discriminator,
    desiredMinTxInterval: session.desiredMinTxInterval,
    requiredMinRxInterval: session.requiredMinRxInterval,
    requiredMinEchoRxInterval: 0,
  }
}

function remoteOf(packet: ControlPacket): Remote {
  return {
    state: packet.state,
    diagnostic: packet.diagnostic,
    discriminator: packet.myDiscriminator,
    desiredMinTxInterval: packet.desiredMinTxInterval,
    requiredMinRxInterval: packet.requiredMinRxInterval,
    detectMult: packet.detectMult,
    demand: packet.demand,
  }
}

function milliseconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1000
}
