/**
 * The door to BFD on the main thread: starts the worker when the first session is wanted, tells it
 * the set, and passes on what it tells. No protocol here (engine.ts). RFC 5880 and 5881, single
 * hop, asynchronous mode; ARCHITECTURE.md has what is left out.
 */
import { assertNever } from '../lib/assert.ts'
import { backoffMilliseconds } from '../lib/backoff.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import type { Bfd, BfdEvent, BfdSessionConfig, BfdSessionView, SuspendedSession } from './bfd-types.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

export interface BfdOptions {
  readonly log: Log
  readonly clock: Clock
  /** The namespace to open sockets in (`/run/netns/x`); absent: this process's own. */
  readonly networkNamespace?: string
}

/** Costs nothing until a session is wanted. */
export function createBfd(options: BfdOptions): Bfd {
  return new WorkerBfd(options)
}

/** After a crash of the worker. */
const RESTART = { initialMilliseconds: 1_000, maximumMilliseconds: 60_000 }
/** More than the engine takes for each. */
const CLOSE_MILLISECONDS = 4_000
const SUSPEND_MILLISECONDS = 3_000

/**
 * Beside this file; in a compiled executable, whose files lie in /$bunfs/root, at the place that an
 * entry point has below the common folder of all entry points (`bun build --compile src/main.ts
 * src/bfd/worker.ts`).
 */
function workerUrl(): URL {
  return import.meta.path.startsWith('/$bunfs/')
    ? new URL('file:///$bunfs/root/bfd/worker.js')
    : new URL('./worker.ts', import.meta.url)
}

class WorkerBfd implements Bfd {
  readonly #options: BfdOptions
  readonly #listeners = new Listeners<[event: BfdEvent]>()
  #worker: Worker | undefined
  #wanted: readonly BfdSessionConfig[] = []
  #views: readonly BfdSessionView[] = []
  #cancelRestart: Cancel = () => {}
  /** Crashes in a row, without a session that got anywhere between them. */
  #crashes = 0
  #closed: (() => void) | undefined
  #closing: Promise<void> | undefined
  /** For the first worker alone. */
  #kept: readonly SuspendedSession[] = []
  #suspended: ((sessions: readonly SuspendedSession[]) => void) | undefined

  constructor(options: BfdOptions) {
    this.#options = options
  }

  setSessions(sessions: readonly BfdSessionConfig[]): void {
    if (this.#closing !== undefined) return
    this.#wanted = sessions
    if (this.#worker === undefined && sessions.length > 0) this.#start()
    this.#tell({ kind: 'sessions', sessions })
  }

  sessions(): readonly BfdSessionView[] {
    // the worker may not have heard yet of what is no longer wanted
    return this.#views.filter(({ key }) => this.#wanted.some(wanted => wanted.key === key))
  }

  onEvent(listener: (event: BfdEvent) => void): () => void {
    return this.#listeners.add(listener)
  }

  resume(sessions: readonly SuspendedSession[]): void {
    this.#kept = sessions
  }

  async suspend(seconds: ReadonlyMap<string, number>): Promise<readonly SuspendedSession[]> {
    if (this.#worker === undefined || this.#closing !== undefined) return []
    return new Promise(resolve => {
      // a worker that fails says nothing
      const cancel = this.#options.clock.after(SUSPEND_MILLISECONDS, () => resolve([]))
      this.#suspended = sessions => {
        cancel()
        resolve(sessions)
      }
      this.#tell({ kind: 'suspend', seconds })
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  #start(): void {
    this.#cancelRestart()
    const worker = new Worker(workerUrl())
    this.#worker = worker
    worker.onmessage = (message: MessageEvent<FromWorker>) => this.#told(message.data)
    worker.onerror = event => {
      event.preventDefault()
      this.#failed(worker, event.message)
    }
    worker.addEventListener('close', () => this.#failed(worker, 'it ended'))
    this.#tell({ kind: 'start', networkNamespace: this.#options.networkNamespace })
    if (this.#kept.length > 0) this.#tell({ kind: 'resume', sessions: this.#kept })
    this.#kept = []
  }

  #tell(message: ToWorker): void {
    this.#worker?.postMessage(message)
  }

  #told(message: FromWorker): void {
    switch (message.kind) {
      case 'views':
        this.#views = message.views
        break
      case 'event':
        this.#crashes = 0
        this.#happened(message.event)
        break
      case 'log':
        this.#options.log[message.level](message.fields, message.phrase)
        break
      case 'suspended':
        this.#suspended?.(message.sessions)
        break
      case 'closed':
        this.#closed?.()
        break
      default:
        assertNever(message)
    }
  }

  #happened(event: BfdEvent): void {
    if (this.#closing !== undefined || !this.#wanted.some(({ key }) => key === event.key)) return
    if (event.kind === 'up') this.#options.log.info({ name: event.key }, 'BFD session up')
    else this.#options.log.warn({ name: event.key, reason: event.reason }, 'BFD session down')
    this.#listeners.tell(event)
  }

  /**
   * A fault of ours says nothing about the path: no session goes down by it here, all are set up
   * anew.
   */
  #failed(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#views = []
    worker.terminate()
    this.#closed?.()
    if (this.#closing !== undefined) return
    this.#options.log.error({ reason }, 'the BFD worker failed; it is started again')
    const { clock } = this.#options
    const rest = backoffMilliseconds(RESTART, this.#crashes++, clock.random())
    this.#cancelRestart()
    this.#cancelRestart = clock.after(rest, () => this.setSessions(this.#wanted))
  }

  async #end(): Promise<void> {
    this.#cancelRestart()
    const worker = this.#worker
    if (worker === undefined) return
    await new Promise<void>(resolve => {
      const cancel = this.#options.clock.after(CLOSE_MILLISECONDS, resolve)
      this.#closed = () => {
        cancel()
        resolve()
      }
      this.#tell({ kind: 'close' })
    })
    this.#worker = undefined
    this.#views = []
    worker.terminate()
  }
}
