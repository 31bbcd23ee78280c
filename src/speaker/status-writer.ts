/**
 * Writes this node's own entry of `status.speakers[]` by server-side apply, under a field manager
 * of its own: nobody else writes it and it writes nothing else. Removing it is an apply without it.
 * When to write is decided in session-status.ts.
 *
 * While the API server is out of reach the newest report of each BGPPeer is kept and written once
 * it answers again. Nothing here ever waits for or disturbs a session.
 */
import { ApiError, type KubeApi } from '../kube/api.ts'
import type { SpeakerStatus } from '../kube/bgp-peer.ts'
import { BGP_PEERS } from '../kube/resources.ts'
import { speakerFieldManager, speakerPatch } from '../kube/speaker-entry.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { type Written, writeDueAt } from './session-status.ts'

interface Entry {
  /** Of the BGPPeer that `written` is about. */
  uid: string | undefined
  /** undefined: remove it. */
  wanted: SpeakerStatus | undefined
  written: Written | undefined
  dueAt: number | undefined
}

/** What is not seen of our own writes for longer than this was taken away by somebody. */
const WATCH_LAG_MILLISECONDS = 30_000

export interface StatusWriterOptions {
  readonly self: string
  readonly api: Pick<KubeApi, 'apply'>
  readonly clock: Clock
  readonly log: Log
}

export class StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #entries = new Map<string, Entry>()
  readonly #loop: Loop
  #cancel: Cancel | undefined
  #failing = false

  constructor(options: StatusWriterOptions) {
    this.#options = options
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#writeDue(),
      onError: error => this.#failed(error),
      backoff: { initialMilliseconds: 1_000, maximumMilliseconds: 30_000 },
    })
  }

  /** BGPPeers that have, or may have, an entry of ours. */
  get owned(): readonly string[] {
    return [...this.#entries.keys()].sort()
  }

  /**
   * The report that `bgpPeer` should show, or undefined for none. One that was made anew under its
   * name (another `uid`) shows none yet, nor does one whose entry somebody took away (`lost`), or
   * wrote something else into (`shown`).
   */
  report(
    bgpPeer: string,
    wanted: SpeakerStatus | undefined,
    seen: { uid?: string; lost?: boolean; shown?: SpeakerStatus } = {},
  ): void {
    const { uid, lost = false, shown } = seen
    const entry = this.#entries.get(bgpPeer) ?? { uid, wanted, written: undefined, dueAt: undefined }
    this.#entries.set(bgpPeer, entry)
    if (uid !== undefined && uid !== entry.uid) {
      entry.uid = uid
      entry.written = undefined
    }
    const now = this.#options.clock.monotonic()
    const isFalse = isForeign(shown, entry.written?.status)
    if ((lost || isFalse) && entry.written !== undefined && now - entry.written.at > WATCH_LAG_MILLISECONDS)
      entry.written = undefined
    entry.wanted = wanted
    const dueAt = writeDueAt(entry.written, wanted, now)
    // The settling time runs from the first change; a later change only brings it forward.
    entry.dueAt = dueAt === undefined ? undefined : Math.min(dueAt, entry.dueAt ?? dueAt)
    this.#schedule()
  }

  /** Writes what is due now and stops; gives up after `milliseconds`. */
  async close(milliseconds: number): Promise<void> {
    this.#cancel?.()
    const { clock } = this.#options
    for (const entry of this.#entries.values()) if (entry.dueAt !== undefined) entry.dueAt = clock.monotonic()
    const closed = this.#loop.close()
    // the next start, or nobody, needs it
    const written = closed.then(() => this.#writeDue()).catch(() => {})
    const limit = Promise.withResolvers<void>()
    const cancel = clock.after(milliseconds, limit.resolve)
    await Promise.race([written, limit.promise])
    cancel()
  }

  #schedule(): void {
    this.#cancel?.()
    if (this.#failing) return // the loop tries again by itself, with back-off
    const { clock } = this.#options
    const due = [...this.#entries.values()].flatMap(entry => (entry.dueAt === undefined ? [] : [entry.dueAt]))
    if (due.length === 0) return
    this.#cancel = clock.after(Math.max(0, Math.min(...due) - clock.monotonic()), () => this.#loop.wake())
  }

  async #writeDue(): Promise<void> {
    const { clock } = this.#options
    const errors: unknown[] = []
    for (const [bgpPeer, entry] of this.#entries) {
      if (entry.dueAt === undefined || entry.dueAt > clock.monotonic()) continue
      await this.#write(bgpPeer, entry).catch(error => errors.push(error))
    }
    if (errors.length > 0) throw errors[0]
    if (this.#failing) {
      this.#failing = false
      this.#options.log.info({}, 'session status is written again')
    }
    this.#schedule()
  }

  async #write(bgpPeer: string, entry: Entry): Promise<void> {
    const { wanted: status, uid } = entry
    await this.#apply(bgpPeer, status)
    if (entry.uid !== uid) return // it was made anew meanwhile, and is due by that
    entry.written = { status, at: this.#options.clock.monotonic() }
    entry.dueAt = writeDueAt(entry.written, entry.wanted, entry.written.at)
    if (status === undefined && entry.wanted === undefined) this.#entries.delete(bgpPeer)
  }

  async #apply(bgpPeer: string, status: SpeakerStatus | undefined): Promise<void> {
    const { api, self } = this.#options
    const fieldManager = speakerFieldManager(self)
    const apply = (entry: SpeakerStatus | undefined) =>
      api.apply(BGP_PEERS, speakerPatch({ name: bgpPeer }, entry), { fieldManager, subresource: 'status', force: true })
    try {
      await apply(status)
    } catch (error) {
      // deleted: there is nothing to report to
      if (error instanceof ApiError && error.status === 404) return
      const known = status && withoutNewFields(status)
      if (!(error instanceof ApiError) || error.status < 400 || known === status) throw error
      // the CRD of an older controller refuses a field that it does not know, and with it the whole
      // entry
      await apply(known)
    }
  }

  #failed(error: unknown): void {
    if (this.#failing) return
    this.#failing = true
    this.#options.log.warn({ detail: errorText(error) }, 'session status cannot be written and is kept for later')
  }
}

/** What of an entry every version of the CRD knows; the entry itself where that is all. */
function withoutNewFields(status: SpeakerStatus): SpeakerStatus {
  if (status.routesVerified === undefined) return status
  const { routesVerified: _, routesProblem: __, ...known } = status
  return known
}

/**
 * Whether an entry says anything that this node did not write. What an older schema drops of it is
 * none such.
 */
function isForeign(shown: SpeakerStatus | undefined, written: SpeakerStatus | undefined): boolean {
  if (shown === undefined || written === undefined) return false
  const own = new Map<string, unknown>(Object.entries(written))
  return Object.entries(shown).some(([field, value]) => !Bun.deepEquals(own.get(field), value))
}
