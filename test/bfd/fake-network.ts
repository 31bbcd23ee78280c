/** A wire without sockets for `BfdEngine`: what is sent, and packets put in. */
import type { BfdEvent, BfdSessionConfig, BfdSessionView } from '../../src/bfd/bfd-types.ts'
import { BfdEngine } from '../../src/bfd/engine.ts'
import { type ControlPacket, decodePacket, encodePacket } from '../../src/bfd/packet.ts'
import type { Hearing, TransportEvents } from '../../src/bfd/transport-types.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { peerPacket } from './packets.ts'

export const PEER = '10.9.0.254'

export interface SentPacket {
  readonly at: number
  readonly to: string
  readonly packet: ControlPacket
}

export class FakeNetwork {
  readonly clock = new FakeClock(0)
  readonly sent: SentPacket[] = []
  readonly events: BfdEvent[] = []
  readonly notes: string[] = []
  views: readonly BfdSessionView[] = []
  heard: readonly Hearing[] = []
  readonly moved: (string | undefined)[] = []
  /** What sending says. */
  problem: string | undefined
  closed = false
  senders = 0
  readonly engine: BfdEngine
  #transport: TransportEvents | undefined
  /** Our discriminator in the last packet to each peer. */
  readonly #discriminators = new Map<string, number>()

  constructor() {
    this.engine = new BfdEngine({
      clock: this.clock,
      emit: event => this.events.push(event),
      changed: views => {
        this.views = views
      },
      log: { note: (level, { reason }, phrase) => this.notes.push(`${level}: ${phrase}: ${reason}`) },
      transport: events => {
        this.#transport = events
        return {
          sender: ({ peerAddress }) => {
            this.senders++
            return {
              move: name => this.moved.push(name),
              send: bytes => this.#send(peerAddress, bytes),
              close: () => {
                this.senders--
              },
            }
          },
          listen: endpoints => {
            this.heard = endpoints
          },
          close: () => {
            this.closed = true
          },
        }
      },
    })
  }

  want(...sessions: Partial<BfdSessionConfig>[]): void {
    this.engine.setSessions(
      sessions.map(session => ({
        key: 'lan',
        peerAddress: PEER,
        interface: 'eth0',
        minimumIntervalMilliseconds: 300,
        multiplier: 3,
        ...session,
      })),
    )
  }

  /** A packet of the peer to its session, as it would know it. */
  receive(change: Partial<ControlPacket> = {}, from = PEER): void {
    const yourDiscriminator = this.#discriminators.get(from) ?? 0
    this.receiveBytes(encodePacket(peerPacket({ yourDiscriminator, ...change })), from)
  }

  receiveBytes(bytes: Uint8Array, from = PEER): void {
    this.#transport?.received(bytes, from)
  }

  listening(problem: string | undefined): void {
    this.#transport?.problem(problem)
  }

  /** Brings the session to Up with its Poll Sequence done. */
  up(from = PEER): void {
    this.receive({ state: 'Down' }, from)
    this.receive({ state: 'Init' }, from)
    this.receive({ state: 'Up', final: true }, from)
  }

  /** What was sent since the last call. */
  taken(): SentPacket[] {
    return this.sent.splice(0)
  }

  #send(to: string, bytes: Uint8Array): string | undefined {
    const decoded = decodePacket(bytes)
    if ('discard' in decoded) throw new Error(`we sent a packet to discard: ${decoded.discard}`)
    this.#discriminators.set(to, decoded.packet.myDiscriminator)
    this.sent.push({ at: this.clock.monotonic(), to, packet: decoded.packet })
    return this.problem
  }
}
