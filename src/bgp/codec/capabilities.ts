/**
 * Capabilities of the OPEN message (RFC 5492), one row each, in the order of their codes. What is
 * not in the table is passed through as `unknown`: a peer may have more than we know.
 *
 * Which of them are offered, and what both sides agree on, is machine/negotiation.ts. Pure.
 */
import { Reader, Writer } from '../../lib/bytes.ts'
import type { Capability } from './message-types.ts'
import { CapabilityCode } from './registry.ts'

type Known = Exclude<Capability, { kind: 'unknown' }>
type KnownKind = Known['kind']
type ValueOf<Kind extends KnownKind> = Extract<Known, { kind: Kind }>

interface CapabilityRow<Kind extends KnownKind> {
  /** Whether a value can have this many octets. */
  readonly fits: (length: number) => boolean
  /** Reads as many octets as `fits` has allowed. */
  readonly decode: (reader: Reader) => ValueOf<Kind>
  readonly encode: (writer: Writer, capability: ValueOf<Kind>) => void
}

const FORWARDING = 0x80
const RESTARTED = 0x8000
const NOTIFICATION = 0x4000
const MAX_RESTART_TIME = 0x0fff

export const CAPABILITIES: { readonly [Kind in KnownKind]: CapabilityRow<Kind> } = {
  // RFC 4760 section 8
  multiprotocol: {
    fits: length => length === 4,
    decode(reader) {
      const afi = reader.u16()
      reader.u8() // reserved
      return { kind: 'multiprotocol', afi, safi: reader.u8() }
    },
    encode: (writer, { afi, safi }) => writer.u16(afi).u8(0).u8(safi),
  },
  // RFC 2918 section 2
  'route-refresh': {
    fits: length => length === 0,
    decode: () => ({ kind: 'route-refresh' }),
    encode: () => {},
  },
  // RFC 8950 section 4: the SAFI takes two octets here
  'extended-next-hop': {
    fits: length => length % 6 === 0,
    decode: reader => ({
      kind: 'extended-next-hop',
      tuples: repeat(reader, () => ({ afi: reader.u16(), safi: reader.u16(), nextHopAfi: reader.u16() })),
    }),
    encode(writer, { tuples }) {
      for (const { afi, safi, nextHopAfi } of tuples) writer.u16(afi).u16(safi).u16(nextHopAfi)
    },
  },
  // RFC 8654 section 3
  'extended-message': {
    fits: length => length === 0,
    decode: () => ({ kind: 'extended-message' }),
    encode: () => {},
  },
  // RFC 9234 section 4.1
  role: {
    fits: length => length === 1,
    decode: reader => ({ kind: 'role', role: reader.u8() }),
    encode: (writer, { role }) => writer.u8(role),
  },
  // RFC 4724 section 3, RFC 8538 section 2
  'graceful-restart': {
    fits: length => length >= 2 && (length - 2) % 4 === 0,
    decode(reader) {
      const word = reader.u16()
      const families = repeat(reader, () => ({
        afi: reader.u16(),
        safi: reader.u8(),
        forwarding: (reader.u8() & FORWARDING) !== 0,
      }))
      return {
        kind: 'graceful-restart',
        restarted: (word & RESTARTED) !== 0,
        notification: (word & NOTIFICATION) !== 0,
        restartTime: word & MAX_RESTART_TIME,
        families,
      }
    },
    encode(writer, { restarted, notification, restartTime, families }) {
      const flags = (restarted ? RESTARTED : 0) | (notification ? NOTIFICATION : 0)
      writer.u16(flags | Math.min(restartTime, MAX_RESTART_TIME))
      for (const { afi, safi, forwarding } of families)
        writer
          .u16(afi)
          .u8(safi)
          .u8(forwarding ? FORWARDING : 0)
    },
  },
  // RFC 6793 section 3
  'four-octet-as': {
    fits: length => length === 4,
    decode: reader => ({ kind: 'four-octet-as', asNumber: reader.u32() }),
    encode: (writer, { asNumber }) => writer.u32(asNumber),
  },
  // RFC 7313 section 3.1
  'enhanced-route-refresh': {
    fits: length => length === 0,
    decode: () => ({ kind: 'enhanced-route-refresh' }),
    encode: () => {},
  },
  // RFC 9494 section 3.1
  'long-lived-graceful-restart': {
    fits: length => length % 7 === 0,
    decode: reader => ({
      kind: 'long-lived-graceful-restart',
      families: repeat(reader, () => ({
        afi: reader.u16(),
        safi: reader.u8(),
        forwarding: (reader.u8() & FORWARDING) !== 0,
        staleTime: (reader.u8() << 16) | reader.u16(),
      })),
    }),
    encode(writer, { families }) {
      for (const { afi, safi, forwarding, staleTime } of families) {
        writer
          .u16(afi)
          .u8(safi)
          .u8(forwarding ? FORWARDING : 0)
          .u8(staleTime >> 16)
          .u16(staleTime & 0xffff)
      }
    },
  },
}

const KINDS = Object.keys(CAPABILITIES) as readonly KnownKind[]
const KIND_OF_CODE: ReadonlyMap<number, KnownKind> = new Map(KINDS.map(kind => [CapabilityCode[kind], kind]))

function repeat<Item>(reader: Reader, read: () => Item): Item[] {
  const items: Item[] = []
  while (reader.left > 0) items.push(read())
  return items
}

/** The capabilities of one Capabilities Optional Parameter, or what is wrong with them. */
export function decodeCapabilities(value: Uint8Array): Capability[] | string {
  const reader = new Reader(value)
  const capabilities: Capability[] = []
  while (reader.left > 0) {
    if (reader.left < 2) return 'one octet is left where a capability should start'
    const code = reader.u8()
    const length = reader.u8()
    if (length > reader.left) return `capability ${code} ends behind the optional parameter`
    const capability = decodeCapability(code, reader.slice(length))
    if (typeof capability === 'string') return capability
    capabilities.push(capability)
  }
  return capabilities
}

function decodeCapability(code: number, value: Uint8Array): Capability | string {
  const kind = KIND_OF_CODE.get(code)
  if (kind === undefined) return { kind: 'unknown', code, value }
  const row = CAPABILITIES[kind]
  if (!row.fits(value.length)) return `capability ${kind} of ${value.length} octets`
  return row.decode(new Reader(value))
}

/**
 * Appends code, length and value: also the data of an Unsupported Capability NOTIFICATION (RFC 5492
 * section 5).
 */
export function encodeCapability(writer: Writer, capability: Capability): void {
  const scratch = new Writer(32)
  if (capability.kind === 'unknown') scratch.put(capability.value)
  else encodeKnown(scratch, capability.kind, capability)
  if (scratch.length > 255) throw new RangeError(`capability ${capability.kind} has ${scratch.length} octets, 255 fit`)
  writer.u8(capabilityCode(capability)).u8(scratch.length).put(scratch.view())
}

function encodeKnown<Kind extends KnownKind>(writer: Writer, kind: Kind, capability: Known): void {
  const row: CapabilityRow<Kind> = CAPABILITIES[kind]
  row.encode(writer, capability as ValueOf<Kind>)
}

export function capabilityCode(capability: Capability): number {
  return capability.kind === 'unknown' ? capability.code : CapabilityCode[capability.kind]
}

/**
 * The first capability of a kind: RFC 5492 section 4 lets several instances mean one, those that
 * differ are the kind's own matter.
 */
export function findCapability<Kind extends Capability['kind']>(
  capabilities: readonly Capability[],
  kind: Kind,
): Extract<Capability, { kind: Kind }> | undefined {
  return capabilities.find((capability): capability is Extract<Capability, { kind: Kind }> => capability.kind === kind)
}
