/**
 * Shows a new speaker everything that a recorded one was shown, in the same order, and returns what
 * it does. Nothing waits: the timers of the recording run when they ran.
 */
import { createSpeaker } from '../../../src/bgp/speaker.ts'
import type { Speaker } from '../../../src/bgp/speaker-types.ts'
import type {
  Connection,
  ConnectionHandlers,
  Transport,
  TransportProblem,
} from '../../../src/bgp/tcp/transport-types.ts'
import { fromHex, toHex } from '../../../src/lib/bytes.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { settle } from '../../support/fake-clock.ts'
import { fromRecorded } from './recorded-peer.ts'
import { limitsOf, whereTo } from './recorder.ts'
import type { Ends, Input, Line, Recording } from './recording.ts'

/** The recording as the speaker of today would have left it: equal when nothing has changed. */
export async function replay({ heading, lines }: Recording): Promise<readonly Line[]> {
  const world = new ReplayedWorld(heading.startedAt, lines)
  const speaker = createSpeaker({
    clock: world.clock,
    log: silentLog,
    listen: { port: 179 },
    restarting: heading.restarting,
    transport: world.transport,
  })
  speaker.onEvent(event =>
    world.lines.push({
      out: 'event',
      kind: event.kind,
      state: event.session.state,
      ...('error' in event && { message: event.error.message }),
    }),
  )
  for (const line of lines) {
    if (!('in' in line)) continue
    await settle()
    world.show(line, speaker)
  }
  await settle()
  return world.lines
}

class ReplayedWorld {
  readonly lines: Line[] = []
  readonly clock: Clock
  readonly transport: Transport
  readonly #randoms: number[]
  readonly #recorded: readonly Line[]
  readonly #timers = new Map<number, () => void>()
  readonly #dials = new Map<number, (result: Connection | TransportProblem) => void>()
  readonly #handlers = new Map<number, ConnectionHandlers>()
  #accepted: (connection: Connection) => void = () => {}
  #now = 0
  #connections = 0
  #timerCount = 0

  constructor(startedAt: number, recorded: readonly Line[]) {
    this.#randoms = recorded.flatMap(line => ('read' in line && line.read === 'random' ? [line.value] : []))
    this.#recorded = recorded
    this.clock = this.#makeClock(startedAt)
    this.transport = this.#makeTransport()
  }

  show(input: { readonly at: number } & Input, speaker: Speaker): void {
    this.#now = input.at
    if (input.in === 'accepted') this.#connections++
    this.lines.push(input)
    switch (input.in) {
      case 'peers':
        speaker.setPeers(input.peers.map(fromRecorded))
        break
      case 'announcements':
        speaker.setAnnouncements(input.key, input.list)
        break
      case 'fail':
        speaker.failSession(input.key, input.failure)
        break
      case 'hold':
        speaker.holdSession(input.key, input.reason)
        break
      case 'close':
        void speaker.close(input.how)
        break
      case 'connected':
        this.#dials.get(input.dial)?.(this.#connection(input.dial, input.ends))
        break
      case 'not-connected':
        this.#dials.get(input.dial)?.(input.problem)
        break
      case 'accepted':
        this.#accepted(this.#connection(input.connection, input.ends))
        break
      case 'octets':
        this.#handlers.get(input.connection)?.data(fromHex(input.hex) ?? new Uint8Array())
        break
      case 'drained':
        this.#handlers.get(input.connection)?.drained()
        break
      case 'ended':
        this.#handlers.get(input.connection)?.ended(input.problem)
        break
      case 'timer':
        this.#timers.get(input.timer)?.()
        break
    }
  }

  #makeClock(startedAt: number): Clock {
    return {
      now: () => startedAt + this.#now,
      monotonic: () => this.#now,
      random: () => {
        const value = this.#randoms.shift() ?? 0
        this.lines.push({ read: 'random', value })
        return value
      },
      after: (milliseconds, action) => {
        const timer = ++this.#timerCount
        this.lines.push({ out: 'timer', timer, milliseconds })
        this.#timers.set(timer, action)
        return () => {
          this.lines.push({ out: 'cancel-timer', timer })
          this.#timers.delete(timer)
        }
      },
    }
  }

  #makeTransport(): Transport {
    return {
      connect: (to, done) => {
        const dial = ++this.#connections
        this.lines.push({ out: 'dial', dial, to: whereTo(to), limits: limitsOf(to) })
        this.#dials.set(dial, done)
        return () => this.lines.push({ out: 'cancel-dial', dial })
      },
      listen: (_options, accepted) => {
        this.#accepted = accepted
        return { setKey: () => undefined, close: () => {} }
      },
    }
  }

  #connection(connection: number, ends: Ends): Connection {
    let last = false
    const congested = () => {
      const next = this.#recorded[this.lines.length]
      if (next === undefined || !('read' in next) || next.read !== 'congested') return last
      if (next.connection === connection) this.lines.push(next)
      last = next.connection === connection ? next.value : last
      return last
    }
    return {
      ...ends,
      get congested() {
        return congested()
      },
      attach: handlers => {
        this.#handlers.set(connection, handlers)
      },
      limitHops: limits => {
        this.lines.push({ out: 'limit-hops', connection, limits })
        return undefined
      },
      write: bytes => this.lines.push({ out: 'octets', connection, hex: toHex(bytes) }),
      close: () => this.lines.push({ out: 'close', connection }),
      abort: () => this.lines.push({ out: 'abort', connection }),
    }
  }
}
