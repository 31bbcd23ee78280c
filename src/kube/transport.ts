/**
 * HTTP to the API server over Bun's fetch, whose `tls` option takes what client-node would give to
 * an agent (which Bun ignores). Every failure comes out as an `ApiError`: the server's own
 * metav1.Status, or status 0 with words for why it was not reached.
 *
 * Does not retry, but for one: a GET on a kept-alive connection that the server has closed in the
 * meantime.
 */
import { errorCode, errorText, UserError } from '../lib/errors.ts'
import { type ApiCounts, ApiError } from './api.ts'
import type { Kubeconfig } from './kubeconfig.ts'

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the server's URL, with its slash: `/api/v1/nodes`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: object
  readonly contentType?: string
  readonly timeoutMilliseconds?: number
  readonly signal?: AbortSignal
}

/**
 * What the door stands on: requests, and answers that go on. Tests may be the server themselves.
 */
export interface ApiTransport {
  /** The server's URL, for messages. */
  readonly server: string
  /** The parsed answer of a request that succeeded. Throws `ApiError`. */
  request(request: Request): Promise<unknown>
  /** The same answer as it arrives, chunk by chunk, within the time of a request. */
  body(request: Request): Promise<AsyncIterable<Uint8Array>>
  /**
   * The body of a GET, chunk by chunk, for as long as the server and `signal` let it go on. Throws
   * `ApiError`: with the server's status when it does not begin, with status 0 when it breaks off.
   */
  stream(request: Request, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  readonly counts?: ApiCounts | undefined
  /** Aborts what is under way; nothing can be asked any more. */
  close(): void
}

/** A request answers within this time, or has failed. */
const REQUEST_TIMEOUT_MILLISECONDS = 30_000

export class Transport implements ApiTransport {
  readonly #kubeconfig: Kubeconfig
  readonly #closed = new AbortController()
  #counts: ApiCounts = { requests: 0, failures: 0 }

  constructor(kubeconfig: Kubeconfig) {
    this.#kubeconfig = kubeconfig
  }
  get counts(): ApiCounts {
    return this.#counts
  }
  get server(): string {
    return this.#kubeconfig.server
  }

  async request(request: Request): Promise<unknown> {
    const signal = AbortSignal.any([inTime(request), this.#closed.signal])
    const response = await this.#send(request, signal)
    try {
      return JSON.parse(await response.text())
    } catch (error) {
      if (signal.aborted) throw this.#unreachable(error)
      throw new ApiError(`${this.server} answered ${request.path} with something that is not JSON`, {
        status: 0,
        cause: error,
      })
    }
  }

  body(request: Request): Promise<AsyncIterable<Uint8Array>> {
    return this.stream(request, inTime(request))
  }

  async stream(request: Request, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#send(request, AbortSignal.any([signal, this.#closed.signal]))
    if (response.body === null)
      throw new ApiError(`${this.server} answered ${request.path} with nothing`, { status: 0 })
    return this.#chunks(response.body)
  }

  async *#chunks(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      for await (const chunk of body) yield chunk
    } catch (error) {
      throw this.#unreachable(error)
    }
  }

  close(): void {
    this.#closed.abort()
  }

  async #send(request: Request, signal: AbortSignal): Promise<Response> {
    const { requests, failures, ...clock } = this.#counts
    this.#counts = { requests: requests + 1, failures, ...clock }
    try {
      return await this.#sendOnce(request, signal)
    } catch (error) {
      this.#counts = { ...this.#counts, failures: this.#counts.failures + 1 }
      throw error
    }
  }

  /** The server made its Date somewhere between the question and the answer. */
  #compareClocks(response: Response, asked: number): void {
    const date = Date.parse(response.headers.get('date') ?? '')
    if (Number.isNaN(date)) return
    const [earliest, latest] = [asked - date - 1000, Date.now() - date]
    const ahead = earliest > 0 ? earliest : Math.min(latest, 0)
    this.#counts = { ...this.#counts, clockAheadSeconds: Math.trunc(ahead / 1000) }
  }

  async #sendOnce(request: Request, signal: AbortSignal): Promise<Response> {
    const asked = Date.now()
    let response: Response
    try {
      response = await this.#fetch(request, signal)
    } catch (error) {
      if (request.method !== 'GET' || signal.aborted || errorCode(error) !== 'ECONNRESET')
        throw this.#unreachable(error)
      response = await this.#fetch(request, signal).catch((again: unknown) => {
        throw this.#unreachable(again)
      })
    }
    this.#compareClocks(response, asked)
    // a captive portal answers everything with a page: that is no contact, nor a 404 of the API
    // server
    const kind = response.headers.get('content-type')?.split(';')[0]?.trim() ?? 'application/json'
    if (response.ok ? !kind.endsWith('json') : kind === 'text/html') {
      await response.body?.cancel().catch(() => {})
      const what = `${this.server} answered with ${kind} (HTTP status ${response.status}), not as an API server`
      throw new ApiError(`${what}: does a captive portal or a proxy stand before it?`, { status: 0 })
    }
    if (response.ok) return response
    if (response.status === 401) this.#kubeconfig.refresh()
    const text = await response.text().catch(() => '')
    throw refusal(this.server, response.status, text)
  }

  async #fetch(request: Request, signal: AbortSignal): Promise<Response> {
    const { headers, tls, proxy } = await this.#kubeconfig.credentials()
    const url = new URL(`${this.server}${request.path}`)
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value)
    }
    return fetch(url, {
      method: request.method,
      headers: {
        Accept: 'application/json',
        'User-Agent': 'terway-edge',
        ...(request.body === undefined ? {} : { 'Content-Type': request.contentType ?? 'application/json' }),
        ...headers,
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      signal,
      redirect: 'error',
      timeout: false, // a quiet watch is no failure; `signal` bounds everything else
      // the CA file may hold an intermediate alone, which Go's client takes for a root
      ...(tls === undefined ? {} : { tls: { ...tls, allowPartialTrustChain: true } }),
      ...(proxy === undefined ? {} : { proxy }),
    } as RequestInit)
  }

  #unreachable(error: unknown): ApiError {
    if (error instanceof ApiError) return error
    if (error instanceof UserError) return new ApiError(error.message, { status: 0, cause: error })
    return new ApiError(`the API server ${this.server} does not answer: ${reachText(error)}`, {
      status: 0,
      cause: error,
    })
  }
}

/** Aborts when a request takes too long, or is not wanted any more. */
function inTime({ signal, timeoutMilliseconds = REQUEST_TIMEOUT_MILLISECONDS }: Request): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMilliseconds)
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal])
}

/** The error for an answer that is not 2xx: its metav1.Status where it has one. */
function refusal(server: string, status: number, text: string): ApiError {
  const { message, reason } = statusOf(text)
  if (status === 401) {
    return new ApiError(
      `the API server ${server} does not accept our credentials (401 Unauthorized); renew the kubeconfig`,
      {
        status,
        reason: reason ?? 'Unauthorized',
      },
    )
  }
  const fallback = text.trim().slice(0, 200) || `HTTP status ${status}`
  return new ApiError(message ?? `the API server ${server} answered: ${fallback}`, {
    status,
    ...(reason === undefined ? {} : { reason }),
  })
}

function statusOf(text: string): { message?: string; reason?: string } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return {}
    return {
      ...('message' in value && typeof value.message === 'string' ? { message: value.message } : {}),
      ...('reason' in value && typeof value.reason === 'string' ? { reason: value.reason } : {}),
    }
  } catch {
    return {}
  }
}

const REACH_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ConnectionRefused: 'connection refused',
  ECONNRESET: 'it closed the connection',
  ConnectionClosed: 'it closed the connection',
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'its name does not resolve',
  EHOSTUNREACH: 'host is unreachable',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  FailedToOpenSocket: 'no connection (or the CA, certificate or key of the kubeconfig is not valid)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the CA of the kubeconfig',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the CA of the kubeconfig',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not signed by the CA of the kubeconfig',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the CA of the kubeconfig',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet (check the clock of this machine)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name (set tls-server-name in the kubeconfig)',
}

/** Words for why a fetch failed. */
function reachText(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'timed out'
  if (error instanceof DOMException && error.name === 'AbortError') return 'aborted'
  const code = errorCode(error)
  return (code === undefined ? undefined : REACH_TEXTS[code]) ?? errorText(error).split('\n')[0] ?? 'unknown failure'
}
