/**
 * Errors as BGP has them: values, never exceptions. NOTIFICATION messages with their data and their
 * text for people (RFC 4271 section 6, 4486, 6608, 7313, 8538, 9003, 9384, 9687), and what RFC 7606
 * makes of a malformed UPDATE.
 *
 * Does not decide when to send one: that is the session's business. Pure.
 */
import { toHex } from '../../lib/bytes.ts'
import { jsonText } from '../../lib/json-text.ts'
import type { Notification, Outcome } from './message-types.ts'
import { Cease, ERROR_NAMES, ErrorCode, UpdateError } from './registry.ts'

const NO_DATA = new Uint8Array(0)
/**
 * RFC 9003 section 3: no longer towards a peer of which nobody knows that it knows more than RFC
 * 8203.
 */
const MAX_SHUTDOWN_OCTETS = 128

export function notification(code: number, subcode = 0, data: Uint8Array = NO_DATA): Notification {
  return { type: 'NOTIFICATION', code, subcode, data }
}

/** A Cease (RFC 4486); with a text only for Administrative Shutdown and Reset (RFC 9003). */
export function cease(subcode: number, text = ''): Notification {
  const carriesText = subcode === Cease.AdministrativeShutdown || subcode === Cease.AdministrativeReset
  return notification(ErrorCode.Cease, subcode, carriesText ? shutdownCommunication(text) : NO_DATA)
}

/**
 * RFC 8538 section 3.1: a Hard Reset around the NOTIFICATION that is the reason, so that the peer
 * keeps no routes.
 */
export function hardReset(inner: Notification): Notification {
  const data = new Uint8Array(2 + inner.data.length)
  data.set([inner.code, inner.subcode])
  data.set(inner.data, 2)
  return notification(ErrorCode.Cease, Cease.HardReset, data)
}

/**
 * The NOTIFICATION inside a Hard Reset (RFC 8538 section 3.1), if `outer` is one and holds one.
 * Some leave its code and subcode out and put only its data there: an upper bound of prefixes says
 * by itself what the reason was, a text is `hardResetText`.
 */
export function hardResetReason(outer: Notification): Notification | undefined {
  const { data } = outer
  const [code, subcode] = data
  if (outer.code !== ErrorCode.Cease || outer.subcode !== Cease.HardReset) return undefined
  if (code === undefined || subcode === undefined) return undefined
  const bound = notification(ErrorCode.Cease, Cease.MaximumPrefixesReached, data)
  if (code === 0 && maximumPrefixes(bound) !== undefined) return bound
  return ERROR_NAMES[code] === undefined || barelyText(data) !== undefined
    ? undefined
    : notification(code, subcode, data.subarray(2))
}

/**
 * The text that stands in a Hard Reset where a NOTIFICATION should, with or without the length
 * octet of RFC 9003.
 */
function hardResetText(outer: Notification): string | undefined {
  if (outer.code !== ErrorCode.Cease || outer.subcode !== Cease.HardReset) return undefined
  if (hardResetReason(outer) !== undefined) return undefined
  return barelyText(outer.data) ?? plainText(outer.data)
}

/** RFC 9003 section 2, and nothing before or behind it. */
function barelyText(data: Uint8Array): string | undefined {
  const length = data[0] ?? 0
  return length > 0 && data.length === length + 1 ? plainText(data.subarray(1)) : undefined
}

/** UTF-8 of a person: no control characters. */
function plainText(data: Uint8Array): string | undefined {
  if (data.length === 0) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
    return /[\p{Cc}\p{Cn}]/u.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** RFC 9003 section 2: a length octet and UTF-8, cut at a character so that it fits. */
export function shutdownCommunication(text: string): Uint8Array {
  const utf8 = new Uint8Array(MAX_SHUTDOWN_OCTETS)
  const { written } = new TextEncoder().encodeInto(text.toWellFormed(), utf8)
  return Uint8Array.of(written, ...utf8.subarray(0, written))
}

/** Whether it has a text, good or bad: data that is more than the length octet of none. */
function carriesText({ code, subcode, data }: Notification): boolean {
  const subcodes: readonly number[] = [Cease.AdministrativeShutdown, Cease.AdministrativeReset]
  return code === ErrorCode.Cease && subcodes.includes(subcode) && !(data.length === 1 && data[0] === 0)
}

/**
 * The text of an Administrative Shutdown or Reset; undefined when there is none or it is not as RFC
 * 9003 has it.
 */
export function shutdownText(message: Notification): string | undefined {
  const { code, subcode, data } = message
  if (code !== ErrorCode.Cease) return undefined
  if (subcode !== Cease.AdministrativeShutdown && subcode !== Cease.AdministrativeReset) return undefined
  const length = data[0] ?? 0
  if (length === 0 || data.length !== length + 1) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data.subarray(1))
  } catch {
    return undefined
  }
}

/**
 * The upper bound that a peer reports with Maximum Number of Prefixes Reached (RFC 4486 section 4).
 */
export function maximumPrefixes(message: Notification): { afi: number; safi: number; limit: number } | undefined {
  const { code, subcode, data } = message
  if (code !== ErrorCode.Cease || subcode !== Cease.MaximumPrefixesReached || data.length !== 7) return undefined
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return { afi: view.getUint16(0), safi: view.getUint8(2), limit: view.getUint32(3) }
}

/** `Cease / Administrative Shutdown`; numbers that nobody registered stay numbers. */
function errorName(code: number, subcode: number): string {
  const entry = ERROR_NAMES[code]
  if (entry === undefined) return `error code ${code} subcode ${subcode}`
  const name = entry.subcodes[subcode]
  if (name !== undefined) return `${entry.name} / ${name}`
  return subcode === 0 ? entry.name : `${entry.name} / subcode ${subcode}`
}

/**
 * One line for people: the names, and the data where it says something. The peer wrote the data, so
 * control characters in a shutdown message are escaped before they reach a terminal or a log.
 */
export function describeNotification(message: Notification): string {
  const name = errorName(message.code, message.subcode)
  const detail = notificationDetail(message)
  return detail === undefined ? name : `${name}: ${detail}`
}

function notificationDetail(message: Notification): string | undefined {
  const { code, subcode, data } = message
  if (data.length === 0) return undefined
  const text = shutdownText(message)
  if (text !== undefined) return jsonText(text)
  if (carriesText(message))
    return `a text that is not as RFC 9003 section 2 has it (${shutdownFault(data)}): data ${shownData(data)}`
  const limit = maximumPrefixes(message)
  if (limit !== undefined) return limitText(limit)
  const reason = hardResetReason(message)
  // One level: a Hard Reset inside a Hard Reset means nothing and could be nested a thousand times.
  if (reason !== undefined) return errorName(reason.code, reason.subcode) + innerText(reason)
  const bare = hardResetText(message)
  if (bare !== undefined) return jsonText(bare)
  if (code === ErrorCode.OpenMessage && subcode === 1 && data.length === 2) {
    return `the highest version it speaks is ${((data[0] ?? 0) << 8) | (data[1] ?? 0)}`
  }
  return `data ${shownData(data)}`
}

function shownData(data: Uint8Array): string {
  const shown = toHex(data.subarray(0, 64))
  return data.length > 64 ? `${shown}… (${data.length} octets)` : shown
}

/**
 * RFC 9003 section 4: what is wrong is said. A text of no octets is none, and nothing is wrong with
 * it.
 */
function shutdownFault(data: Uint8Array): string {
  const length = data[0] ?? 0
  return data.length === length + 1 ? 'invalid UTF-8' : `its length says ${length}, ${data.length - 1} octets follow`
}

function limitText({ afi, safi, limit }: { afi: number; safi: number; limit: number }): string {
  return `at most ${limit} prefixes of AFI ${afi} SAFI ${safi}`
}

function innerText(reason: Notification): string {
  const text = shutdownText(reason)
  if (text !== undefined) return `: ${jsonText(text)}`
  const limit = maximumPrefixes(reason)
  return limit === undefined ? '' : `: ${limitText(limit)}`
}

/**
 * What is wrong with an attribute: `reason` names the RFC, `subcode` is that of the NOTIFICATION if
 * it comes to a reset.
 */
export class Malformed {
  readonly subcode: number
  readonly reason: string
  /** Replaces the `whenMalformed` of the attribute's row. */
  readonly outcome: Exclude<Outcome, 'ok'> | undefined
  constructor(subcode: number, reason: string, outcome?: Exclude<Outcome, 'ok'>) {
    this.subcode = subcode
    this.reason = reason
    this.outcome = outcome
  }
}

/**
 * One finding about an UPDATE: what RFC 7606 asks for, and the NOTIFICATION in case it is, or
 * becomes, a session reset.
 */
export interface Finding {
  /** The type of the attribute that it is about, if it is about one. */
  readonly attribute?: number
  readonly outcome: Exclude<Outcome, 'ok'>
  readonly reason: string
  readonly notification: Notification
}

/**
 * An UPDATE Message Error with the octets that RFC 4271 section 6.3 wants in its data: for most the
 * whole attribute.
 */
export function updateError(subcode: number, attribute: Uint8Array = NO_DATA): Notification {
  const bare = BARE_SUBCODES.includes(subcode)
  return notification(ErrorCode.UpdateMessage, subcode, bare ? NO_DATA : attribute.slice())
}

const BARE_SUBCODES: readonly number[] = [
  UpdateError.MalformedAttributeList,
  UpdateError.InvalidNetworkField,
  UpdateError.MalformedAsPath,
]

const SEVERITY: readonly Outcome[] = ['ok', 'attribute-discard', 'treat-as-withdraw', 'session-reset']

/** RFC 7606 section 3 h): of several errors the strongest answer counts. */
export function strongest(findings: readonly Finding[]): Finding | undefined {
  let worst: Finding | undefined
  for (const finding of findings) {
    if (worst === undefined || SEVERITY.indexOf(finding.outcome) > SEVERITY.indexOf(worst.outcome)) worst = finding
  }
  return worst
}
