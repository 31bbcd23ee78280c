/**
 * What the node remembers of its pods: which container's interface has which addresses, and where the round robin stands. Values and
 * pure changes of them; `address-store.ts` keeps them on disk.
 *
 * The text is JSON that people may read. It is checked when it is read, for it outlives versions of this program.
 */
import { canonicalAddress, FAMILIES, type Family } from '../lib/ip.ts'
import type { LastGiven } from './address-pool.ts'
import { isObject, type JsonObject, stringList } from './json.ts'
import type { Attachment, PodName } from './protocol.ts'

export interface AttachmentRecord extends Attachment {
  /** Tells the attempt that made this record from a later one for the same container and interface. */
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
}

export interface Attachments {
  readonly last: LastGiven
  readonly records: readonly AttachmentRecord[]
}

export const NO_ATTACHMENTS: Attachments = { last: {}, records: [] }

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
  return { ...attachments, records: attachments.records.filter(record => record.attempt !== attempt) }
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
  return `{\n  "format": ${FORMAT},\n  "last": ${JSON.stringify(attachments.last)},\n  "records": ${records}\n}\n`
}

/** Throws when `text` is not what `formatAttachments` writes. */
export function parseAttachments(text: string): Attachments {
  const json: unknown = JSON.parse(text)
  if (!isObject(json) || json.format !== FORMAT) throw new Error(`not attachments of format ${FORMAT}`)
  if (!Array.isArray(json.records) || !isObject(json.last)) throw new Error('"records" or "last" is missing')
  return { last: parseLast(json.last), records: json.records.map(parseRecord) }
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
  const pod = isObject(json.pod) ? { namespace: text(json.pod, 'namespace'), name: text(json.pod, 'name') } : undefined
  return {
    attempt: text(json, 'attempt'),
    network: text(json, 'network'),
    containerId: text(json, 'containerId'),
    interfaceName: text(json, 'interfaceName'),
    addresses: addresses.map(parseAddressText),
    hostInterface: text(json, 'hostInterface'),
    namespacePath: text(json, 'namespacePath'),
    bootId: text(json, 'bootId'),
    ...(pod !== undefined && { pod }),
  }
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
