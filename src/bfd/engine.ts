/**
 * All sessions of a node: brings those that run in line with those wanted, and hands each packet to
 * its own. Runs in the worker (worker.ts); knows no threads. What a session does is in
 * running-session.ts.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { type FieldTable, fieldsOf } from '../lib/fields.ts'
import type { BfdEvent, BfdSessionConfig, BfdSessionView, SuspendedSession } from './bfd-types.ts'
import type { Kept } from './machine-types.ts'
import { decodePacket, discardText } from './packet.ts'
import { RunningSession } from './running-session.ts'
import { selectSession } from './select-session.ts'
import type { Sender, Transport, TransportEvents } from './transport-types.ts'

export interface EngineLog {
  /** Once per change, never per packet. */
  readonly note: (level: 'debug' | 'info' | 'warn', fields: EngineLogFields, phrase: string) => void
}

export interface EngineLogFields {
  readonly name?: string
  readonly address?: string
  readonly reason?: string
}

export interface EngineOptions {
  readonly clock: Clock
  readonly transport: (events: TransportEvents) => Transport
  readonly emit: (event: BfdEvent) => void
  /** All sessions wanted; called when one of them shows something else than before. */
  readonly changed: (views: readonly BfdSessionView[]) => void
  readonly log: EngineLog
}

interface Entry {
  readonly session: RunningSession
  readonly sender: Sender
  readonly peerAddress: string
  /** Set while the session is out of service and its last packets go out. */
  cancelEnd: Cancel | undefined
  problem: string | undefined
}

/** AdminDown goes out for a Detection Time, and at the end of the process at most so long. */
const LAST_MILLISECONDS = 3_000
/**
 * How long peers are given to answer the Poll before a restart, and how often that is looked at.
 */
const AGREE_MILLISECONDS = 2_000
const LOOK_MILLISECONDS = 20

/** Between two notes of discarded packets. */
const BETWEEN_DISCARDS_MILLISECONDS = 10_000

export class BfdEngine {
  readonly #options: EngineOptions
  readonly #transport: Transport
  readonly #byDiscriminator = new Map<number, Entry>()
  readonly #byPeerAddress = new Map<string, Entry>()
  /** By peer address. */
  readonly #kept = new Map<string, SuspendedSession>()
  #shown = '[]'
  /** Clock.monotonic() of the last discarded packet that was noted. */
  #notedDiscard = Number.NEGATIVE_INFINITY
  #problem: string | undefined
  #closed = false

  constructor(options: EngineOptions) {
    this.#options = options
    this.#transport = options.transport({
      received: (bytes, address) => this.#received(bytes, address),
      problem: detail => this.#listening(detail),
    })
  }

  /** The whole set wanted; of two with one peer address the first has it. */
  setSessions(configs: readonly BfdSessionConfig[]): void {
    if (this.#closed) return
    const wanted = new Map<string, BfdSessionConfig>()
    for (const config of configs) if (!wanted.has(config.peerAddress)) wanted.set(config.peerAddress, config)
    for (const [address, entry] of [...this.#byPeerAddress]) {
      const config = wanted.get(address)
      if (config === undefined) this.#retire(entry)
      else if (!samePath(entry.session.config, config)) this.#end(entry)
      else this.#wantAgain(entry)
    }
    for (const config of wanted.values()) {
      const entry = this.#byPeerAddress.get(config.peerAddress)
      if (entry === undefined) this.#start(config)
      else if (!sameConfig(entry.session.config, config)) this.#change(entry, config)
    }
    this.#listen()
    this.#changed()
  }

  views(): readonly BfdSessionView[] {
    return [...this.#byPeerAddress.values()]
      .filter(({ cancelEnd }) => cancelEnd === undefined)
      .map(({ session }) => session.view())
  }

  /** For sessions that are started later. */
  resume(sessions: readonly SuspendedSession[]): void {
    for (const session of sessions) this.#kept.set(session.peerAddress, session)
  }

  /** See `Bfd.suspend`. */
  async suspend(seconds: ReadonlyMap<string, number>): Promise<readonly SuspendedSession[]> {
    const asked = [...this.#byPeerAddress.values()].filter(({ session }) => seconds.has(session.config.key))
    for (const { session } of asked) session.suspend((seconds.get(session.config.key) ?? 0) * 1000)
    const agreed = () => asked.flatMap(({ session }) => suspendedOf(session) ?? [])
    for (let waited = 0; waited < AGREE_MILLISECONDS && agreed().length < asked.length; waited += LOOK_MILLISECONDS)
      await this.#sleep(LOOK_MILLISECONDS)
    return agreed()
  }

  /** Takes all sessions but suspended ones out of service, tells their peers, and ends. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const entry of [...this.#byPeerAddress.values()]) {
      if (entry.session.suspended !== undefined) this.#remove(entry) // not a word from here on
    }
    const toTell = [...this.#byPeerAddress.values()]
    const milliseconds = Math.max(0, ...toTell.map(({ session }) => session.disable()))
    if (toTell.length > 0) await this.#sleep(Math.min(milliseconds, LAST_MILLISECONDS))
    for (const entry of toTell) this.#remove(entry)
    this.#transport.close()
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise(resolve => this.#options.clock.after(milliseconds, resolve))
  }

  #start(config: BfdSessionConfig): void {
    const { clock, emit } = this.#options
    const sender = this.#transport.sender(config)
    const kept = this.#keptFor(config)
    const entry: Entry = {
      sender,
      peerAddress: config.peerAddress,
      session: new RunningSession({
        config,
        discriminator: kept?.discriminator ?? this.#newDiscriminator(),
        clock,
        send: bytes => this.#sent(entry, sender.send(bytes)),
        emit,
        changed: () => this.#changed(),
      }),
      cancelEnd: undefined,
      problem: undefined,
    }
    this.#byPeerAddress.set(config.peerAddress, entry)
    this.#byDiscriminator.set(entry.session.discriminator, entry)
    if (kept === undefined) entry.session.enable()
    else entry.session.resume(kept)
  }

  /** The same session of the process before; used once. */
  #keptFor(config: BfdSessionConfig): Kept | undefined {
    const suspended = this.#kept.get(config.peerAddress)
    this.#kept.delete(config.peerAddress)
    const same = suspended?.localAddress === config.localAddress && suspended?.interface === config.interface
    return suspended !== undefined && same && !this.#byDiscriminator.has(suspended.kept.discriminator)
      ? suspended.kept
      : undefined
  }

  /**
   * A session that says goodbye, and is wanted after all, goes on with what it knows of its peer.
   */
  #wantAgain(entry: Entry): void {
    if (entry.cancelEnd === undefined) return
    entry.cancelEnd()
    entry.cancelEnd = undefined
    entry.session.enable()
  }

  #change(entry: Entry, config: BfdSessionConfig): void {
    if (entry.session.config.interface !== config.interface) entry.sender.move(config.interface)
    entry.session.configure(config)
  }

  /** RFC 5880 section 6.8.16: AdminDown for as long as the peer needs to hear of it. */
  #retire(entry: Entry): void {
    if (entry.cancelEnd !== undefined) return
    const milliseconds = entry.session.disable()
    entry.cancelEnd = this.#options.clock.after(milliseconds, () => {
      this.#end(entry)
      this.#listen()
    })
  }

  #end(entry: Entry): void {
    entry.session.disable()
    this.#remove(entry)
  }

  #remove(entry: Entry): void {
    entry.cancelEnd?.()
    entry.session.close()
    entry.sender.close()
    this.#byPeerAddress.delete(entry.peerAddress)
    this.#byDiscriminator.delete(entry.session.discriminator)
  }

  #listen(): void {
    if (this.#closed) return
    const ends = [...this.#byPeerAddress.values()].map(({ session }) => session)
    this.#transport.listen(ends.map(({ config, discriminator }) => ({ ...config, discriminator })))
  }

  /**
   * Random, so that a packet for the process before this one finds no session (RFC 5880 section
   * 6.8.1).
   */
  #newDiscriminator(): number {
    let discriminator = 1 + Math.floor(this.#options.clock.random() * 0xffffffff)
    while (this.#byDiscriminator.has(discriminator)) discriminator = (discriminator % 0xffffffff) + 1
    return discriminator
  }

  #received(bytes: Uint8Array, address: string): void {
    const decoded = decodePacket(bytes)
    if ('discard' in decoded) {
      this.#discard(address, discardText(decoded.discard))
      return
    }
    const selected = selectSession(decoded.packet, address, {
      byDiscriminator: this.#byDiscriminator,
      byPeerAddress: this.#byPeerAddress,
    })
    if ('discard' in selected) this.#discard(address, selected.discard)
    else selected.session.session.receive(decoded.packet)
  }

  /** Anybody on the link can send such packets, at any rate. */
  #discard(address: string, reason: string): void {
    const now = this.#options.clock.monotonic()
    if (now - this.#notedDiscard < BETWEEN_DISCARDS_MILLISECONDS) return
    this.#notedDiscard = now
    this.#options.log.note('debug', { address, reason }, 'discarded a BFD packet')
  }

  #sent(entry: Entry, problem: string | undefined): void {
    if (problem === entry.problem) return
    entry.problem = problem
    const { key, peerAddress } = entry.session.config
    const fields = { name: key, address: peerAddress }
    if (problem === undefined) this.#options.log.note('info', fields, 'BFD packets are sent again')
    else this.#options.log.note('warn', { ...fields, reason: problem }, 'BFD packets cannot be sent')
  }

  #listening(problem: string | undefined): void {
    if (problem === this.#problem) return
    this.#problem = problem
    if (problem === undefined) this.#options.log.note('info', {}, 'BFD packets can be received again')
    else this.#options.log.note('warn', { reason: problem }, 'BFD packets cannot be received; no session comes up')
  }

  #changed(): void {
    if (this.#closed) return
    const views = this.views()
    const shown = JSON.stringify(views)
    if (shown === this.#shown) return
    this.#shown = shown
    this.#options.changed(views)
  }
}

function suspendedOf({ config, suspended: kept }: RunningSession): SuspendedSession | undefined {
  const { peerAddress, localAddress, interface: name, multiplier } = config
  if (kept === undefined || name === undefined) return undefined
  const waitsMilliseconds = (kept.desiredMinTxInterval / 1000) * multiplier
  return { peerAddress, localAddress, interface: name, waitsMilliseconds, kept }
}

/**
 * What a change of each field asks for: `path` another session, as one cannot be moved; `link` the
 * same, but a session that is nowhere for a while waits for its own; `values` a Poll Sequence.
 */
const CHANGES: FieldTable<BfdSessionConfig, 'path' | 'link' | 'values'> = {
  key: 'values',
  peerAddress: 'path',
  localAddress: 'path',
  interface: 'link',
  minimumIntervalMilliseconds: 'values',
  multiplier: 'values',
}

function samePath(a: BfdSessionConfig, b: BfdSessionConfig): boolean {
  const moved = fieldsOf(CHANGES, 'link').some(
    field => a[field] !== undefined && b[field] !== undefined && a[field] !== b[field],
  )
  return !moved && fieldsOf(CHANGES, 'path').every(field => a[field] === b[field])
}

function sameConfig(a: BfdSessionConfig, b: BfdSessionConfig): boolean {
  return [...fieldsOf(CHANGES, 'values'), ...fieldsOf(CHANGES, 'link')].every(field => a[field] === b[field])
}
