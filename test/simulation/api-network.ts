/**
 * The way between processes and the API server: requests and answers take time, are lost, are late;
 * a write may take effect and never be answered; watches lag, stall without a word, are cut. One
 * connection keeps its order, two do not wait for each other. Implements the product's own
 * `ApiTransport`, so its client and caches run as they are.
 */
import { ApiError } from '../../src/kube/api.ts'
import type { ApiTransport, Request } from '../../src/kube/transport.ts'
import { type ApiAnswer, isRefusal, type Refusal, type SimApiServer } from './api-server.ts'
import type { Bus, Owner } from './bus.ts'
import type { Process } from './process.ts'
import type { Random } from './random.ts'

const REQUEST_TIMEOUT_MILLISECONDS = 30_000
const BOOKMARK_MILLISECONDS = 60_000
const encoder = new TextEncoder()

/** How strong the faults are that a seed has drawn. Shares are of 1. */
export interface NetworkFaults {
  readonly leastMilliseconds: number
  readonly mostMilliseconds: number
  /** Of answers, a long delay instead. */
  readonly late: number
  readonly lateMilliseconds: number
  /** Of writes: took effect, and is not answered. */
  readonly unanswered: number
  /** Of requests: never arrives. */
  readonly lost: number
  /** Of requests: 500 before anything is done. */
  readonly errors: number
  /** Of watch chunks: split in two. */
  readonly split: number
}

/** Which way is shut: of requests, of answers, or both; and whether one is told so at once. */
export interface Cut {
  readonly requests: boolean
  readonly answers: boolean
  readonly refused: boolean
}

interface Session {
  readonly process: Process
  end(why: 'closed' | 'reset'): void
}

export class ApiNetwork {
  readonly server: SimApiServer
  readonly owner: Owner = { name: 'api', alive: true }
  readonly #bus: Bus
  /** By process name. */
  readonly cuts = new Map<string, Cut>()
  faults: NetworkFaults
  /** Told of each request as it takes effect. */
  onRequest: (process: string, request: Request, answer: ApiAnswer) => void = () => {}
  /** Told of each request as it leaves a process. */
  onSend: (process: string, request: Request) => void = () => {}
  #sessions = new Set<Session>()
  /** While the server is down nobody is answered. */
  isDown = false

  constructor(bus: Bus, server: SimApiServer, faults: NetworkFaults) {
    this.#bus = bus
    this.server = server
    this.faults = faults
  }

  /** Ends watches: of one process, or all. */
  cutWatches(process?: string): void {
    for (const session of [...this.#sessions])
      if (process === undefined || session.process.name === process) session.end('reset')
  }
  forget(session: Session): void {
    this.#sessions.delete(session)
  }

  /** What a process speaks through. `gate` is asked before each request: throwing is its end. */
  transport(process: Process, gate: () => void): ApiTransport {
    return {
      server: 'https://192.0.2.1:6443',
      request: request => {
        gate()
        this.onSend(process.name, request)
        return this.#request(process, request)
      },
      body: async request => {
        gate()
        const answer = await this.#request(process, request)
        return this.#chunksOf(process, encoder.encode(JSON.stringify(answer)))
      },
      stream: (request, signal) => {
        gate()
        return this.#stream(process, request, signal)
      },
      close() {},
    }
  }

  /** A body may come in two pieces, anywhere. */
  async *#chunksOf({ random }: Process, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    const { split } = this.faults
    const at = split > 0 && random.chance(split) ? random.between(1, bytes.length - 1) : bytes.length
    yield bytes.subarray(0, at)
    if (at < bytes.length) yield bytes.subarray(at)
  }

  delay(random: Random): number {
    const { leastMilliseconds, mostMilliseconds, late, lateMilliseconds } = this.faults
    if (late > 0 && random.chance(late)) return random.between(mostMilliseconds, lateMilliseconds)
    return random.between(leastMilliseconds, mostMilliseconds)
  }

  isShut(process: Process, way: 'requests' | 'answers'): boolean {
    return this.isDown || this.cuts.get(process.name)?.[way] === true
  }

  #request(process: Process, request: Request): Promise<unknown> {
    const { random } = process
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timeout = process.bus.post(
      process,
      request.timeoutMilliseconds ?? REQUEST_TIMEOUT_MILLISECONDS,
      'timeout',
      () => reject(unreachable('timed out')),
    )
    request.signal?.addEventListener('abort', () => {
      timeout()
      reject(unreachable('aborted'))
    })
    const fail = (why: string) => {
      timeout()
      this.#bus.post(process, 1, 'refused', () => reject(unreachable(why)))
    }
    if (this.isShut(process, 'requests')) {
      if (this.isDown || this.cuts.get(process.name)?.refused === true) fail('connection refused')
      return promise
    }
    if (this.faults.lost > 0 && random.chance(this.faults.lost)) return promise
    const answered = (answer: ApiAnswer) => {
      if (this.isShut(process, 'answers')) return
      const isWrite = request.method !== 'GET'
      if (isWrite && this.faults.unanswered > 0 && random.chance(this.faults.unanswered)) return
      this.#bus.post(process, this.delay(random), `answer ${request.method}`, () => {
        timeout()
        if (isRefusal(answer)) reject(new ApiError(answer.message, { status: answer.code, reason: answer.reason }))
        else resolve(answer.body)
      })
    }
    this.#bus.post(this.owner, this.delay(random), `${process.name} ${request.method} ${request.path}`, () => {
      if (this.isShut(process, 'requests')) return
      answered(this.#handle(process, request))
    })
    return promise
  }

  #handle(process: Process, request: Request): ApiAnswer {
    if (this.faults.errors > 0 && process.random.chance(this.faults.errors))
      return { code: 500, reason: 'InternalError', message: 'etcdserver: leader changed' }
    const answer = this.server.handle(request)
    this.onRequest(process.name, request, answer)
    return answer
  }

  #stream(process: Process, request: Request, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { promise, resolve, reject } = Promise.withResolvers<AsyncIterable<Uint8Array>>()
    signal.addEventListener('abort', () => reject(unreachable('aborted')))
    if (this.isShut(process, 'requests')) {
      if (this.isDown || this.cuts.get(process.name)?.refused === true)
        this.#bus.post(process, 1, 'refused', () => reject(unreachable('connection refused')))
      return promise
    }
    this.#bus.post(this.owner, this.delay(process.random), `${process.name} WATCH ${request.path}`, () => {
      if (this.isShut(process, 'requests') || signal.aborted) return
      const watch = new WatchSession(this, this.#bus, { process, request, signal })
      const refused = watch.begin()
      this.#bus.post(process, this.delay(process.random), 'watch begins', () => {
        if (this.isShut(process, 'answers')) return
        if (refused !== undefined)
          reject(new ApiError(refused.message, { status: refused.code, reason: refused.reason }))
        else {
          this.#sessions.add(watch)
          resolve(watch.chunks)
        }
      })
    })
    return promise
  }
}

type Piece = { readonly bytes: Uint8Array } | { readonly end: 'closed' | 'reset' }

/** One watch: what the server sends is buffered while the way is shut, as TCP does. */
class WatchSession implements Session {
  readonly process: Process
  readonly #network: ApiNetwork
  readonly #bus: Bus
  readonly #request: Request
  readonly #signal: AbortSignal
  /** When the last piece arrives: what follows is not earlier. */
  #arrivesAt = 0
  readonly #held: Piece[] = []
  readonly #arrived: Piece[] = []
  #waiting: ((result: IteratorResult<Uint8Array>) => void) | undefined
  #failWaiting: ((error: Error) => void) | undefined
  #stop: () => void = () => {}
  #isOver = false

  constructor(network: ApiNetwork, bus: Bus, about: { process: Process; request: Request; signal: AbortSignal }) {
    this.#network = network
    this.#bus = bus
    this.process = about.process
    this.#request = about.request
    this.#signal = about.signal
    this.#signal.addEventListener('abort', () => {
      this.#leave()
      this.#failWaiting?.(unreachable('aborted'))
    })
  }

  /** Begins at the server; a refusal where that says no at once. */
  begin(): Refusal | undefined {
    const { server } = this.#network
    const { query } = this.#request
    const unsubscribe = server.watch(this.#request, (type, object) => this.#send({ type, object }))
    if (typeof unsubscribe !== 'function') {
      if (unsubscribe.code !== 410) return unsubscribe
      // it begins well, and its first word is that it ends
      this.#send({ type: 'ERROR', object: unsubscribe })
      this.#send(undefined)
      return undefined
    }
    const { owner } = this.#network
    const bookmark = () => {
      this.#send({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(server.revision) } } })
      again = this.#bus.post(owner, BOOKMARK_MILLISECONDS, 'bookmark', bookmark)
    }
    let again = this.#bus.post(owner, BOOKMARK_MILLISECONDS, 'bookmark', bookmark)
    const timeout = this.#bus.post(owner, Number(query?.timeoutSeconds ?? 1800) * 1000, 'watch ends', () =>
      this.end('closed'),
    )
    this.#stop = () => {
      unsubscribe()
      again()
      timeout()
    }
    return undefined
  }

  end(why: 'closed' | 'reset'): void {
    if (this.#isOver) return
    this.#leave()
    this.#post({ end: why })
  }

  readonly chunks: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => this.#next(),
      return: () => {
        this.#leave()
        return Promise.resolve({ done: true as const, value: undefined })
      },
    }),
  }

  #leave(): void {
    this.#isOver = true
    this.#stop()
    this.#network.forget(this)
  }

  #send(event: object | undefined): void {
    if (!this.process.alive) {
      this.#leave()
      return
    }
    if (event === undefined) {
      this.#post({ end: 'closed' })
      return
    }
    const bytes = encoder.encode(`${JSON.stringify(event)}\n`)
    const { random } = this.process
    const { split } = this.#network.faults
    if (split > 0 && random.chance(split)) {
      const at = random.between(1, bytes.length - 1)
      this.#post({ bytes: bytes.subarray(0, at) })
      this.#post({ bytes: bytes.subarray(at) })
    } else this.#post({ bytes })
  }

  #post(piece: Piece): void {
    const at = Math.max(this.#arrivesAt, this.#bus.now + this.#network.delay(this.process.random))
    this.#arrivesAt = at
    this.#bus.post(this.process, at - this.#bus.now, 'watch', () => {
      this.#held.push(piece)
      this.#release()
    })
  }

  #release(): void {
    if (this.#network.isShut(this.process, 'answers')) {
      // sent again until it comes through
      this.#bus.post(this.process, 1000, 'watch', () => this.#release())
      return
    }
    this.#arrived.push(...this.#held.splice(0))
    this.#hand()
  }

  #hand(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const piece = this.#arrived.shift()
    if (piece === undefined) return
    this.#waiting = undefined
    if ('bytes' in piece) waiting({ done: false, value: piece.bytes })
    else if (piece.end === 'closed') waiting({ done: true, value: undefined })
    else this.#failWaiting?.(unreachable('it closed the connection'))
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>()
    if (this.#signal.aborted) {
      reject(unreachable('aborted'))
      return promise
    }
    this.#waiting = resolve
    this.#failWaiting = reject
    this.#hand()
    return promise
  }
}

function unreachable(why: string): ApiError {
  return new ApiError(`the API server does not answer: ${why}`, { status: 0 })
}
