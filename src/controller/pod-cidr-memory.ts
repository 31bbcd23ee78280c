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

  /** What is known now. Waits begin with the first call. */
  current(): Memory {
    const { clock, rememberSeconds, onChange } = this.#options
    const object = this.#records.objects.get(`${RECORD_NAMESPACE}/${RECORD_NAME}`)
    const remembers = !this.#records.synced || object !== undefined || this.#kept !== undefined
    const now = clock.monotonic()
    if (!remembers && this.#waitUntil === undefined) {
      this.#waitUntil = now + rememberSeconds * 1000
      this.#cancel = clock.after(rememberSeconds * 1000, onChange)
    }
    return {
      record: new Map([...decodeRecord(object), ...(this.#kept ?? [])]),
      claims: decodeClaims(this.#accounts.objects.values()),
      waiting: !remembers && this.#waitUntil !== undefined && now < this.#waitUntil,
    }
  }

  /**
   * Records `record`, if it says anything new; the first time also when it is empty: from then on
   * the cluster remembers.
   */
  async keep(record: FormerRecord, isWaiting: boolean): Promise<void> {
    const object = this.#records.objects.get(`${RECORD_NAMESPACE}/${RECORD_NAME}`)
    const wanted = encodeRecord(record)
    const isSame = object !== undefined && Bun.deepEquals(object.data ?? {}, wanted.data)
    if (isSame || (object === undefined && isWaiting && record.size === 0)) return
    this.#kept = record
    await this.#options.api.apply(CONFIG_MAPS, wanted, { fieldManager: FIELD_MANAGER, force: true })
    this.#options.log.debug({ count: record.size }, 'recorded the pod CIDRs of nodes that are gone')
  }

  close(): void {
    this.#cancel()
    this.#records.close()
    this.#accounts.close()
  }
}
