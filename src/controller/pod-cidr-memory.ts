/**
 * The shell around what is remembered of podCIDRs (former-pod-cidrs.ts): watches the record and
 * what nodes say, keeps the record, and knows how long a cluster without one waits for its nodes.
 *
 * Rights that are missing (roles of an earlier version) stop nothing: it goes on with what it has
 * seen itself, and says so.
 */
import type { Cache, KubeApi } from '../kube/api.ts'
import { NODE_NAMESPACE, SERVICE_ACCOUNTS } from '../kube/node-identity.ts'
import { CONFIG_MAPS, type KubeObject } from '../kube/resources.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { FIELD_MANAGER } from './field-manager.ts'
import {
  type ConfigMap,
  decodeClaims,
  decodeRecord,
  encodeRecord,
  type FormerRecord,
  RECORD_NAME,
  RECORD_NAMESPACE,
} from './former-pod-cidrs.ts'
import type { Memory } from './pod-cidr.ts'

export interface PodCIDRMemoryOptions {
  readonly api: KubeApi
  readonly clock: Clock
  readonly log: Log
  readonly rememberSeconds: number
  readonly onChange: () => void
}

export class PodCIDRMemory {
  readonly #options: PodCIDRMemoryOptions
  readonly #records: Cache<ConfigMap>
  readonly #accounts: Cache<KubeObject>
  /** What this process recorded last: the watch may lag behind. */
  #kept: FormerRecord | undefined
  /**
   * When the wait for nodes ends, in Clock.monotonic() milliseconds; undefined while it has not
   * begun.
   */
  #waitUntil: number | undefined
  /** Whether nodes have podCIDRs. */
  #established = false
  /** Whether a node said meanwhile that it had podCIDRs which this cluster does not know. */
  #restored = false
  #cancel: Cancel = () => {}

  constructor(options: PodCIDRMemoryOptions) {
    this.#options = options
    const { api, onChange } = options
    const name = { namespace: RECORD_NAMESPACE, fieldSelector: `metadata.name=${RECORD_NAME}` }
    this.#records = api.cache<ConfigMap>(CONFIG_MAPS, name)
    this.#accounts = api.cache<KubeObject>(SERVICE_ACCOUNTS, { namespace: NODE_NAMESPACE })
    for (const cache of [this.#records, this.#accounts]) cache.onChange(onChange)
  }

  /** Whether all that is asked has been answered, if only by a refusal. */
  get hasAnswered(): boolean {
    return [this.#records, this.#accounts].every(cache => cache.synced || cache.problem !== undefined)
  }
  get problem(): string | undefined {
    const found = [this.#records, this.#accounts].find(cache => !cache.synced && cache.problem !== undefined)?.problem
    return (
      found &&
      `former pod CIDRs of nodes cannot be read: ${found} (terway-edge manifests --part rbac gives the right to)`
    )
  }

  /** What is known now. The wait begins with the first node that needs podCIDRs. */
  current(nodes: readonly { readonly name: string; readonly podCIDRs: readonly string[] }[]): Memory {
    const claims = decodeClaims(this.#accounts.objects.values())
    const without = new Set(nodes.filter(({ podCIDRs }) => podCIDRs.length === 0).map(({ name }) => name))
    if (!this.#remembers && without.size > 0) this.#beginToWait()
    const waiting = this.#isWaiting
    this.#established = nodes.length > without.size
    this.#restored ||= waiting && [...claims].some(([name, had]) => without.has(name) && had.length > 0)
    return {
      record: new Map([...decodeRecord(this.#object), ...(this.#kept ?? [])]),
      claims,
      waiting,
      restored: this.#restored,
    }
  }

  /**
   * Records `record`, if it says anything new; the first time also when it is empty: from then on
   * the cluster remembers, so not before nodes had their time.
   */
  async keep(record: FormerRecord): Promise<void> {
    const wanted = encodeRecord(record)
    const isSame = this.#object !== undefined && Bun.deepEquals(this.#object.data ?? {}, wanted.data)
    const isEarly = !this.#remembers && (this.#waitUntil === undefined ? !this.#established : this.#isWaiting)
    if (isSame || (isEarly && record.size === 0)) return
    this.#kept = record
    await this.#options.api.apply(CONFIG_MAPS, wanted, { fieldManager: FIELD_MANAGER, force: true })
    this.#options.log.debug({ count: record.size }, 'recorded the pod CIDRs of nodes that are gone')
  }

  get #object(): ConfigMap | undefined {
    return this.#records.objects.get(`${RECORD_NAMESPACE}/${RECORD_NAME}`)
  }

  get #remembers(): boolean {
    return !this.#records.synced || this.#object !== undefined || this.#kept !== undefined
  }

  /** Whatever was recorded meanwhile: some nodes may not be back yet. */
  get #isWaiting(): boolean {
    return this.#waitUntil !== undefined && this.#options.clock.monotonic() < this.#waitUntil
  }

  #beginToWait(): void {
    if (this.#waitUntil !== undefined) return
    const { clock, rememberSeconds, onChange } = this.#options
    this.#waitUntil = clock.monotonic() + rememberSeconds * 1000
    this.#cancel = clock.after(rememberSeconds * 1000, onChange)
  }

  close(): void {
    this.#cancel()
    this.#records.close()
    this.#accounts.close()
  }
}
