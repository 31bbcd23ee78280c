/**
 * The status interface on a port: where it may listen, with what protection, and what to say when
 * it cannot.
 *
 * Loopback needs nothing. Anything else needs a token, or a client certificate that our CA signed
 * (mTLS), or both.
 */
import type { Clock } from '../lib/clock.ts'
import { errorCode, UserError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Secret } from '../lib/secret.ts'
import { createStatusApp, type StatusAppOptions } from './app.ts'
import type { SnapshotSource } from './feed.ts'
import { formatListen, isLoopback, type ListenAddress, parseListen } from './listen.ts'

/** PEM texts. With `clientCA`, a client must show a certificate signed by it. */
export interface StatusTls {
  readonly cert: string
  readonly key: Secret
  readonly clientCA?: string | undefined
}

export interface StatusServerOptions extends SnapshotSource {
  /** `ADDR:PORT`; port 0 takes a free one. */
  readonly listen: string
  readonly token?: Secret | undefined
  readonly tls?: StatusTls | undefined
  /** More names that a Host header may bear. */
  readonly names?: readonly string[] | undefined
  readonly clock?: Clock | undefined
  readonly advertised?: StatusAppOptions['advertised']
  readonly trace?: StatusAppOptions['trace']
  readonly log: Log
}

export interface StatusServer {
  readonly address: string
  readonly port: number
  /** `http://127.0.0.1:9179` */
  readonly url: string
  /** Ends the streams and frees the port. */
  close(): Promise<void>
}

/**
 * Opens the port. Throws a UserError: status 2 when it must not listen there, 1 when it cannot. The
 * caller logs the address.
 */
export function startStatusServer(options: StatusServerOptions): StatusServer {
  const { log, tls } = options
  const listen = admissibleListen(options)
  const closing = new AbortController()
  const app = createStatusApp({
    snapshot: options.snapshot,
    onChange: options.onChange,
    advertised: options.advertised,
    trace: options.trace,
    access: { listenAddress: listen.address, names: options.names, token: options.token },
    clock: options.clock,
    closing: closing.signal,
    log,
  })
  if (!isLoopback(listen.address) && tls === undefined) {
    log.warn({ address: formatListen(listen) }, 'status interface without TLS: its token travels in the clear')
  }
  const server = serve(listen, tls, request => app.fetch(request))
  const port = server.port ?? listen.port
  return {
    address: listen.address,
    port,
    url: `${tls === undefined ? 'http' : 'https'}://${formatListen({ address: listen.address, port })}`,
    async close() {
      closing.abort()
      await server.stop(true)
    },
  }
}

/** Where to listen. Throws a UserError of status 2 where that may not be. */
export function admissibleListen({ listen: text, token, tls }: StatusServerOptions): ListenAddress {
  const listen = parseListen(text)
  if (listen === undefined) {
    throw new UserError(
      `status.listen: ${JSON.stringify(text)} is not ADDR:PORT; write an IP address and a port, such as 127.0.0.1:9179 or [::1]:9179`,
      { exitStatus: 2 },
    )
  }
  if (!isLoopback(listen.address) && token === undefined && tls?.clientCA === undefined) {
    throw new UserError(
      `status.listen: ${text} is reachable from the network and needs protection: set status.tokenFile (or TLS with a client CA), or listen on 127.0.0.1`,
      { exitStatus: 2 },
    )
  }
  return listen
}

function serve(
  listen: ListenAddress,
  tls: StatusTls | undefined,
  fetch: (request: Request) => Response | Promise<Response>,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname: listen.address,
      port: listen.port,
      development: false,
      reusePort: false, // without this, production mode shares a port in use, in silence
      idleTimeout: 60, // seconds; four heartbeats of the live stream
      maxRequestBodySize: 1024, // nothing here reads a body
      ...(tls === undefined ? {} : { tls: serverTls(tls) }),
      fetch,
    })
  } catch (error) {
    throw listenFailure(listen, error)
  }
}

function serverTls({ cert, key, clientCA }: StatusTls) {
  const own = { cert, key: key.reveal() }
  return clientCA === undefined ? own : { ...own, ca: clientCA, requestCert: true, rejectUnauthorized: true }
}

function listenFailure(listen: ListenAddress, cause: unknown): UserError {
  const code = errorCode(cause)
  const where = `the status interface cannot listen on ${formatListen(listen)}`
  const other = 'choose another with --status-listen ADDR:PORT (port 0 takes a free one)'
  if (code === 'EADDRINUSE') {
    return new UserError(
      `${where}: port ${listen.port} is in use by another process (ss -ltnp 'sport = :${listen.port}' shows which); stop that one, or ${other}`,
    )
  }
  if (code === 'EADDRNOTAVAIL') {
    return new UserError(`${where}: this machine does not have the address ${listen.address}; ${other}`)
  }
  if (code === 'EACCES') return new UserError(`${where}: no right to open port ${listen.port}; ${other}`)
  return new UserError(`${where}; ${other}`, { cause })
}
