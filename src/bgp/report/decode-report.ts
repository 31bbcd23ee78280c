/**
 * One BGP message as an object for people and programs to read: what `terway-edge bgp decode` prints per line. Field names are those of the
 * RFCs in camel case, attributes have their own names; octets are hexadecimal, prefixes and addresses text.
 *
 * Pure: reads no file and prints nothing.
 */
import { assertNever } from '../../lib/assert.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { type Family, formatAddress } from '../../lib/ip.ts'
import { mergeAs4 } from '../codec/attributes-as-path.ts'
import { capabilityCode } from '../codec/capabilities.ts'
import { communityName } from '../codec/communities.ts'
import { describeNotification, hardResetReason, shutdownText } from '../codec/errors.ts'
import { decodeMessage, HEADER_LENGTH } from '../codec/message.ts'
import type {
  Capability,
  CodecContext,
  Decoded,
  Message,
  Notification,
  PathAttributes,
  UnknownAttribute,
} from '../codec/message-types.ts'
import { addressFamilyOf, prefixTexts } from '../codec/nlri.ts'
import type { Nlri } from '../codec/nlri-types.ts'
import { MessageTypeCode, nameOf, OtherAttributeType, OtherCapabilityCode, Role } from '../codec/registry.ts'

/** A JSON object. */
export type Report = Readonly<Record<string, unknown>>

export interface ReportOptions {
  readonly as2: boolean
  readonly ibgp: boolean
  readonly families: readonly Family[]
  readonly extendedMessages: boolean
}

export function reportContext(options: ReportOptions): CodecContext {
  const { as2, ibgp, families, extendedMessages } = options
  return { fourOctetAs: !as2, ibgp, families, extendedMessages, extendedNextHop: true, keepAs4: true }
}

/** What a line of text holds: nothing (empty, a comment), octets, or no hexadecimal at all. */
export type HexLine =
  | { readonly kind: 'empty' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'not-hex' }

/** Ignores spaces, colons and `0x`; `#` starts a comment. */
export function readHexLine(line: string): HexLine {
  const comment = line.indexOf('#')
  const digits = (comment < 0 ? line : line.slice(0, comment)).replace(/0x|[\s:]/gi, '')
  if (digits === '') return { kind: 'empty' }
  const bytes = fromHex(digits)
  return bytes === undefined ? { kind: 'not-hex' } : { kind: 'bytes', bytes }
}

/** For a line that is not hexadecimal: no octets, no NOTIFICATION, but an outcome like every other line. */
export function reportNotHex(): Report {
  return {
    type: null,
    length: 0,
    outcome: 'session-reset',
    reason: 'not a message: the line is not hexadecimal octets',
  }
}

export function reportMessage(bytes: Uint8Array, context: CodecContext): Report {
  return reportDecoded(bytes, decodeMessage(bytes, context))
}

/** `decoded` must be what `decodeMessage` made of `bytes` with `keepAs4`. */
export function reportDecoded(bytes: Uint8Array, decoded: Decoded): Report {
  return {
    ...headerReport(bytes),
    ...(decoded.message === undefined ? {} : messageReport(decoded.message)),
    outcome: decoded.outcome,
    ...(decoded.outcome === 'ok' ? {} : { reason: decoded.reason }),
    ...(decoded.outcome === 'session-reset' ? { notification: notificationReport(decoded.notification) } : {}),
    ...(decoded.outcome === 'session-reset' ? { notificationText: describeNotification(decoded.notification) } : {}),
  }
}

/** What the header says, as far as there is one; `length` is its length field. */
function headerReport(bytes: Uint8Array): Report {
  if (bytes.length < HEADER_LENGTH) return { type: null, length: bytes.length }
  const [high = 0, low = 0, code = 0] = bytes.subarray(16, HEADER_LENGTH)
  const type = nameOf(MessageTypeCode, code)
  return { type: type ?? null, length: (high << 8) | low, ...(type === undefined ? { typeCode: code } : {}) }
}

function messageReport(message: Message): Report {
  switch (message.type) {
    case 'OPEN': {
      const { version, asNumber, holdTime, bgpIdentifier, capabilities } = message
      return { version, asNumber, holdTime, bgpIdentifier, capabilities: capabilities.map(capabilityReport) }
    }
    case 'UPDATE': {
      const { withdrawn, attributes, nlri } = message
      const merged = mergedReport(attributes)
      return {
        withdrawn: prefixTexts(withdrawn),
        attributes: attributesReport(attributes),
        nlri: prefixTexts(nlri),
        ...(merged === undefined ? {} : { merged }),
      }
    }
    case 'NOTIFICATION':
      return receivedNotificationReport(message)
    case 'KEEPALIVE':
      return {}
    case 'ROUTE-REFRESH':
      return { afi: message.afi, subtype: message.subtype, safi: message.safi }
    default:
      return assertNever(message)
  }
}

function notificationReport({ code, subcode, data }: Notification): Report {
  return { code, subcode, data: toHex(data) }
}

function receivedNotificationReport(message: Notification): Report {
  const shutdownCommunication = shutdownText(message)
  const inner = hardResetReason(message)
  return {
    ...notificationReport(message),
    text: describeNotification(message),
    ...(shutdownCommunication === undefined ? {} : { shutdownCommunication }),
    ...(inner === undefined ? {} : { hardReset: notificationReport(inner) }),
  }
}

function capabilityReport(capability: Capability): Report {
  const { kind, ...fields } = capability
  const shown: Record<string, unknown> = { name: kind, code: capabilityCode(capability), ...fields }
  if (capability.kind === 'unknown') {
    shown.name = nameOf(OtherCapabilityCode, capability.code) ?? 'unknown'
    shown.value = toHex(capability.value)
  }
  if (capability.kind === 'role') shown.roleName = nameOf(Role, capability.role) ?? null
  return shown
}

function attributesReport(attributes: PathAttributes): Report {
  const { MP_REACH_NLRI: reach, MP_UNREACH_NLRI: unreach, unknown, ...plain } = attributes
  const names = plain.COMMUNITIES?.map(text => communityName(text) ?? text)
  const named = names?.some((name, index) => name !== plain.COMMUNITIES?.[index])
  return {
    ...plain,
    ...(named ? { COMMUNITIES_named: names } : {}),
    ...(reach === undefined ? {} : { MP_REACH_NLRI: reachReport(reach) }),
    ...(unreach === undefined
      ? {}
      : { MP_UNREACH_NLRI: { ...addressFamilyOf(unreach.family), withdrawn: prefixTexts(unreach) } }),
    ...(unknown === undefined ? {} : { unknown: unknown.map(unknownReport) }),
  }
}

function unknownReport({ type, flags, value }: UnknownAttribute): Report {
  const name = nameOf(OtherAttributeType, type)
  return { ...(name && { name }), type, flags, value: toHex(value) }
}

function reachReport({ nextHop, nlri }: { nextHop: Uint8Array; nlri: Nlri }): Report {
  const withLinkLocal = nextHop.length === 32
  return {
    ...addressFamilyOf(nlri.family),
    nextHop: formatAddress(withLinkLocal ? nextHop.subarray(0, 16) : nextHop),
    ...(withLinkLocal ? { linkLocalNextHop: formatAddress(nextHop.subarray(16)) } : {}),
    nlri: prefixTexts(nlri),
  }
}

/** What AS_PATH and AGGREGATOR mean together with the AS4 attributes (RFC 6793 section 4.2.3), when there are such. */
function mergedReport(attributes: PathAttributes): Report | undefined {
  if (attributes.AS4_PATH === undefined && attributes.AS4_AGGREGATOR === undefined) return undefined
  const { AS_PATH, AGGREGATOR } = mergeAs4(attributes)
  return { ...(AS_PATH && { AS_PATH }), ...(AGGREGATOR && { AGGREGATOR }) }
}
