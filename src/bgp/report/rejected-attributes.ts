/**
 * The path attributes of an UPDATE that the codec did not take: malformed, repeated, not for this
 * peer. The codec says why; here they are shown as they lie in the message, so that a reader sees
 * what was sent. Pure.
 */
import { Reader, toHex } from '../../lib/bytes.ts'
import { decodeSegments } from '../codec/attributes-as-path.ts'
import type { CodecContext, PathAttributes } from '../codec/message-types.ts'
import { AttributeFlag, AttributeType, nameOf } from '../codec/registry.ts'

export interface RejectedAttribute {
  readonly name?: string
  readonly type: number
  readonly flags: number
  /** Hexadecimal. */
  readonly value: string
  /** Of an AS_PATH or AS4_PATH whose structure is right. */
  readonly segments?: readonly unknown[]
  /** Its length says that it ends behind the attributes; `value` is what is there. */
  readonly cut?: true
}

/** `body` is an UPDATE without its header, of which `attributes` were taken. */
export function rejectedAttributes(
  body: Uint8Array,
  attributes: PathAttributes,
  context: CodecContext,
): RejectedAttribute[] {
  const seen = new Set<number>()
  const rejected: RejectedAttribute[] = []
  for (const raw of rawAttributes(body)) {
    const name = nameOf(AttributeType, raw.type)
    const taken =
      (name !== undefined && name in attributes) || attributes.unknown?.some(({ type }) => type === raw.type) === true
    if (!taken || seen.has(raw.type) || raw.cut) rejected.push(shown(raw, name, context))
    seen.add(raw.type)
  }
  return rejected
}

interface RawAttribute {
  readonly flags: number
  readonly type: number
  readonly value: Uint8Array
  readonly cut: boolean
}

function shown({ flags, type, value, cut }: RawAttribute, name: string | undefined, context: CodecContext) {
  const octets = type === AttributeType.AS4_PATH || context.fourOctetAs ? 4 : 2
  const isPath = type === AttributeType.AS_PATH || type === AttributeType.AS4_PATH
  const segments = isPath && !cut ? decodeSegments(value, octets) : undefined
  return {
    ...(name !== undefined && { name }),
    type,
    flags,
    value: toHex(value),
    ...(typeof segments === 'object' && { segments }),
    ...(cut && { cut }),
  }
}

function* rawAttributes(body: Uint8Array): Generator<RawAttribute> {
  const reader = attributesOf(body)
  while (reader !== undefined && reader.left >= 3) {
    const flags = reader.u8()
    const type = reader.u8()
    const extended = (flags & AttributeFlag.extendedLength) !== 0
    if (extended && reader.left < 2) return
    const length = extended ? reader.u16() : reader.u8()
    const cut = length > reader.left
    yield { flags, type, value: reader.slice(Math.min(length, reader.left)), cut }
  }
}

/** RFC 4271 section 4.3; undefined when the fields do not fit in each other. */
function attributesOf(body: Uint8Array): Reader | undefined {
  const reader = new Reader(body)
  if (reader.left < 2) return undefined
  const withdrawn = reader.u16()
  if (withdrawn + 2 > reader.left) return undefined
  reader.slice(withdrawn)
  const length = reader.u16()
  return length > reader.left ? undefined : reader.sub(length)
}
