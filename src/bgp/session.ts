/**
 * Runs one state machine (fsm.ts) on one TCP connection: carries out its actions, and turns bytes,
 * timers and the connection's fate into its events. Decides nothing itself; what concerns the peer
 * as a whole goes to the host (peer.ts).
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { decodeMessage, encodeMessage, HEADER_LENGTH, INITIAL_CONTEXT } from './codec/message.ts'
import { MessageFramer } from './codec/message-framer.ts'
import type { CodecContext, Decoded, Message, Open, RouteRefresh, Update } from './codec/message-types.ts'
import { MessageTypeCode } from './codec/registry.ts'
import type { Direction } from './machine/collision.ts'
import { idleSession, step } from './machine/fsm.ts'
import type { Action, Down, Event, Session, Settings, Timer } from './machine/fsm-types.ts'
import { type Negotiated, receivingBeforeOpen } from './machine/negotiation.ts'
import { messageEvent } from './machine/session-events.ts'
import { SessionTimers } from './machine/session-timers.ts'
import type { State } from './speaker-types.ts'
import {
  type Connection,
  type Endpoint,
  isConnection,
  type Transport,
  type TransportProblem,
} from './tcp/transport-types.ts'

/** What a session tells the peer that it belongs to. */
export interface SessionHost {
  /** An OPEN arrived, before the machine sees it: time for collision detection. */
  opening(session: PeerSession, open: Open): void
  up(session: PeerSession, negotiated: Negotiated): void
  /** `was` is set when the session was established. */
  down(session: PeerSession, reason: Down, was: Negotiated | undefined): void
  moved(session: PeerSession): void
  update(update: Update): void
  /** An UPDATE that is not as it should be, whole, and what RFC 7606 makes of it. */
  malformed(bytes: Uint8Array, problem: Malformation): void
  refresh(refresh: RouteRefresh): void
  /** A message of this type (`MessageTypeCode`). */
  counted(what: 'sent' | 'received', type: number): void
  /** The same message whole, and how it is read: for who listens to the session. */
  traced(what: 'sent' | 'received', bytes: Uint8Array, context: CodecContext): void
}

export type Malformation = Pick<Exclude<Decoded, { outcome: 'ok' }>, 'outcome' | 'reason' | 'message'>

/** Where UPDATEs come from: one encoded message after the other while there are any. */
export type MessageSource = () => Uint8Array | undefined

export interface SessionOptions {
  /** Tells the connections of a peer apart. */
  readonly id: number
  readonly clock: Clock
  readonly transport: Transport
  readonly direction: Direction
  readonly endpoint: Endpoint
  readonly settings: Settings
  readonly host: SessionHost
}

/** The messages that restart the KeepaliveTimer when they are sent (RFC 4271 section 8.2.2). */
const DRIVING: ReadonlySet<number> = new Set([MessageTypeCode.KEEPALIVE, MessageTypeCode.UPDATE])

/**
 * UPDATEs are written together in about this many octets: few at first, so that the peer begins
 * while we make the rest.
 */
const FIRST_WRITE_OCTETS = 4096
const WRITE_OCTETS = 65_536

export class PeerSession {
  readonly id: number
  readonly direction: Direction
  readonly #options: SessionOptions
  readonly #timers: SessionTimers
  readonly #events: Event[] = []
  #stepping = false
  #session: Session
  #connection: Connection | undefined
  #cancelConnect: Cancel = () => {}
  #framer = new MessageFramer()
  /** What the socket was given and says nothing of yet has a KEEPALIVE or UPDATE in it. */
  #drives = false
  #source: MessageSource | undefined
  #finish: (() => void) | undefined
  #localAddress: string | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    this.id = options.id
    this.direction = options.direction
    this.#session = idleSession(options.settings)
    this.#timers = new SessionTimers(options.clock, timer => this.handle(EXPIRED[timer]))
  }

  get settings(): Settings {
    return this.#options.settings
  }
  get state(): State {
    return this.#session.state
  }
  get negotiated(): Negotiated | undefined {
    return 'negotiated' in this.#session ? this.#session.negotiated : undefined
  }
  /** The connection's ports, where it has some, and whether the peer reads slowly. */
  get connection(): Pick<Connection, 'localPort' | 'remotePort' | 'congested'> | undefined {
    return this.#connection
  }
  /** Known while and after there is a connection. */
  get localAddress(): string | undefined {
    return this.#localAddress
  }

  /** Feeds an event to the machine and does what it says. Events that this causes come after it. */
  handle(event: Event): void {
    this.#events.push(event)
    if (this.#stepping) return
    this.#stepping = true
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#step(next)
    } finally {
      this.#stepping = false
    }
  }

  /** Takes over an accepted connection; the machine is in Active. */
  accept(connection: Connection): void {
    this.#use(connection)
    this.handle({ kind: 'TcpConnectionConfirmed' })
  }

  /**
   * Sends what `source` gives, now and whenever the connection takes more. Call again when there is
   * more.
   */
  pump(source: MessageSource): void {
    this.#source = source
    this.#pump()
  }

  /** As `tryTtl` of a Speaker. */
  tryTtl(minimum: number, done: (passes: boolean | undefined) => void): Cancel {
    const connection = this.state === 'Established' ? this.#connection : undefined
    if (connection?.tryMinimumTtl === undefined) {
      done(connection === undefined ? undefined : true)
      return () => {}
    }
    const end = connection.tryMinimumTtl(minimum, done)
    this.#send({ type: 'KEEPALIVE' })
    return end
  }

  /** Resolves when all that waits has gone to the kernel, or after `milliseconds`. */
  flushed(milliseconds: number): Promise<void> {
    const connection = this.#connection
    if (connection === undefined || !connection.congested) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = this.#options.clock.after(milliseconds, resolve)
      this.#finish = () => {
        cancel()
        resolve()
      }
    })
  }

  #step(event: Event): void {
    const before = this.#session
    const was = before.state === 'Established' ? before.negotiated : undefined
    const [after, actions] = step(before, event)
    this.#session = after
    for (const action of actions) this.#run(action, was)
    if (before.state !== after.state) this.#options.host.moved(this)
  }

  #run(action: Action, was: Negotiated | undefined): void {
    switch (action.do) {
      case 'connect':
        this.#connect()
        break
      case 'send':
        this.#send(action.message)
        break
      case 'startTimer':
        this.#timers.start(action.timer, action.seconds)
        break
      case 'stopTimer':
        this.#timers.stop(action.timer)
        break
      case 'close':
        this.#drop(connection => connection.close())
        break
      case 'abort':
        this.#drop(connection => connection.abort())
        break
      case 'up':
        this.#options.host.up(this, action.negotiated)
        break
      case 'update':
        this.#options.host.update(action.update)
        break
      case 'refresh':
        this.#options.host.refresh(action.refresh)
        break
      case 'down':
        this.#options.host.down(this, action.reason, was)
    }
  }

  #connect(): void {
    this.#cancelConnect = this.#options.transport.connect(this.#options.endpoint, result => {
      this.#cancelConnect = () => {}
      if (!isConnection(result)) {
        this.#failed(result)
        return
      }
      this.#use(result)
      this.handle({ kind: 'Tcp_CR_Acked' })
    })
  }

  #use(connection: Connection): void {
    this.#connection = connection
    this.#localAddress = connection.localAddress
    this.#framer = new MessageFramer({ extendedMessages: this.#receiving().extendedMessages })
    this.#drives = false
    const current = () => this.#connection === connection
    connection.attach({
      data: bytes => this.#receive(connection, bytes),
      drained: () => {
        if (current()) this.#drained()
      },
      ended: problem => {
        if (current()) this.#failed(problem)
      },
    })
  }

  #failed(problem: TransportProblem): void {
    this.handle({ kind: 'TcpConnectionFails', problem })
  }

  #drop(how: (connection: Connection) => void): void {
    this.#cancelConnect()
    this.#cancelConnect = () => {}
    const connection = this.#connection
    this.#connection = undefined
    this.#source = undefined
    this.#finish?.()
    this.#finish = undefined
    if (connection !== undefined) how(connection)
  }

  #receiving(): CodecContext {
    return this.negotiated?.receiving ?? receivingBeforeOpen(this.settings.local)
  }

  #send(message: Message): void {
    const connection = this.#connection
    if (connection === undefined) return
    // What already waits for a peer that reads slowly says as much as a KEEPALIVE behind it.
    if (message.type === 'KEEPALIVE' && connection.congested) return
    const context = this.negotiated?.context ?? INITIAL_CONTEXT
    const bytes = encodeMessage(message, context)
    connection.write(bytes)
    this.#counted(MessageTypeCode[message.type])
    this.#options.host.traced('sent', bytes, context)
    this.#sent(connection)
  }

  #sent(connection: Connection): void {
    if (this.state !== 'Established' || connection.congested || !this.#drives) return
    this.#drives = false
    this.handle({ kind: 'MessagesSent' })
  }

  #counted(type: number): void {
    if (DRIVING.has(type)) this.#drives = true
    this.#options.host.counted('sent', type)
  }

  #drained(): void {
    const connection = this.#connection
    if (connection !== undefined) this.#sent(connection)
    this.#pump()
    if (this.#connection?.congested !== true) {
      this.#finish?.()
      this.#finish = undefined
    }
  }

  #pump(): void {
    const connection = this.#connection
    const source = this.#source
    if (connection === undefined || source === undefined || this.state !== 'Established') return
    let octets = FIRST_WRITE_OCTETS
    while (!connection.congested) {
      const bytes = this.#gather(source, octets)
      if (bytes === undefined) break
      connection.write(bytes)
      octets = Math.min(octets * 2, WRITE_OCTETS)
    }
    if (octets > FIRST_WRITE_OCTETS) this.#sent(connection)
  }

  /** Messages in a row, about `octets` of them, as one write; undefined when there are none. */
  #gather(source: MessageSource, octets: number): Uint8Array | undefined {
    const messages: Uint8Array[] = []
    for (let length = 0; length < octets; ) {
      const message = source()
      if (message === undefined) break
      messages.push(message)
      length += message.length
      this.#counted(message[HEADER_LENGTH - 1] ?? 0)
      this.#options.host.traced('sent', message, this.negotiated?.context ?? INITIAL_CONTEXT)
    }
    return messages.length > 1 ? Buffer.concat(messages) : messages[0]
  }

  #receive(connection: Connection, bytes: Uint8Array): void {
    const framed = this.#framer.push(bytes)
    for (const message of framed.messages) {
      if (this.#connection !== connection) return
      this.#options.host.counted('received', message[HEADER_LENGTH - 1] ?? 0)
      this.#options.host.traced('received', message, this.#receiving())
      this.#message(message)
    }
    if (framed.error !== undefined && this.#connection === connection) {
      this.handle({ kind: 'BGPHeaderErr', ...framed.error, messageType: 0 })
    }
  }

  #message(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes, this.#receiving())
    const event = messageEvent(bytes, decoded)
    const isUpdate = bytes[HEADER_LENGTH - 1] === MessageTypeCode.UPDATE
    if (isUpdate && decoded.outcome !== 'ok') this.#options.host.malformed(bytes, decoded)
    if (event.kind === 'BGPOpen') this.#options.host.opening(this, event.open)
    this.handle(event)
  }
}

const EXPIRED: Readonly<Record<Timer, Event>> = {
  ConnectRetryTimer: { kind: 'ConnectRetryTimer_Expires' },
  HoldTimer: { kind: 'HoldTimer_Expires' },
  KeepaliveTimer: { kind: 'KeepaliveTimer_Expires' },
  SendHoldTimer: { kind: 'SendHoldTimer_Expires' },
}
