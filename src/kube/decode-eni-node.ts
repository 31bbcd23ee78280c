/**
 * The door for ENINodes: what the API server sends to a typed value, canonical and complete, or to
 * problems with their paths. A spec that cannot be read makes the whole object unreadable; of the
 * status only the items that can be read are kept, each other named. eni-node-schema.ts has the
 * bounds. Pure.
 */

import type { Problem } from '../lib/errors.ts'
import { canonicalAddress } from '../lib/ip.ts'
import { CONDITION_STATUSES } from '../model/condition-status.ts'
import {
  type ENIInterface,
  type ENINode,
  type ENINodeReport,
  type ENINodeSpec,
  type ENINodeStatus,
  type ENIOperation,
  INTERFACE_STATES,
  IP_FAMILIES,
  OPERATION_ACTIONS,
  PLATFORMS,
} from './eni-node.ts'
import { LIMITS, POOL, REPORT } from './eni-node-schema.ts'
import type { Condition } from './resources.ts'
import { type Fields, isFields, SpecReader } from './spec-reader.ts'

export interface DecodedENINode {
  /** Undefined when the object is of no use. */
  readonly node: ENINode | undefined
  readonly problems: readonly Problem[]
}

/** Never throws. */
export function decodeENINode(object: unknown): DecodedENINode {
  const problems: Problem[] = []
  if (!isFields(object)) return { node: undefined, problems: [{ path: '', message: 'is not an object' }] }
  const metadata = new SpecReader(isFields(object.metadata) ? object.metadata : {}, 'metadata', problems)
  const name = metadata.required('name') ? metadata.text('name') : undefined
  const spec = decodeSpec(object.spec, problems)
  const status = decodeStatus(object.status, problems)
  if (name === undefined || spec === undefined) return { node: undefined, problems }
  return { node: { name, uid: metadata.text('uid') ?? '', spec, status }, problems }
}

function decodeSpec(value: unknown, problems: Problem[]): ENINodeSpec | undefined {
  const before = problems.length
  const reader = new SpecReader(isFields(value) ? value : {}, 'spec', problems)
  const platform = oneOf(reader, 'platform', PLATFORMS)
  const instanceID = requiredText(reader, 'instanceID')
  const regionID = requiredText(reader, 'regionID')
  const limits = reader.required('limits') ? reader.nested('limits') : undefined
  const limit = (field: keyof typeof LIMITS) => limits?.integer(field, LIMITS[field]) ?? 0
  const pool = reader.nested('pool')
  const amount = (field: keyof typeof POOL) => pool?.integer(field, POOL[field]) ?? 0
  const families = reader.texts('ipFamilies') ?? []
  const spec = {
    instanceType: reader.text('instanceType') ?? '',
    zoneID: reader.text('zoneID') ?? '',
    vSwitchIDs: reader.texts('vSwitchIDs') ?? [],
    securityGroupIDs: reader.texts('securityGroupIDs') ?? [],
    ipFamilies: IP_FAMILIES.filter(family => families.includes(family)),
    limits: { interfaces: limit('interfaces'), addressesPerInterface: limit('addressesPerInterface') },
    pool: { minIdle: amount('minIdle'), maxIdle: amount('maxIdle'), warmUp: amount('warmUp') },
  }
  if (spec.ipFamilies.length === 0) reader.problem('ipFamilies', 'must name IPv4, or IPv4 and IPv6')
  if (problems.length > before || platform === undefined || instanceID === undefined || regionID === undefined)
    return undefined
  return { platform, instanceID, regionID, ...spec }
}

function decodeStatus(value: unknown, problems: Problem[]): ENINodeStatus {
  const status = isFields(value) ? value : {}
  return {
    interfaces: items(status.interfaces, 'status.interfaces', problems, decodeInterface),
    operations: items(status.operations, 'status.operations', problems, decodeOperation),
    node: decodeReport(status.node, problems),
    conditions: items(status.conditions, 'status.conditions', problems, decodeCondition),
  }
}

/** Each item of a list through `decode`; those with problems are left out. */
function items<T>(
  value: unknown,
  path: string,
  problems: Problem[],
  decode: (reader: SpecReader, fields: Fields) => T | undefined,
): readonly T[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) {
    problems.push({ path, message: 'is not a list' })
    return []
  }
  return value.flatMap((item, index): T[] => {
    const own: Problem[] = []
    const fields = isFields(item) ? item : {}
    const decoded = decode(new SpecReader(fields, `${path}[${index}]`, own), fields)
    problems.push(...own)
    return decoded === undefined || own.length > 0 ? [] : [decoded]
  })
}

function decodeInterface(reader: SpecReader): ENIInterface | undefined {
  const id = requiredText(reader, 'id')
  const mac = requiredText(reader, 'mac')?.toLowerCase()
  if (mac !== undefined && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) reader.problem('mac', 'is not a MAC address')
  const state = oneOf(reader, 'state', INTERFACE_STATES)
  const releasing = addresses(reader, 'releasing')
  const left = new Set(releasing)
  if (id === undefined || mac === undefined || state === undefined) return undefined
  return {
    id,
    mac,
    vSwitchID: reader.text('vSwitchID') ?? '',
    state,
    gateways: addresses(reader, 'gateways'),
    // in both: it is leaving
    addresses: addresses(reader, 'addresses').filter(address => !left.has(address)),
    releasing,
  }
}

function decodeOperation(reader: SpecReader, fields: Fields): ENIOperation | undefined {
  const action = oneOf(reader, 'action', OPERATION_ACTIONS)
  const since = requiredText(reader, 'since')
  if (since !== undefined && Number.isNaN(Date.parse(since))) reader.problem('since', 'is not a time (RFC 3339)')
  const parameters: Record<string, string> = {}
  for (const [key, value] of Object.entries(isFields(fields.parameters) ? fields.parameters : {})) {
    if (typeof value === 'string') parameters[key] = value
    else reader.problem(`parameters.${key}`, 'must be a text')
  }
  if (action === undefined || since === undefined) return undefined
  return { action, parameters, token: reader.text('token') ?? '', since }
}

function decodeReport(value: unknown, problems: Problem[]): ENINodeReport | undefined {
  if (!isFields(value)) return undefined
  const own: Problem[] = []
  const reader = new SpecReader(value, 'status.node', own)
  const amount = (field: 'inUse' | 'waiting') => reader.integer(field, REPORT[field]) ?? 0
  const report = {
    inUse: amount('inUse'),
    waiting: amount('waiting'),
    released: addresses(reader, 'released'),
    idle: addresses(reader, 'idle'),
    left: reader.boolean('left') ?? false,
  }
  problems.push(...own)
  return own.length > 0 ? undefined : report
}

function decodeCondition(reader: SpecReader): Condition | undefined {
  const type = requiredText(reader, 'type')
  const status = oneOf(reader, 'status', CONDITION_STATUSES)
  if (type === undefined || status === undefined) return undefined
  return {
    type,
    status,
    reason: reader.text('reason') ?? '',
    message: reader.text('message') ?? '',
    lastTransitionTime: reader.text('lastTransitionTime') ?? '',
  }
}

function requiredText(reader: SpecReader, field: string): string | undefined {
  const text = reader.required(field) ? reader.text(field) : undefined
  return text === '' ? reader.problem(field, 'is empty') : text
}

function oneOf<const T extends string>(reader: SpecReader, field: string, allowed: readonly T[]): T | undefined {
  const text = requiredText(reader, field)
  if (text === undefined) return undefined
  return allowed.find(item => item === text) ?? reader.problem(field, `must be one of ${allowed.join(', ')}`)
}

/** The addresses of a list, canonical and without repeats. */
function addresses(reader: SpecReader, field: string): readonly string[] {
  const texts = reader.texts(field) ?? []
  const canonical = texts.flatMap((text, index) => {
    const address = canonicalAddress(text)
    if (address === undefined) reader.problem(`${field}[${index}]`, 'is not an IP address')
    return address === undefined ? [] : [address]
  })
  return [...new Set(canonical)]
}
