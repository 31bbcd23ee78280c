/**
 * Stands between a speaker and the world and writes down what passes (recording.ts). Time stands
 * still while the speaker works on one input, so that a replay can show it the same times.
 */
import { createSpeaker, type SpeakerOptions } from '../../../src/bgp/speaker.ts'
import type { Speaker } from '../../../src/bgp/speaker-types.ts'
import {
  type Connection,
  type Endpoint,
  isConnection,
  type Listener,
  type ListenOptions,
  type Transport,
} from '../../../src/bgp/tcp/transport-types.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { toRecorded } from './recorded-peer.ts'
import type { Ends, Heading, Input, Line, Recording } from './recording.ts'

/** A speaker like `createSpeaker`'s, and what was recorded of it so far. */
export function recordedSpeaker(
  options: SpeakerOptions & { readonly transport: Transport },
  names: Pick<Heading, 'router' | 'row'>,
): { speaker: Speaker; recording: () => Recording } {
  const recorder = new Recorder(options.clock)
  const clock = recorder.clock()
  const inner = createSpeaker({ ...options, clock, transport: recorder.transport(options.transport) })
  const heading: Heading = { ...names, restarting: options.restarting, startedAt: recorder.startedAt }
  inner.onEvent(event =>
    recorder.note({
      out: 'event',
      kind: event.kind,
      state: event.session.state,
      ...('error' in event && { message: event.error.message }),
    }),
  )
  return { speaker: recorder.around(inner), recording: () => ({ heading, lines: recorder.lines }) }
}

class Recorder {
  readonly lines: Line[] = []
  readonly startedAt: number
  readonly #clock: Clock
  readonly #began: number
  #now: number
  #connections = 0
  #timers = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.startedAt = clock.now()
    this.#began = clock.monotonic()
    this.#now = 0
  }

  note(line: Line): void {
    this.lines.push(line)
  }

  #came(input: Input): void {
    this.#now = Math.round(this.#clock.monotonic() - this.#began)
    this.lines.push({ at: this.#now, ...input })
  }

  clock(): Clock {
    return {
      now: () => this.startedAt + this.#now,
      monotonic: () => this.#now,
      random: () => {
        const value = this.#clock.random()
        this.note({ read: 'random', value })
        return value
      },
      after: (milliseconds, action) => {
        const timer = ++this.#timers
        this.note({ out: 'timer', timer, milliseconds })
        const cancel = this.#clock.after(milliseconds, () => {
          this.#came({ in: 'timer', timer })
          action()
        })
        return () => {
          this.note({ out: 'cancel-timer', timer })
          cancel()
        }
      },
    }
  }

  transport(inner: Transport): Transport {
    return {
      connect: (to, done) => {
        const dial = ++this.#connections
        this.note({ out: 'dial', dial, to: whereTo(to), limits: limitsOf(to) })
        const cancel = inner.connect(to, result => {
          if (isConnection(result)) {
            this.#came({ in: 'connected', dial, ends: endsOf(result) })
            done(this.#connection(result, dial))
            return
          }
          this.#came({ in: 'not-connected', dial, problem: result })
          done(result)
        })
        return () => {
          this.note({ out: 'cancel-dial', dial })
          cancel()
        }
      },
      listen: (options: ListenOptions, accepted): Listener =>
        inner.listen(options, result => {
          const connection = ++this.#connections
          this.#came({ in: 'accepted', connection, ends: endsOf(result) })
          accepted(this.#connection(result, connection))
        }),
    }
  }

  #connection(inner: Connection, connection: number): Connection {
    const note = (line: Line) => this.note(line)
    let congested = false
    return {
      ...endsOf(inner),
      get congested() {
        if (inner.congested !== congested) {
          congested = inner.congested
          note({ read: 'congested', connection, value: congested })
        }
        return congested
      },
      attach: handlers =>
        inner.attach({
          data: bytes => {
            this.#came({ in: 'octets', connection, hex: toHex(bytes) })
            handlers.data(bytes)
          },
          drained: () => {
            this.#came({ in: 'drained', connection })
            handlers.drained()
          },
          ended: problem => {
            this.#came({ in: 'ended', connection, problem })
            handlers.ended(problem)
          },
        }),
      limitHops: limits => {
        note({ out: 'limit-hops', connection, limits })
        return inner.limitHops(limits)
      },
      write: bytes => {
        note({ out: 'octets', connection, hex: toHex(bytes) })
        inner.write(bytes)
      },
      close: () => {
        note({ out: 'close', connection })
        inner.close()
      },
      abort: () => {
        note({ out: 'abort', connection })
        inner.abort()
      },
    }
  }

  around(inner: Speaker): Speaker {
    return {
      setPeers: peers => {
        this.#came({ in: 'peers', peers: peers.map(toRecorded) })
        inner.setPeers(peers)
      },
      setAnnouncements: (key, list) => {
        this.#came({ in: 'announcements', key, list })
        inner.setAnnouncements(key, list)
      },
      failSession: (key, failure) => {
        this.#came({ in: 'fail', key, failure })
        inner.failSession(key, failure)
      },
      holdSession: (key, reason) => {
        this.#came({ in: 'hold', key, ...(reason !== undefined && { reason }) })
        inner.holdSession(key, reason)
      },
      close: how => {
        this.#came({ in: 'close', how })
        return inner.close(how)
      },
      sessions: () => inner.sessions(),
      advertised: key => inner.advertised(key),
      onEvent: listener => inner.onEvent(listener),
      onChange: listener => inner.onChange(listener),
    }
  }
}

export function endsOf({ localAddress, remoteAddress, localPort, remotePort }: Ends): Ends {
  return {
    localAddress,
    remoteAddress,
    ...(localPort !== undefined && { localPort }),
    ...(remotePort !== undefined && { remotePort }),
  }
}

export function whereTo({ address, port }: Endpoint): string {
  return `${address} port ${port}`
}

export function limitsOf({ ttl, minimumTtl }: Endpoint) {
  return { ttl, ...(minimumTtl !== undefined && { minimumTtl }) }
}
