/**
 * A monitoring station (RFC 7854 section 3.2) for this speaker's own sessions: listens for routers
 * that are configured to report to it, and keeps what each says that it has from this speaker.
 * Never sends. Who is not one of the routers is let go at once; of one router the newest connection
 * counts.
 */

import type { Cancel, Clock } from '../../lib/clock.ts'
import { errorText } from '../../lib/errors.ts'
import { comparing, identical } from '../../lib/fields.ts'
import type { Log } from '../../lib/log.ts'
import type { Connection, Listener, Transport } from '../tcp/transport-types.ts'
import { BmpFramer, decodeBmp } from './bmp-message.ts'
import type { BmpMessage, BmpPeer } from './bmp-types.ts'
import type { MonitoredRouter } from './monitored-router.ts'
import { SwitchTable } from './switch-table.ts'

export interface StationOptions {
  readonly clock: Clock
  readonly log: Log
  readonly transport: Transport
  /** What a router tells has changed. */
  readonly changed: () => void
}

/** A port that cannot be had is tried again this often. */
const LISTEN_RETRY_MILLISECONDS = 10_000
/** Neighbours of our AS that a router may tell of: speakers of one LAN are few. */
const TABLES_AT_MOST = 32

interface Report {
  readonly router: MonitoredRouter
  readonly connection: Connection
  /** Clock.now() milliseconds. */
  readonly since: number
  /** By the address of the neighbour, which is this speaker or one beside it. */
  readonly tables: Map<string, SwitchTable>
}

export class Station {
  readonly #options: StationOptions
  readonly #listeners = new Map<number, Listener>()
  readonly #reports = new Map<string, Report>()
  readonly #problems = new Map<number, string>()
  #routers: readonly MonitoredRouter[] = []
  #retry: Cancel = () => {}
  #closed = false

  constructor(options: StationOptions) {
    this.#options = options
  }

  /** Ports that cannot be had, with the reason. */
  get problems(): ReadonlyMap<number, string> {
    return this.#problems
  }

  /** The whole set of routers wanted. */
  setRouters(routers: readonly MonitoredRouter[]): void {
    if (this.#closed) return
    this.#routers = routers
    for (const [key, report] of this.#reports) {
      const router = routers.find(wanted => wanted.key === key)
      if (router === undefined || !sameWay(router, report.router)) this.#end(key)
    }
    this.#listen()
  }

  /** Since when the router of a BGPPeer reports (Clock.now()); undefined: it does not. */
  reportsSince(key: string): number | undefined {
    return this.#reports.get(key)?.since
  }

  /** Lets the router go: it comes back, and tells everything anew. */
  askAgain(key: string): void {
    this.#end(key)
  }

  /** What it tells of its neighbour `localAddress`, which is this speaker; undefined: nothing. */
  tableOf(key: string, localAddress: string): SwitchTable | undefined {
    return this.#reports.get(key)?.tables.get(localAddress)
  }

  close(): void {
    this.#closed = true
    this.#retry()
    for (const key of [...this.#reports.keys()]) this.#end(key)
    for (const listener of this.#listeners.values()) listener.close()
    this.#listeners.clear()
  }

  #listen(): void {
    const { clock, log, transport } = this.#options
    const ports = new Set(this.#routers.map(({ port }) => port))
    for (const [port, listener] of this.#listeners) {
      if (ports.has(port)) continue
      listener.close()
      this.#listeners.delete(port)
    }
    for (const port of this.#problems.keys()) if (!ports.has(port)) this.#problems.delete(port)
    for (const port of ports) {
      if (this.#listeners.has(port)) continue
      try {
        this.#listeners.set(
          port,
          transport.listen({ port }, connection => this.#accept(connection, port)),
        )
        this.#problems.delete(port)
      } catch (error) {
        if (!this.#problems.has(port)) log.error({ port, reason: errorText(error) }, 'cannot listen for BMP')
        this.#problems.set(port, errorText(error))
      }
    }
    this.#retry()
    if (this.#problems.size > 0) this.#retry = clock.after(LISTEN_RETRY_MILLISECONDS, () => this.#listen())
  }

  #accept(connection: Connection, port: number): void {
    const { clock, log, changed } = this.#options
    const { remoteAddress: address } = connection
    const router = this.#routers.find(({ routerAddress, port: own }) => routerAddress === address && own === port)
    if (router === undefined) {
      log.debug({ address, port }, 'refused a BMP connection')
      connection.abort()
      return
    }
    this.#end(router.key)
    const report: Report = { router, connection, since: clock.now(), tables: new Map() }
    this.#reports.set(router.key, report)
    const framer = new BmpFramer()
    log.info({ address, bgpPeer: router.key }, 'the device reports by BMP')
    connection.attach({
      data: bytes => {
        const { messages, error } = framer.push(bytes)
        const isOurs = ({ asNumber }: BmpPeer) => asNumber === router.localAs
        for (const message of messages) take(report, decodeBmp(message, isOurs), clock.monotonic())
        changed()
        if (error === undefined) return
        log.warn({ address, bgpPeer: router.key, reason: error }, 'what the device reports by BMP cannot be read')
        this.#end(router.key)
      },
      drained: () => {},
      ended: ({ detail }) => {
        log.info({ address, bgpPeer: router.key, reason: detail }, 'the device no longer reports by BMP')
        this.#forget(report)
      },
    })
    changed()
  }

  #end(key: string): void {
    const report = this.#reports.get(key)
    if (report === undefined) return
    report.connection.abort()
    this.#forget(report)
  }

  #forget(report: Report): void {
    const { key } = report.router
    if (this.#reports.get(key) !== report) return
    this.#reports.delete(key)
    this.#options.changed()
  }
}

/** Two of one key that come the same way, and of whom the same is heard. */
const sameWay = comparing<MonitoredRouter>({
  key: undefined,
  port: identical,
  routerAddress: identical,
  localAs: identical,
})

function take({ tables }: Report, message: BmpMessage, now: number): void {
  if (!('peer' in message)) return
  const { address } = message.peer
  const table = tables.get(address) ?? (tables.size < TABLES_AT_MOST ? new SwitchTable() : undefined)
  if (table === undefined) return
  tables.set(address, table)
  table.take(message, now)
}
