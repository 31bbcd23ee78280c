/**
 * All sessions of a node: brings those that run in line with those wanted, and hands each packet to its own. Runs in the worker
 * (worker.ts); knows no threads. What a session does is in running-session.ts.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { type FieldTable, fieldsOf } from '../lib/fields.ts'
import type { BfdEvent, BfdSessionConfig, BfdSessionView } from './bfd-types.ts'
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

/** At the end of the process there is no time for a Detection Time of AdminDown: this many packets, so close together, go out. */
const LAST_PACKETS = 3
const BETWEEN_LAST_PACKETS_MILLISECONDS = 10

/** Between two notes of discarded packets. */
const BETWEEN_DISCARDS_MILLISECONDS = 10_000

export class BfdEngine {
  readonly #options: EngineOptions
  readonly #transport: Transport
  readonly #byDiscriminator = new Map<number, Entry>()
  readonly #byPeerAddress = new Map<string, Entry>()
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
      else if (entry.cancelEnd !== undefined || !samePath(entry.session.config, config)) this.#end(entry)
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

  /** Takes all sessions out of service, tells the peers, and ends. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const entries = [...this.#byPeerAddress.values()]
    for (let packet = 0; packet < LAST_PACKETS && entries.length > 0; packet++) {
      for (const { session } of entries) session.sayAdminDown()
      await new Promise<void>(resolve => this.#options.clock.after(BETWEEN_LAST_PACKETS_MILLISECONDS, resolve))
    }
    for (const entry of entries) this.#end(entry)
    this.#transport.close()
  }

  #start(config: BfdSessionConfig): void {
    const { clock, emit } = this.#options
    const sender = this.#transport.sender(config)
    const entry: Entry = {
      sender,
      peerAddress: config.peerAddress,
      session: new RunningSession({
        config,
        discriminator: this.#newDiscriminator(),
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
    entry.cancelEnd?.()
    entry.session.disable()
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

  /** Random, so that a packet for the process before this one finds no session (RFC 5880 section 6.8.1). */
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

/**
 * What a change of each field asks for: `path` another session, as one cannot be moved; `link` the same, but a session that is nowhere
 * for a while waits for its own; `values` a Poll Sequence.
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
