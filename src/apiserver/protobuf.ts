/**
 * The one place where kubectl insists on protobuf: `kubectl create secret|configmap|namespace` send
 * their object in Kubernetes' protobuf envelope. Decodes those kinds to JSON, by the field numbers
 * of k8s.io/api/core/v1 and apimachinery's `generated.proto`. Pure.
 */
import { badRequest, type Failure, isFailure } from './failure.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

export const PROTOBUF_MEDIA_TYPE = 'application/vnd.kubernetes.protobuf'

/** `k8s` and a zero byte, before the envelope. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00]

type FieldType = 'text' | 'bytes' | 'number' | 'boolean' | 'text-list' | 'text-map' | 'bytes-map' | Message
interface Message {
  readonly [number: number]: readonly [name: string, type: FieldType]
}

const OBJECT_META: Message = {
  1: ['name', 'text'],
  2: ['generateName', 'text'],
  3: ['namespace', 'text'],
  5: ['uid', 'text'],
  6: ['resourceVersion', 'text'],
  11: ['labels', 'text-map'],
  12: ['annotations', 'text-map'],
  14: ['finalizers', 'text-list'],
}

const KINDS: Readonly<Record<string, Message>> = {
  Secret: {
    1: ['metadata', OBJECT_META],
    2: ['data', 'bytes-map'],
    3: ['type', 'text'],
    4: ['stringData', 'text-map'],
    5: ['immutable', 'boolean'],
  },
  ConfigMap: {
    1: ['metadata', OBJECT_META],
    2: ['data', 'text-map'],
    3: ['binaryData', 'bytes-map'],
    4: ['immutable', 'boolean'],
  },
  Namespace: { 1: ['metadata', OBJECT_META] },
}

const ENVELOPE: Message = {
  1: ['typeMeta', { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] }],
  2: ['raw', 'bytes'],
}

/** The object in a protobuf body. */
export function decodeProtobuf(body: Uint8Array): JsonObject | Failure {
  if (!MAGIC.every((byte, index) => body[index] === byte)) return badRequest('the body is not Kubernetes protobuf')
  const envelope = decodeMessage(body.subarray(MAGIC.length), ENVELOPE)
  if (isFailure(envelope)) return envelope
  const { typeMeta, raw } = envelope
  const type = isObject(typeMeta) ? typeMeta : {}
  const message = typeof type.kind === 'string' ? KINDS[type.kind] : undefined
  if (message === undefined || typeof raw !== 'string') {
    return badRequest(`the lab's API server reads ${String(type.kind)} as JSON only`)
  }
  const object = decodeMessage(Buffer.from(raw, 'base64'), message)
  return isFailure(object) ? object : { ...type, ...object }
}

interface Field {
  readonly number: number
  /** The varint, or the bytes of a length-delimited field. */
  readonly value: number | Uint8Array
}

/** The fields of a message in their order; undefined when the bytes are not one. */
function fieldsOf(bytes: Uint8Array): readonly Field[] | undefined {
  const fields: Field[] = []
  let offset = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[offset++]
      if (byte === undefined) return Number.NaN
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (offset < bytes.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    if (tag % 8 === 0) fields.push({ number, value: varint() })
    else if (tag % 8 === 2) {
      const length = varint()
      if (!(offset + length <= bytes.length)) return undefined
      fields.push({ number, value: bytes.subarray(offset, offset + length) })
      offset += length
    } else return undefined // fixed32 and fixed64 are used by no field here
  }
  return fields
}

function decodeMessage(bytes: Uint8Array, message: Message): JsonObject | Failure {
  const fields = fieldsOf(bytes)
  if (fields === undefined) return badRequest('the protobuf in the body is cut short')
  const object: Record<string, Json> = {}
  for (const { number, value } of fields) {
    const [name, type] = message[number] ?? []
    if (name === undefined || type === undefined) continue
    const decoded = decodeValue(value, type, object[name])
    if (isFailure(decoded)) return decoded
    if (decoded !== '') object[name] = decoded
  }
  return object
}

function decodeValue(value: number | Uint8Array, type: FieldType, before: Json | undefined): Json | Failure {
  if (typeof value === 'number') return type === 'boolean' ? value !== 0 : value
  if (typeof type === 'object') return decodeMessage(value, type)
  const text = Buffer.from(value).toString()
  if (type === 'bytes') return Buffer.from(value).toString('base64')
  if (type === 'text-list') return [...(Array.isArray(before) ? before : []), text]
  if (type !== 'text-map' && type !== 'bytes-map') return text
  const entry = decodeMessage(value, { 1: ['key', 'text'], 2: ['value', type === 'text-map' ? 'text' : 'bytes'] })
  if (isFailure(entry)) return entry
  const map = isObject(before) ? before : {}
  return { ...map, [typeof entry.key === 'string' ? entry.key : '']: entry.value ?? '' }
}
