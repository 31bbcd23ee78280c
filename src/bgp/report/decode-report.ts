/**
 * One BGP message as an object for people and programs to read: what `terway-edge bgp decode`
 * prints per line. Field names are those of the RFCs in camel case, attributes have their own
 * names; octets are hexadecimal, prefixes and addresses text.
 *
 * Pure: reads no file and prints nothing.
 */
import { assertNever } from '../../lib/assert.ts'
import { Reader, toHex } from '../../lib/bytes.ts'
import { formatAddress } from '../../lib/ip.ts'
import { mergeAs4 } from '../codec/attributes-as-path.ts'
import { capabilityCode } from '../codec/capabilities.ts'
import { communityName } from '../codec/communities.ts'
import { describeNotification, hardResetReason, shutdownText } from '../codec/errors.ts'
import { decodeHeader, decodeMessage, HEADER_LENGTH } from '../codec/message.ts'
import type {
  Capability,
  Decoded,
  Message,
  Notification,
  PathAttributes,
  UnknownAttribute,
} from '../codec/message-types.ts'
import { addressFamilyOf, pathIdentifiersOf, prefixTexts } from '../codec/nlri.ts'
import type { Nlri } from '../codec/nlri-types.ts'
import { MessageTypeCode, nameOf, OtherAttributeType, OtherCapabilityCode, Role } from '../codec/registry.ts'
import { rejectedAttributes } from './rejected-attributes.ts'
import { addPathTuples, type ReportContext } from './report-options.ts'

/** A JSON object. */
export type Report = Readonly<Record<string, unknown>>

/**
 * For a line that holds no message: no octets, no NOTIFICATION, but an outcome like every other
 * line.
 */
export function reportNoMessage(line: 'not-hex' | 'too-long'): Report {
  const why = line === 'not-hex' ? 'the line is not hexadecimal octets' : 'the line is longer than any message'
  return { type: null, length: 0, outcome: 'session-reset', reason: `not a message: ${why}` }
}

/** One message with its header. */
export function reportMessage(bytes: Uint8Array, context: ReportContext): Report {
  return filterReport(bytes, context) ?? reportDecoded(bytes, decodeMessage(bytes, context), context)
}

/** `decoded` must be what `decodeMessage` made of `bytes` in this context. */
export function reportDecoded(bytes: Uint8Array, decoded: Decoded, context: ReportContext): Report {
  return {
    ...headerReport(bytes),
    ...(decoded.message === undefined ? undecodedReport(bytes) : messageReport(decoded.message)),
    ...(decoded.outcome === 'ok' ? {} : rejectedReport(bytes, decoded, context)),
    outcome: decoded.outcome,
    ...(decoded.outcome === 'ok' ? {} : { reason: decoded.reason }),
    ...(decoded.outcome === 'session-reset' ? { notification: notificationReport(decoded.notification) } : {}),
    ...(decoded.outcome === 'session-reset' ? { notificationText: describeNotification(decoded.notification) } : {}),
  }
}

/** What could not be read at all, as it is. */
function undecodedReport(bytes: Uint8Array): Report {
  return bytes.length === 0 ? {} : { octets: toHex(bytes) }
}

function rejectedReport(bytes: Uint8Array, { message }: Decoded, context: ReportContext): Report {
  if (message?.type !== 'UPDATE') return {}
  const rejected = rejectedAttributes(bytes.subarray(HEADER_LENGTH), message.attributes, context)
  return rejected.length === 0 ? {} : { rejected }
}

/** A ROUTE-REFRESH with Outbound Route Filters (RFC 5291 section 5), where they may come. */
function filterReport(bytes: Uint8Array, { orf, extendedMessages }: ReportContext): Report | undefined {
  if (!orf || bytes.length <= HEADER_LENGTH + 5 || bytes[HEADER_LENGTH - 1] !== MessageTypeCode['ROUTE-REFRESH'])
    return undefined
  const header = decodeHeader(bytes, extendedMessages)
  if ('notification' in header || header.length !== bytes.length) return undefined
  const reader = new Reader(bytes.subarray(HEADER_LENGTH))
  const message = { afi: reader.u16(), subtype: reader.u8(), safi: reader.u8() }
  const whenToRefresh = reader.u8()
  const filters: Report[] = []
  while (reader.left >= 3) {
    const type = reader.u8()
    filters.push({ type, entries: toHex(reader.slice(Math.min(reader.u16(), reader.left))) })
  }
  const when = nameOf(WhenToRefresh, whenToRefresh) ?? null
  return { ...headerReport(bytes), ...message, whenToRefresh, whenToRefreshName: when, filters, outcome: 'ok' }
}

/** RFC 5291 section 5. */
const WhenToRefresh = { IMMEDIATE: 1, DEFER: 2 } as const

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
        ...prefixesReport('withdrawn', withdrawn),
        attributes: attributesReport(attributes),
        ...prefixesReport('nlri', nlri),
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
    const tuples = addPathTuples(capability)
    if (tuples !== undefined) shown.tuples = tuples
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
      : { MP_UNREACH_NLRI: { ...addressFamilyOf(unreach.family), ...prefixesReport('withdrawn', unreach) } }),
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
    ...prefixesReport('nlri', nlri),
  }
}

/**
 * The prefixes, and where there are such the Path Identifier of each (RFC 7911 section 3) beside
 * them.
 */
function prefixesReport(field: 'withdrawn' | 'nlri', nlri: Nlri): Report {
  const pathIdentifiers = pathIdentifiersOf(nlri)
  return {
    [field]: prefixTexts(nlri),
    ...(pathIdentifiers === undefined ? {} : { [`${field}PathIdentifiers`]: pathIdentifiers }),
  }
}

/**
 * What AS_PATH and AGGREGATOR mean together with the AS4 attributes (RFC 6793 section 4.2.3), when
 * there are such.
 */
function mergedReport(attributes: PathAttributes): Report | undefined {
  if (attributes.AS4_PATH === undefined && attributes.AS4_AGGREGATOR === undefined) return undefined
  const { AS_PATH, AGGREGATOR } = mergeAs4(attributes)
  return { ...(AS_PATH && { AS_PATH }), ...(AGGREGATOR && { AGGREGATOR }) }
}
