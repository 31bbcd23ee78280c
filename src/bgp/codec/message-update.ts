/**
 * The UPDATE message: RFC 4271 sections 4.3 and 6.3 with the revised error handling of RFC 7606,
 * RFC 4760, and End-of-RIB (RFC 4724 section 2).
 *
 * Takes bodies without the header. Semantic checks that need the network (is the next hop on-link?)
 * are not made: we import nothing. Pure.
 */
import { Reader, type Writer } from '../../lib/bytes.ts'
import { type Family, formatAddress } from '../../lib/ip.ts'
import { mergeAs4 } from './attributes-as-path.ts'
import { type DecodedAttributes, decodeAttributes, encodeAttributes } from './attributes-loop.ts'
import { isUnicast } from './attributes-mp.ts'
import { type Finding, strongest, updateError } from './errors.ts'
import type { CodecContext, Decoded, PathAttributes, Update } from './message-types.ts'
import { decodeNlri, noNlri } from './nlri.ts'
import type { Nlri } from './nlri-types.ts'
import { AttributeType, UpdateError } from './registry.ts'

/** Reasons beyond these would only repeat what a broken peer does wrong. */
const MAX_REASONS = 8

export function encodeUpdate(writer: Writer, update: Update, context: CodecContext): void {
  const attributes = encodeAttributes(update.attributes, context)
  writer.u16(update.withdrawn.bytes.length).put(update.withdrawn.bytes)
  writer.u16(attributes.length).put(attributes).put(update.nlri.bytes)
}

export function decodeUpdate(body: Uint8Array, context: CodecContext): Decoded {
  const fields = splitFields(body)
  if (typeof fields === 'string') {
    return resetBy(`RFC 4271 section 6.3: ${fields}`, UpdateError.MalformedAttributeList)
  }
  const withdrawn = decodeNlri('ipv4', fields.withdrawn, context.addPath)
  const nlri = decodeNlri('ipv4', fields.nlri, context.addPath)
  if (typeof withdrawn === 'string') {
    return resetBy(`RFC 7606 section 5.3: ${withdrawn} in Withdrawn Routes`, UpdateError.InvalidNetworkField)
  }
  if (typeof nlri === 'string') {
    return resetBy(`RFC 7606 section 5.3: ${nlri} in NLRI`, UpdateError.InvalidNetworkField)
  }
  const { attributes, seen, findings } = withoutIdleNextHop(decodeAttributes(fields.attributes, context), nlri)
  const merged = context.fourOctetAs || context.keepAs4 ? attributes : mergeAs4(attributes)
  const update = withNegotiatedFamilies({ type: 'UPDATE', withdrawn, attributes: merged, nlri }, context)
  const reachable = nlri.count > 0 || (attributes.MP_REACH_NLRI?.nlri.count ?? 0) > 0
  const all = [
    ...findings,
    ...missing({ reachable, nlri, seen, context }),
    ...badNextHop(attributes),
    ...ignored({ withdrawn, nlri, context }),
  ]
  return conclude(update, escalated(all, reachable))
}

/**
 * RFC 4760 section 3: NEXT_HOP beside MP_REACH_NLRI and no prefix of its own is ignored, whatever
 * is wrong with it.
 */
function withoutIdleNextHop(decoded: DecodedAttributes, nlri: Nlri): DecodedAttributes {
  const { seen } = decoded
  if (nlri.count > 0 || !seen.has(AttributeType.NEXT_HOP) || !seen.has(AttributeType.MP_REACH_NLRI)) return decoded
  const { NEXT_HOP: _ignored, ...attributes } = decoded.attributes
  return {
    seen,
    attributes,
    findings: decoded.findings.filter(({ attribute }) => attribute !== AttributeType.NEXT_HOP),
  }
}

function splitFields(body: Uint8Array): { withdrawn: Uint8Array; attributes: Uint8Array; nlri: Uint8Array } | string {
  const reader = new Reader(body)
  const withdrawnLength = reader.u16()
  if (withdrawnLength + 2 > reader.left) return 'Withdrawn Routes Length is too large'
  const withdrawn = reader.slice(withdrawnLength)
  const attributesLength = reader.u16()
  if (attributesLength > reader.left) return 'Total Path Attribute Length is too large'
  return { withdrawn, attributes: reader.slice(attributesLength), nlri: reader.rest() }
}

function resetBy(reason: string, subcode: number): Decoded {
  return { outcome: 'session-reset', reason, notification: updateError(subcode) }
}

/**
 * RFC 7606 section 3 d): well-known mandatory attributes; NEXT_HOP only with the NLRI field (RFC
 * 4760 section 3).
 */
function missing(update: {
  reachable: boolean
  nlri: Nlri
  seen: ReadonlySet<number>
  context: CodecContext
}): Finding[] {
  if (!update.reachable) return []
  const mandatory: (keyof typeof AttributeType)[] = ['ORIGIN', 'AS_PATH']
  if (update.nlri.count > 0) mandatory.push('NEXT_HOP')
  if (update.context.ibgp) mandatory.push('LOCAL_PREF')
  const absent = mandatory.filter(name => !update.seen.has(AttributeType[name]))
  return absent.map(name => ({
    outcome: 'treat-as-withdraw',
    reason: `RFC 7606 section 3 d: ${name} is missing`,
    notification: updateError(UpdateError.MissingWellKnownAttribute, Uint8Array.of(AttributeType[name])),
  }))
}

/**
 * RFC 4271 section 6.3 for NEXT_HOP, here for the next hop of MP_REACH_NLRI: no router has such an
 * address.
 */
function badNextHop({ MP_REACH_NLRI: reach }: PathAttributes): Finding[] {
  if (reach === undefined || isUnicast(reach.nextHop)) return []
  const reason = `RFC 4760 section 3: ${formatAddress(reach.nextHop.subarray(0, 16))} as next hop in MP_REACH_NLRI`
  return [{ outcome: 'treat-as-withdraw', reason, notification: updateError(UpdateError.OptionalAttributeError) }]
}

/**
 * The plain fields carry IPv4 unicast, which a session of IPv6 alone did not agree on (RFC 4760
 * section 8).
 */
function ignored({ withdrawn, nlri, context }: { withdrawn: Nlri; nlri: Nlri; context: CodecContext }): Finding[] {
  if (context.families.includes('ipv4') || withdrawn.count + nlri.count === 0) return []
  const reason = 'RFC 4760 section 8: IPv4 prefixes, which are not negotiated'
  return [{ outcome: 'attribute-discard', reason, notification: updateError(UpdateError.OptionalAttributeError) }]
}

function withNegotiatedFamilies(update: Update, context: CodecContext): Update {
  if (context.families.includes('ipv4')) return update
  return { ...update, withdrawn: noNlri('ipv4'), nlri: noNlri('ipv4') }
}

/**
 * RFC 7606 section 5.2: with attributes but no reachable prefix in sight, the prefixes may be where
 * the error is, so what would be treat-as-withdraw has to be a reset.
 */
function escalated(findings: readonly Finding[], reachable: boolean): readonly Finding[] {
  if (reachable) return findings
  return findings.map(finding => {
    if (finding.outcome !== 'treat-as-withdraw') return finding
    const reason = `RFC 7606 section 5.2: no reachable prefix beside this: ${finding.reason}`
    return { ...finding, outcome: 'session-reset', reason }
  })
}

function conclude(update: Update, findings: readonly Finding[]): Decoded {
  const worst = strongest(findings)
  if (worst === undefined) return { outcome: 'ok', message: update }
  const relevant = findings.filter(finding => finding.outcome === worst.outcome).map(({ reason }) => reason)
  const reason = relevant.slice(0, MAX_REASONS).join('; ')
  if (worst.outcome !== 'session-reset') return { outcome: worst.outcome, message: update, reason }
  return { outcome: 'session-reset', message: update, reason, notification: worst.notification }
}

/**
 * What a treat-as-withdraw UPDATE comes to: the same prefixes, all withdrawn (RFC 7606 section 2).
 */
export function asWithdrawal(update: Update): Update {
  const blocks = [
    update.withdrawn,
    update.nlri,
    update.attributes.MP_UNREACH_NLRI,
    update.attributes.MP_REACH_NLRI?.nlri,
  ]
  const ofFamily = (family: Family) =>
    joinNlri(
      family,
      blocks.filter(block => block?.family === family),
    )
  const ipv6 = ofFamily('ipv6')
  const attributes: PathAttributes = ipv6.count === 0 ? {} : { MP_UNREACH_NLRI: ipv6 }
  return { type: 'UPDATE', withdrawn: ofFamily('ipv4'), attributes, nlri: noNlri('ipv4') }
}

function joinNlri(family: Family, blocks: readonly (Nlri | undefined)[]): Nlri {
  const present = blocks.filter(block => block !== undefined)
  const count = present.reduce((sum, block) => sum + block.count, 0)
  if (count === 0) return noNlri(family)
  return { family, bytes: Buffer.concat(present.map(block => block.bytes)), count }
}

/**
 * The family whose End-of-RIB this is. Only of a message without findings: one whose foreign
 * MP_UNREACH_NLRI was discarded is none.
 */
export function endOfRibFamily(decoded: Decoded): Family | undefined {
  if (decoded.outcome !== 'ok' || decoded.message.type !== 'UPDATE') return undefined
  const { withdrawn, attributes, nlri } = decoded.message
  if (withdrawn.count + nlri.count > 0) return undefined
  const names = Object.keys(attributes)
  if (names.length === 0) return 'ipv4'
  const unreach = attributes.MP_UNREACH_NLRI
  return names.length === 1 && unreach?.count === 0 ? unreach.family : undefined
}
