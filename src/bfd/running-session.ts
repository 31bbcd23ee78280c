/**
 * A session's machine (machine.ts) with its two timers: carries out the actions, jitters what is
 * sent, and words why it went down. Sockets are in transport.ts, the set of sessions in engine.ts.
 */
import { assertNever } from '../lib/assert.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { BfdEvent, BfdSessionConfig, BfdSessionView } from './bfd-types.ts'
import { detectionTime, jittered, keptOf, newSession, remoteDetectionTime, step } from './machine.ts'
import type { Action, Cause, Event, Kept, Parameters, Session } from './machine-types.ts'
import { type ControlPacket, encodePacket } from './packet.ts'
import { Diagnostic, diagnosticName } from './registry.ts'

export interface RunningSessionOptions {
  readonly config: BfdSessionConfig
  /** Non-zero and unique. */
  readonly discriminator: number
  readonly clock: Clock
  readonly send: (bytes: Uint8Array) => void
  readonly emit: (event: BfdEvent) => void
  /** After anything that `view` may show. */
  readonly changed: () => void
}

/**
 * Packets that wait in the socket are read before an expiry counts: when this thread comes late (a
 * machine that was stopped, a busy processor), the timer would else be looked at before them.
 */
const READ_FIRST_MILLISECONDS = 1

export class RunningSession {
  readonly #options: RunningSessionOptions
  #config: BfdSessionConfig
  #session: Session
  #since: number
  #notUpSince: number
  #pathLost = false
  #lastDown: string | undefined
  /** Clock.monotonic() of the last packet from the peer. */
  #heardAt = Number.NEGATIVE_INFINITY
  /** Clock.monotonic() of the last packet but answers to Polls. */
  #sentAt = Number.NEGATIVE_INFINITY
  #cancelTransmit: Cancel = () => {}
  #suspending = false
  #detectAt: number | undefined
  /** How long that deadline was when it was set, for the wording. */
  #detectMilliseconds = 0
  #cancelDetect: Cancel | undefined

  constructor(options: RunningSessionOptions) {
    this.#options = options
    this.#config = options.config
    this.#session = newSession(parametersOf(options.config), options.discriminator)
    this.#since = options.clock.now()
    this.#notUpSince = this.#since
  }

  get config(): BfdSessionConfig {
    return this.#config
  }
  get peerAddress(): string {
    return this.#config.peerAddress
  }
  get discriminator(): number {
    return this.#options.discriminator
  }

  enable(): void {
    this.#handle({ kind: 'enable' })
  }

  /** Takes another interval, multiplier or key; anything else is another session. */
  configure(config: BfdSessionConfig): void {
    this.#config = config
    this.#handle({ kind: 'configure', parameters: parametersOf(config) })
  }

  /** Goes on with the session of a former process, as `suspend` gave it. */
  resume(kept: Kept): void {
    this.#heardAt = this.#options.clock.monotonic()
    this.#handle({ kind: 'resume', kept })
  }

  /**
   * Has the peer wait at least so long for our next packet, in milliseconds (RFC 5882 section
   * 4.3.2.2). Only of a session that is Up; `suspended` says when the peer knows.
   */
  suspend(milliseconds: number): void {
    if (this.#session.state !== 'Up') return
    const parameters = parametersOf(this.#config)
    const interval = Math.ceil((milliseconds * 1000) / parameters.detectMult)
    if (interval <= this.#session.desiredMinTxInterval) return
    this.#handle({ kind: 'configure', parameters: { ...parameters, desiredMinTxInterval: interval } })
    this.#handle({ kind: 'transmit-timer-expired' }) // the Poll, now
    this.#suspending = true
  }

  /** The session for the next process, once the peer has agreed to wait. */
  get suspended(): Kept | undefined {
    const { state, poll } = this.#session
    return this.#suspending && state === 'Up' && poll === 'none' ? keptOf(this.#session) : undefined
  }

  receive(packet: ControlPacket): void {
    this.#heardAt = this.#options.clock.monotonic()
    this.#handle({ kind: 'packet', packet })
  }

  /**
   * Goes AdminDown; packets go on. Returns how long they should, so that the peer learns of it, in
   * milliseconds.
   */
  disable(): number {
    this.#handle({ kind: 'disable' })
    return remoteDetectionTime(this.#session) / 1000
  }

  /** Sends nothing more. */
  close(): void {
    this.#cancelTransmit()
    this.#stopDetecting()
  }

  view(): BfdSessionView {
    const { state, diagnostic, remote } = this.#session
    const detection = detectionTime(this.#session)
    return {
      key: this.#config.key,
      peerAddress: this.#config.peerAddress,
      state,
      since: this.#since,
      ...(state === 'Up' ? {} : { notUpSince: this.#notUpSince }),
      ...(this.#pathLost ? { pathLost: true } : {}),
      diagnostic: diagnosticName(diagnostic),
      remoteState: remote.state,
      ...(detection === undefined ? {} : { detectionTimeMilliseconds: detection / 1000 }),
      ...(this.#lastDown === undefined ? {} : { lastDown: this.#lastDown }),
    }
  }

  #handle(event: Event): void {
    const before = this.#session
    const [after, actions] = step(before, event)
    this.#session = after
    for (const action of actions) this.#carryOut(action)
    if (!looksTheSame(before, after)) this.#options.changed()
  }

  #carryOut(action: Action): void {
    switch (action.do) {
      case 'send':
        if (!action.packet.final) this.#sentAt = this.#options.clock.monotonic()
        this.#options.send(encodePacket(action.packet))
        break
      case 'transmit-every':
        this.#transmitEvery(action.milliseconds)
        break
      case 'detect-within':
        this.#detectWithin(action.milliseconds)
        break
      case 'detect-since-last':
        this.#detectBy(this.#heardAt + action.milliseconds, action.milliseconds)
        break
      case 'state':
        this.#moved(action)
        break
      default:
        assertNever(action)
    }
  }

  #transmitEvery(milliseconds: number | undefined): void {
    const { clock } = this.#options
    this.#cancelTransmit()
    if (milliseconds === undefined) return
    const interval = jittered(milliseconds, this.#session.parameters.detectMult, clock.random())
    const left = Math.max(0, this.#sentAt + interval - clock.monotonic())
    this.#cancelTransmit = clock.after(left, () => this.#handle({ kind: 'transmit-timer-expired' }))
  }

  /**
   * Happens with every packet, so only the deadline moves while a timer runs; it may wake too early
   * and then sets itself again.
   */
  #detectWithin(milliseconds: number | undefined): void {
    if (milliseconds === undefined) {
      this.#stopDetecting()
      return
    }
    this.#detectBy(this.#options.clock.monotonic() + milliseconds, milliseconds)
  }

  #detectBy(deadline: number, milliseconds: number): void {
    const sooner = this.#detectAt !== undefined && deadline < this.#detectAt
    this.#detectAt = deadline
    this.#detectMilliseconds = milliseconds
    const left = Math.max(0, deadline - this.#options.clock.monotonic())
    if (sooner || this.#cancelDetect === undefined) this.#wakeToDetect(left)
  }

  #wakeToDetect(milliseconds: number): void {
    this.#cancelDetect?.()
    this.#cancelDetect = this.#options.clock.after(Math.ceil(milliseconds), () => {
      if (this.#detectLater()) return
      this.#cancelDetect = this.#options.clock.after(READ_FIRST_MILLISECONDS, () => {
        if (this.#detectLater()) return
        this.#stopDetecting()
        this.#handle({ kind: 'detection-timer-expired' })
      })
    })
  }

  #detectLater(): boolean {
    const left = (this.#detectAt ?? 0) - this.#options.clock.monotonic()
    if (left > 0) this.#wakeToDetect(left)
    return left > 0
  }

  #stopDetecting(): void {
    this.#cancelDetect?.()
    this.#cancelDetect = undefined
    this.#detectAt = undefined
  }

  #moved({ from, to, cause }: Extract<Action, { do: 'state' }>): void {
    const { clock, emit, changed } = this.#options
    const { key } = this.#config
    const at = clock.now()
    this.#since = at
    if (from === 'Up') this.#notUpSince = at
    if (from === 'Up' || to === 'Up' || to === 'AdminDown')
      this.#pathLost = cause === 'peer-down' || cause === 'detection-time-expired'
    const reason = from === 'Up' ? this.#reason(cause) : undefined
    if (reason !== undefined) this.#lastDown = reason
    changed() // first, so that who is told of an event sees the session as it is
    if (to === 'Up') emit({ kind: 'up', key, at })
    if (reason !== undefined) emit({ kind: 'down', key, at, reason, administrative: cause === 'peer-admin-down' })
  }

  /** Why it went down, unless by ourselves. */
  #reason(cause: Cause): string | undefined {
    const { peerAddress } = this.#config
    const { diagnostic } = this.#session.remote
    switch (cause) {
      case 'detection-time-expired':
        return `nothing from ${peerAddress} for ${Math.round(this.#detectMilliseconds)} ms (${diagnosticName(Diagnostic.ControlDetectionTimeExpired)})`
      case 'peer-down':
        return `${peerAddress} says its side is down (${diagnosticName(diagnostic)})`
      case 'peer-admin-down':
        return `${peerAddress} took its side out of service (AdminDown)`
      case 'enabled':
      case 'resumed':
      case 'disabled':
      case 'packet':
        return undefined
      default:
        return assertNever(cause)
    }
  }
}

/** Whether `view` shows two states of a session alike: most packets change nothing. */
function looksTheSame(a: Session, b: Session): boolean {
  return (
    a.state === b.state &&
    a.diagnostic === b.diagnostic &&
    a.remote.state === b.remote.state &&
    detectionTime(a) === detectionTime(b)
  )
}

function parametersOf(config: BfdSessionConfig): Parameters {
  const interval = config.minimumIntervalMilliseconds * 1000
  return { desiredMinTxInterval: interval, requiredMinRxInterval: interval, detectMult: config.multiplier }
}
