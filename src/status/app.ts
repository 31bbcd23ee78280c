/**
 * The status interface over HTTP, as a Hono app: the page, the snapshot, its live stream, metrics,
 * liveness and readiness. Read-only.
 *
 * It opens no port (server.ts) and knows no other room: what is shown comes through `snapshot`. Who
 * may ask is decided in access.ts.
 */
import { type Context, Hono } from 'hono'
import { type Clock, systemClock } from '../lib/clock.ts'
import { type Log, silentLog } from '../lib/log.ts'
import type { AdvertisedRoute } from '../model/session.ts'
import { type Access, bearsToken, type Refusal, type RequestFacts, refuse, refuseData } from './access.ts'
import { SnapshotFeed, type SnapshotSource } from './feed.ts'
import { METRICS_CONTENT_TYPE, snapshotMetrics } from './metrics.ts'
import { pageFiles } from './page.ts'
import { processMetricsText } from './process-metrics.ts'
import { type Trace, traceStream } from './trace-stream.ts'

export interface StatusAppOptions extends SnapshotSource {
  readonly access: Access
  /** What the peer of a BGPPeer was told; undefined where there is no session of it. */
  readonly advertised?: ((bgpPeer: string) => readonly AdvertisedRoute[] | undefined) | undefined
  /** Messages with the peer of a BGPPeer from now on; undefined where there is no session of it. */
  readonly trace?: Trace | undefined
  readonly clock?: Clock | undefined
  readonly log?: Log
  /** Live streams at a time; one more gets 503. Default 32. */
  readonly maximumStreams?: number | undefined
  /** Aborted when the server closes: ends the live streams. */
  readonly closing?: AbortSignal
}

/**
 * Nothing but our own files runs, loads or is asked; nobody frames the page; no form goes anywhere.
 */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
}

export function createStatusApp(options: StatusAppOptions): Hono {
  const { snapshot, access } = options
  const log = options.log ?? silentLog
  const feed = new SnapshotFeed({
    snapshot,
    onChange: options.onChange,
    clock: options.clock ?? systemClock,
    onError: err => log.error({ err }, 'status snapshot failed'),
    maximumClients: options.maximumStreams,
  })
  options.closing?.addEventListener('abort', () => feed.close(), { once: true })

  const app = new Hono()
  app.onError((err, context) => {
    log.error({ err }, 'status request failed')
    return context.text('The status could not be made; the log of the service says why.\n', 500, SECURITY_HEADERS)
  })
  app.notFound(context => context.text('There is nothing here. The page is at /, the data at /api/v1/snapshot.\n', 404))

  app.use(async (context, next) => {
    const refusal = refuse(factsOf(context), access)
    if (refusal !== undefined) context.res = refused(context, refusal)
    else await next()
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.res.headers.set(name, value)
  })
  for (const path of ['/api/*', '/metrics']) {
    app.use(path, async (context, next) => {
      const refusal = refuseData(factsOf(context), access)
      return refusal === undefined ? next() : refused(context, refusal)
    })
  }

  app.get('/api/v1/snapshot', context => context.json(snapshot()))
  app.get('/api/v1/peers/:name/advertised', context => {
    const routes = options.advertised?.(context.req.param('name'))
    if (routes !== undefined) return context.json(routes)
    return context.text('This process has no session of such a BGPPeer; ask at one of its speakers.\n', 404)
  })
  app.get('/api/v1/peers/:name/trace', context => {
    const stream = options.trace && traceStream(options.trace, context.req.param('name'), options.closing)
    if (stream !== undefined) return context.body(stream, 200, { 'content-type': 'application/x-ndjson' })
    return context.text('This process has no session of such a BGPPeer; ask at one of its speakers.\n', 404)
  })
  app.get('/api/v1/events', context => streamed(context, feed))
  app.get('/metrics', context => {
    const text = snapshotMetrics(snapshot()) + processMetricsText()
    return context.body(text, 200, { 'content-type': METRICS_CONTENT_TYPE })
  })
  app.get('/healthz', context => context.text('ok\n'))
  app.get('/readyz', context => readiness(context, options))
  app.get('*', async (context, next) => {
    const file = (await pageFiles()).get(context.req.path)
    return file === undefined ? next() : context.body(await file.body.arrayBuffer(), 200, { 'content-type': file.type })
  })
  return app
}

function factsOf({ req }: Context): RequestFacts {
  return {
    method: req.method,
    host: req.header('host'),
    fetchSite: req.header('sec-fetch-site'),
    authorization: req.header('authorization'),
  }
}

function refused(context: Context, { status, text, headers }: Refusal): Response {
  return context.text(`${text}\n`, status, headers)
}

function streamed(context: Context, feed: SnapshotFeed): Response {
  const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' }
  if (context.req.method === 'HEAD') return context.body(null, 200, headers)
  const stream = feed.open()
  if (stream !== undefined) return context.body(stream, 200, headers)
  return context.text('Too many clients listen already. Close some pages, or try again later.\n', 503, {
    'retry-after': '5',
  })
}

/** Probes need no token, so that kubelet can ask; the reasons are data and do. */
function readiness(context: Context, { snapshot, access }: StatusAppOptions): Response {
  const { ready, problems } = snapshot()
  if (ready) return context.text('ok\n')
  const told = refuseData(factsOf(context), access) === undefined && bearsToken(factsOf(context), access)
  const lines = told ? problems.map(problem => `${problem.replaceAll('\n', ' ')}\n`) : []
  return context.text(`not ready\n${lines.join('')}`, 503)
}
