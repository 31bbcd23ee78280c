/**
 * What the metadata service has said of the gateways of a node's interfaces: asked once for each
 * interface, and kept in the state folder, so that a node that starts without the service goes on
 * with what it said. Where it does not answer it is asked again, ever more rarely.
 */
import type { ENINode } from '../kube/eni-node.ts'
import { backoffMilliseconds } from '../lib/backoff.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { canonicalAddress } from '../lib/ip.ts'
import { isObject } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import type { GatewaysByMac } from './gateways.ts'

export interface GatewaySourceOptions {
  readonly clock: Clock
  readonly log: Log
  /** Where the answers are kept. */
  readonly file: string
  /** Asks for the interface with that MAC. */
  readonly ask: (mac: string) => Promise<readonly string[]>
  readonly onChange: () => void
}

const AGAIN = { initialMilliseconds: 5_000, maximumMilliseconds: 10 * 60_000 }

export class GatewaySource {
  readonly #options: GatewaySourceOptions
  #said: GatewaysByMac
  #macs: readonly string[] = []
  /** MACs that were answered in this life of the process. */
  readonly #asked = new Set<string>()
  #asking = false
  #closed = false
  #failures = 0
  #cancel: Cancel | undefined

  constructor(options: GatewaySourceOptions) {
    this.#options = options
    this.#said = readGateways(options.file)
  }

  get said(): GatewaysByMac {
    return this.#said
  }

  /** The interfaces of the node; those that nothing is known of are asked for. */
  want(node: ENINode): void {
    this.#macs = node.status.interfaces.filter(({ state }) => state === 'InUse').map(({ mac }) => mac)
    if (!this.#asking && this.#cancel === undefined) void this.#askAll()
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #askAll(): Promise<void> {
    const { ask, clock, log } = this.#options
    this.#asking = true
    try {
      for (let mac = this.#next(); mac !== undefined && !this.#closed; mac = this.#next()) {
        const gateways = await ask(mac)
        this.#asked.add(mac)
        this.#failures = 0
        if (gateways.length > 0) this.#keep(mac, gateways)
      }
    } catch (error) {
      const milliseconds = backoffMilliseconds(AGAIN, this.#failures++, clock.random())
      if (this.#failures === 1) log.info({ reason: errorText(error) }, 'the metadata service does not answer')
      if (this.#closed) return
      this.#cancel = clock.after(milliseconds, () => {
        this.#cancel = undefined
        void this.#askAll()
      })
    } finally {
      this.#asking = false
    }
  }

  #next(): string | undefined {
    return this.#macs.find(mac => !this.#asked.has(mac))
  }

  #keep(mac: string, gateways: readonly string[]): void {
    if (Bun.deepEquals(this.#said.get(mac), gateways)) return
    const kept = [...this.#said].filter(([other]) => other !== mac && this.#macs.includes(other))
    this.#said = new Map([...kept, [mac, gateways]])
    writeFileWhole(this.#options.file, `${JSON.stringify(Object.fromEntries(this.#said), undefined, 1)}\n`)
    this.#options.onChange()
  }
}

/** What is damaged is asked for anew. */
function readGateways(file: string): GatewaysByMac {
  try {
    const json: unknown = JSON.parse(readFileIfPresent(file) ?? '{}')
    if (!isObject(json)) return new Map()
    return new Map(
      Object.entries(json).flatMap(([mac, list]) => {
        const texts: readonly unknown[] = Array.isArray(list) ? list : []
        const gateways = texts.flatMap(text => (typeof text === 'string' ? (canonicalAddress(text) ?? []) : []))
        return gateways.length === 0 ? [] : [[mac, gateways] as const]
      }),
    )
  } catch {
    return new Map()
  }
}
