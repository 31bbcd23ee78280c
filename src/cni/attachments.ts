/**
 * What the node remembers of its pods: which container's interface has which addresses, and where
 * the round robin stands. Values and pure changes of them; `address-store.ts` keeps them on disk.
 *
 * The text is JSON that people may read. It is checked when it is read, for it outlives versions of
 * this program.
 */
import { present } from '../lib/fields.ts'
import { canonicalAddress, FAMILIES, type Family } from '../lib/ip.ts'
import { isObject, type JsonObject, stringList } from '../lib/json.ts'
import { WAITING_MILLISECONDS } from '../model/interface-pool.ts'
import type { LastGiven } from './address-pool.ts'
import type { Attachment, PodName } from './protocol.ts'

export interface AttachmentRecord extends Attachment {
  /**
   * Tells the attempt that made this record from a later one for the same container and interface.
   */
  readonly attempt: string
  /** The CNI network's name. */
  readonly network: string
  readonly addresses: readonly string[]
  /** The host's end of the veth pair. */
  readonly hostInterface: string
  readonly namespacePath: string
  readonly pod?: PodName
  /** /proc/sys/kernel/random/boot_id: pods do not outlive a boot. */
  readonly bootId: string
  /**
   * The elastic network interface that the addresses belong to; absent: they are of the node's
   * podCIDRs.
   */
  readonly interface?: InterfaceName
}

/** An elastic network interface by what the cloud and the kernel call it. */
export interface InterfaceName {
  readonly id: string
  readonly mac: string
}

/** A pod that got no address; its runtime tries again. */
export interface WaitingPod {
  /** `namespace/name`, or the container where the runtime names no pod. */
  readonly pod: string
  /** When it last asked, in milliseconds since the epoch. */
  readonly at: number
}

export interface Attachments {
  readonly last: LastGiven
  readonly records: readonly AttachmentRecord[]
  /** Addresses of interfaces that pods gave back, the last one at the end. */
  readonly freed: readonly string[]
  readonly waiting: readonly WaitingPod[]
}

export const NO_ATTACHMENTS: Attachments = { last: {}, records: [], freed: [], waiting: [] }

/** More than a node has: older ones are forgotten. */
const MOST_FREED = 1024

const FORMAT = 1

export function findRecord(attachments: Attachments, key: Attachment): AttachmentRecord | undefined {
  return attachments.records.find(record => isSame(record, key))
}

/** Replaces the record of the same container and interface, if there is one. */
export function withRecord(attachments: Attachments, record: AttachmentRecord): Attachments {
  return { ...attachments, records: [...attachments.records.filter(other => !isSame(other, record)), record] }
}

/** Without the record of `attempt`; a later attempt for the same interface stays. */
export function withoutAttempt(attachments: Attachments, attempt: string): Attachments {
  return withOnly(attachments, record => record.attempt !== attempt)
}

/** With the records that `keep` says; the addresses of the others rest from now on. */
export function withOnly(attachments: Attachments, keep: (record: AttachmentRecord) => boolean): Attachments {
  const gone = attachments.records.filter(record => !keep(record))
  const back = new Set(gone.filter(record => record.interface !== undefined).flatMap(({ addresses }) => addresses))
  const rested = attachments.freed.filter(address => !back.has(address))
  return { ...attachments, records: attachments.records.filter(keep), freed: [...rested, ...back].slice(-MOST_FREED) }
}

/** With `pod` as one that waits, and without those that have not asked again for long. */
export function withWaiting(attachments: Attachments, pod: string, now: number): Attachments {
  const others = waitingPods(attachments, now).filter(waiting => waiting.pod !== pod)
  return { ...attachments, waiting: [...others, { pod, at: now }] }
}

export function withoutWaiting(attachments: Attachments, pod: string): Attachments {
  if (!attachments.waiting.some(waiting => waiting.pod === pod)) return attachments
  return { ...attachments, waiting: attachments.waiting.filter(waiting => waiting.pod !== pod) }
}

/** Those that asked of late. */
export function waitingPods({ waiting }: Attachments, now: number): readonly WaitingPod[] {
  return waiting.filter(({ at }) => at > now - WAITING_MILLISECONDS && at <= now + WAITING_MILLISECONDS)
}

export function takenAddresses(attachments: Attachments): ReadonlySet<string> {
  return new Set(attachments.records.flatMap(record => record.addresses))
}

/** Of how many pods these are: one may have several interfaces. */
export function podsOf(attachments: Attachments): number {
  return new Set(attachments.records.map(({ containerId }) => containerId)).size
}

export function isSame(a: Attachment, b: Attachment): boolean {
  return a.containerId === b.containerId && a.interfaceName === b.interfaceName
}

export function formatAttachments(attachments: Attachments): string {
  const lines = attachments.records.map(record => `    ${JSON.stringify(record)}`)
  const records = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`
  const { last, freed, waiting } = attachments
  const more = { ...(freed.length > 0 && { freed }), ...(waiting.length > 0 && { waiting }) }
  const rest = Object.entries(more).map(([key, value]) => `  "${key}": ${JSON.stringify(value)},\n`)
  return `{\n  "format": ${FORMAT},\n  "last": ${JSON.stringify(last)},\n${rest.join('')}  "records": ${records}\n}\n`
}

/** Throws when `text` is not what `formatAttachments` writes. */
export function parseAttachments(text: string): Attachments {
  const json: unknown = JSON.parse(text)
  if (!isObject(json) || json.format !== FORMAT) throw new Error(`not attachments of format ${FORMAT}`)
  if (!Array.isArray(json.records) || !isObject(json.last)) throw new Error('"records" or "last" is missing')
  return {
    last: parseLast(json.last),
    records: json.records.map(parseRecord),
    freed: (stringList(json.freed) ?? []).map(parseAddressText),
    waiting: Array.isArray(json.waiting) ? json.waiting.flatMap(parseWaiting) : [],
  }
}

/** One that cannot be read is forgotten: it asks again. */
function parseWaiting(json: unknown): WaitingPod[] {
  if (!isObject(json) || typeof json.pod !== 'string' || typeof json.at !== 'number') return []
  return [{ pod: json.pod, at: json.at }]
}

function parseLast(json: JsonObject): LastGiven {
  const last: Partial<Record<Family, string>> = {}
  for (const family of FAMILIES) {
    const address = json[family]
    if (address === undefined) continue
    last[family] = parseAddressText(address)
  }
  return last
}

function parseRecord(json: unknown): AttachmentRecord {
  if (!isObject(json)) throw new Error('a record is not an object')
  const addresses = stringList(json.addresses)
  if (addresses === undefined) throw new Error('a record has no addresses')
  const eni = isObject(json.interface) ? json.interface : undefined
  const pod = isObject(json.pod) ? { namespace: text(json.pod, 'namespace'), name: text(json.pod, 'name') } : undefined
  return present<AttachmentRecord>({
    attempt: text(json, 'attempt'),
    network: text(json, 'network'),
    containerId: text(json, 'containerId'),
    interfaceName: text(json, 'interfaceName'),
    addresses: addresses.map(parseAddressText),
    hostInterface: text(json, 'hostInterface'),
    namespacePath: text(json, 'namespacePath'),
    bootId: text(json, 'bootId'),
    pod,
    interface: eni && { id: text(eni, 'id'), mac: text(eni, 'mac') },
  })
}

function parseAddressText(value: unknown): string {
  const address = typeof value === 'string' ? canonicalAddress(value) : undefined
  if (address === undefined) throw new Error(`${JSON.stringify(value)} is not an address`)
  return address
}

function text(json: JsonObject, key: string): string {
  const value = json[key]
  if (typeof value !== 'string') throw new Error(`a record has no ${key}`)
  return value
}
