/**
 * Policy rules (struct fib_rule_hdr and FRA_* of <linux/fib_rules.h>) as values and as bytes: rules
 * that send packets to a table. Rules of other actions are read as what they match, with table 0.
 * Pure.
 */
import { addressBits, type Family, formatPrefix, prefixOf } from '../lib/ip.ts'
import { Attributes } from './attributes.ts'
import { FR_ACT_TO_TBL, FRA, NLM_F, RTM } from './constants.ts'
import { checkDecoded, type Request, request, structure } from './message.ts'
import { afOf, familyOfAf } from './route.ts'
import type { Rule } from './types.ts'

const FIB_RULE_HDR_LENGTH = 12

/** Adds a rule; EEXIST when there is the same one. */
export function addRule(rule: Rule): Request {
  return writeRule('add', RTM.NEWRULE, rule)
}

/** Deletes a rule; ENOENT when there is none. */
export function deleteRule(rule: Rule): Request {
  return writeRule('delete', RTM.DELRULE, rule)
}

export function dumpRulesRequest(): Request {
  return request({ text: 'dump rules', type: RTM.GETRULE, flags: NLM_F.DUMP }, encoder => {
    encoder.u8(0, 0, 0, 0, 0, 0, 0, 0).u32(0)
  })
}

/** The rule of an RTM_NEWRULE or RTM_DELRULE body; undefined for families that are not IP. */
export function decodeRule(body: Uint8Array): Rule | undefined {
  const header = structure('rule', body, FIB_RULE_HDR_LENGTH)
  const family = familyOfAf(header.getUint8(0))
  if (family === undefined) return undefined
  const attributes = new Attributes(body.subarray(FIB_RULE_HDR_LENGTH))
  const destination = prefixText(family, attributes.bytes(FRA.DST), header.getUint8(1))
  const source = prefixText(family, attributes.bytes(FRA.SRC), header.getUint8(2))
  const inputInterface = attributes.text(FRA.IIFNAME)
  const outputInterface = attributes.text(FRA.OIFNAME)
  const mark = attributes.u32(FRA.FWMARK)
  const markMask = attributes.u32(FRA.FWMASK)
  const rule: Rule = {
    family,
    priority: attributes.u32(FRA.PRIORITY) ?? 0,
    table: attributes.u32(FRA.TABLE) ?? header.getUint8(4),
    protocol: attributes.u8(FRA.PROTOCOL) ?? 0,
    ...(source !== undefined && { source }),
    ...(destination !== undefined && { destination }),
    ...(inputInterface !== undefined && { inputInterface }),
    ...(outputInterface !== undefined && { outputInterface }),
    ...(mark !== undefined && { mark }),
    ...(markMask !== undefined && { markMask }),
  }
  checkDecoded('rule', attributes)
  return rule
}

function prefixText(family: Family, bytes: Uint8Array | undefined, length: number): string | undefined {
  return bytes?.length === addressBits(family) / 8 ? formatPrefix({ bytes, length }) : undefined
}

function writeRule(verb: 'add' | 'delete', type: number, rule: Rule): Request {
  const text = `${verb} rule ${rule.priority} to table ${rule.table}`
  const flags = verb === 'add' ? NLM_F.CREATE | NLM_F.EXCL : 0
  const source = rule.source === undefined ? undefined : prefixOf(rule.source)
  const destination = rule.destination === undefined ? undefined : prefixOf(rule.destination)
  return request({ text, type, flags }, encoder => {
    encoder.u8(afOf(rule.family), destination?.length ?? 0, source?.length ?? 0, 0)
    encoder.u8(rule.table > 255 ? 0 : rule.table, 0, 0, FR_ACT_TO_TBL).u32(0)
    encoder.u32Attribute(FRA.PRIORITY, rule.priority).u32Attribute(FRA.TABLE, rule.table)
    encoder.u8Attribute(FRA.PROTOCOL, rule.protocol)
    if (destination !== undefined) encoder.bytesAttribute(FRA.DST, destination.bytes)
    if (source !== undefined) encoder.bytesAttribute(FRA.SRC, source.bytes)
    if (rule.inputInterface !== undefined) encoder.textAttribute(FRA.IIFNAME, rule.inputInterface)
    if (rule.outputInterface !== undefined) encoder.textAttribute(FRA.OIFNAME, rule.outputInterface)
    if (rule.mark !== undefined) encoder.u32Attribute(FRA.FWMARK, rule.mark)
    if (rule.markMask !== undefined) encoder.u32Attribute(FRA.FWMASK, rule.markMask)
  })
}
