/**
 * The live link to the server of this page: reads `/api/v1/events` and connects again when it
 * breaks.
 *
 * By fetch and not by EventSource, which can send no token and does not say why it failed.
 */
import type { Snapshot } from '../src/model/snapshot.ts'
import { withChanges } from './changes.ts'
import { EventStream } from './event-stream.ts'

export type LinkState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'token'; readonly wrong: boolean }

export interface ConnectionOptions {
  readonly onSnapshot: (snapshot: Snapshot) => void
  readonly onState: (state: LinkState) => void
}

/**
 * Browsers say no more of a failure of the network than "TypeError", each with words of its own.
 */
function reasonOf(error: unknown): string {
  if (error instanceof TypeError) return 'it does not answer'
  return error instanceof Error ? error.message : String(error)
}

/** More than two heartbeats of the server: silence for so long means that the link is dead. */
const SILENCE_MILLISECONDS = 40_000
const PAUSE_MILLISECONDS = { first: 500, longest: 5000 }

export class Connection {
  readonly #options: ConnectionOptions
  #token: string | undefined
  #current: AbortController | undefined
  #pause = PAUSE_MILLISECONDS.first
  #timer: number | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Connects now, whatever was before. */
  connect(): void {
    clearTimeout(this.#timer)
    this.#current?.abort()
    const current = new AbortController()
    this.#current = current
    this.#listen(current).catch((error: unknown) => {
      if (this.#current === current) this.#lost(reasonOf(error))
    })
  }

  useToken(token: string): void {
    this.#token = token
    this.connect()
  }

  async #listen(current: AbortController): Promise<void> {
    const response = await fetch('/api/v1/events', {
      headers: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
      cache: 'no-store',
      signal: current.signal,
    })
    if (response.status === 401) {
      this.#options.onState({ kind: 'token', wrong: this.#token !== undefined })
      return
    }
    if (!response.ok || response.body === null) throw new Error((await response.text()).trim())
    this.#pause = PAUSE_MILLISECONDS.first
    this.#options.onState({ kind: 'live' })
    await this.#read(response.body, current)
    throw new Error('the server ended the connection')
  }

  async #read(body: ReadableStream<Uint8Array<ArrayBuffer>>, current: AbortController): Promise<void> {
    const events = new EventStream()
    let latest: Snapshot | undefined
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const silence = setTimeout(() => current.abort(new Error('the server is silent')), SILENCE_MILLISECONDS)
      const { done, value } = await reader.read().finally(() => clearTimeout(silence))
      if (done || this.#current !== current) return
      for (const event of events.push(value)) {
        if (event.type === 'snapshot') latest = JSON.parse(event.data)
        else if (event.type === 'changes' && latest !== undefined) latest = withChanges(latest, JSON.parse(event.data))
        else continue
        if (latest !== undefined) this.#options.onSnapshot(latest)
      }
    }
  }

  #lost(why: string): void {
    this.#options.onState({ kind: 'lost', why })
    this.#timer = setTimeout(() => this.connect(), this.#pause)
    this.#pause = Math.min(this.#pause * 2, PAUSE_MILLISECONDS.longest)
  }
}
