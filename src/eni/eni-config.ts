/**
 * The ConfigMap eni-config of an existing cluster, and a node's overrides of it (RFC 7396), as
 * terway reads them: pool sizes, vSwitches by zone, security groups. Keys for what is not done here
 * are named once each, unknown ones too; a key in it is refused. Pure.
 */

import { isFields, SpecReader } from '../kube/spec-reader.ts'
import type { Problem } from '../lib/errors.ts'
import { SELECTION_POLICIES, type SelectionPolicy } from './vswitch.ts'

export interface EniConfig {
  /** Pod vSwitches by zone. */
  readonly vSwitches: Readonly<Record<string, readonly string[]>>
  readonly securityGroupIDs: readonly string[]
  readonly minIdle: number
  readonly maxIdle: number
  readonly warmUp: number
  /** Undefined: idle addresses below `maxIdle` stay. */
  readonly reclaim:
    | {
        readonly afterMilliseconds: number
        readonly everyMilliseconds: number
        readonly batch: number
        readonly jitter: number
      }
    | undefined
  readonly maxInterfaces: number | undefined
  readonly capRatio: number
  readonly capShift: number
  readonly selection: SelectionPolicy
  readonly dualStack: boolean
  /** Calls a minute by action. */
  readonly rateLimit: Readonly<Record<string, number>>
  readonly resourceGroupID: string | undefined
  readonly tags: Readonly<Record<string, string>>
}

export interface DecodedEniConfig {
  readonly config: EniConfig | undefined
  /** Why it cannot be used. */
  readonly problems: readonly Problem[]
  /** What of it is not done here. */
  readonly warnings: readonly Problem[]
}

/** Keys that say something this project does not do, and what it does instead. */
const NOT_DONE: Readonly<Record<string, string>> = {
  enable_eni_trunking: 'trunk and member interfaces are not used',
  enable_erdma: 'ERDMA is not used',
  enable_ip_prefix: 'prefixes are not assigned, single addresses are',
  ipv4_prefix_count: 'prefixes are not assigned, single addresses are',
  ipv6_prefix_count: 'prefixes are not assigned, single addresses are',
  eni_selection_policy: 'the interface that is fullest is filled first, always',
  min_eni: 'interfaces are made when addresses are needed',
  extra_routes: 'pods get no further routes',
  eni_tag_filter: 'interfaces are known by the tags that they were made with',
  eni_tag_block_list: 'interfaces with the tag terway.alibabacloud.com/excluded=true are left alone',
  credential_path: 'credentials are named in the configuration of the controller',
}

/** Keys without a meaning here that say nothing to worry about. */
const IGNORED = new Set([
  'version',
  'region_id',
  'service_cidr',
  'ipam_type',
  'backoff_override',
  'disable_device_plugin',
  'kube_client_qps',
  'kube_client_burst',
  'enable_patch_pod_ips',
  'ip_pool_sync_period',
])

const KNOWN = new Set([
  ...['vswitches', 'security_group', 'security_groups', 'max_pool_size', 'min_pool_size', 'ip_warm_up_size'],
  ...[
    'idle_ip_reclaim_after',
    'idle_ip_reclaim_interval',
    'idle_ip_reclaim_batch_size',
    'idle_ip_reclaim_jitter_factor',
  ],
  ...['max_eni', 'eni_cap_ratio', 'eni_cap_shift', 'vswitch_selection_policy', 'ip_stack', 'rate_limit'],
  ...['resource_group_id', 'eni_tags'],
])

/**
 * `10-terway.conf` keys that mean nothing in this mode: the pods' configuration is the node's own.
 */
const CNI_NOT_DONE: Readonly<Record<string, string>> = {
  eniip_virtual_type: 'pods have veth pairs, always',
  capabilities: 'bandwidth is not limited',
  bandwidth_mode: 'bandwidth is not limited',
  enable_network_priority: 'there is no priority of pods',
  vlan_strip_type: 'no interface has a VLAN',
}

const MOST = 65_536

/**
 * Reads `eni_conf` and `10-terway.conf` of eni-config, and `eni_conf` of a node's override. Never
 * throws; `name` and `overrideName` are for the paths of problems.
 */
export function decodeEniConfig(
  data: Readonly<Record<string, string>>,
  override?: { readonly name: string; readonly data: Readonly<Record<string, string>> },
): DecodedEniConfig {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const base = parseObject(data.eni_conf, 'eni-config: eni_conf', problems)
  const patch =
    override === undefined ? {} : parseObject(override.data.eni_conf, `${override.name}: eni_conf`, problems)
  const merged = mergePatch(base, patch)
  for (const [key, value] of Object.entries(isFields(merged) ? merged : {})) {
    if (value === null || value === undefined) continue
    const path = `eni_conf.${key}`
    if (/^access_(key|secret)/.test(key)) {
      if (value !== '')
        problems.push({
          path,
          message:
            'keys do not belong into a ConfigMap: remove it, and name the credentials in the configuration of the controller (cloud.credentials)',
        })
    } else if (Object.hasOwn(NOT_DONE, key)) {
      if (value !== false && value !== '' && value !== 0)
        warnings.push({ path, message: `has no effect: ${NOT_DONE[key]}` })
    } else if (!KNOWN.has(key) && !IGNORED.has(key)) warnings.push({ path, message: 'is not known, and has no effect' })
  }
  const plugin =
    data['10-terway.conf'] === undefined
      ? {}
      : parseObject(data['10-terway.conf'], 'eni-config: 10-terway.conf', warnings)
  for (const [key, message] of Object.entries(CNI_NOT_DONE)) {
    const value = isFields(plugin) ? plugin[key] : undefined
    if (value !== undefined && value !== '' && value !== false && String(value).toLowerCase() !== 'veth')
      warnings.push({ path: `10-terway.conf.${key}`, message: `has no effect: ${message}` })
  }
  const reader = new SpecReader(isFields(merged) ? merged : {}, 'eni_conf', problems)
  const config = readConfig(reader)
  return { config: problems.length > 0 ? undefined : config, problems, warnings }
}

function readConfig(reader: SpecReader): EniConfig {
  const amount = (field: string, usual: number) => reader.integer(field, { minimum: 0, maximum: MOST }) ?? usual
  const stack = reader.text('ip_stack') ?? 'ipv4'
  if (stack !== 'ipv4' && stack !== 'dual')
    reader.problem('ip_stack', `must be ipv4 or dual, not ${JSON.stringify(stack)}`)
  const policy = reader.text('vswitch_selection_policy') ?? 'ordered'
  const selection = SELECTION_POLICIES.find(item => item === policy)
  if (selection === undefined) reader.problem('vswitch_selection_policy', 'must be ordered or random')
  const groups = [...(reader.texts('security_groups') ?? []), reader.text('security_group') ?? ''].filter(
    group => group !== '',
  )
  if (groups.length > 10) reader.problem('security_groups', 'names more than 10')
  const minIdle = amount('min_pool_size', 0)
  const maxIdle = amount('max_pool_size', 5)
  if (minIdle > maxIdle) reader.problem('min_pool_size', `must be at most max_pool_size (${maxIdle})`)
  const maxInterfaces = reader.integer('max_eni', { minimum: 0, maximum: 256 })
  return {
    vSwitches: zones(reader),
    securityGroupIDs: [...new Set(groups)],
    minIdle,
    maxIdle,
    warmUp: amount('ip_warm_up_size', 0),
    reclaim: readReclaim(reader),
    maxInterfaces: maxInterfaces === 0 ? undefined : maxInterfaces,
    capRatio: decimal(reader, 'eni_cap_ratio', 1),
    capShift: decimal(reader, 'eni_cap_shift', 0),
    selection: selection ?? 'ordered',
    dualStack: stack === 'dual',
    rateLimit: numbers(reader, 'rate_limit'),
    resourceGroupID: reader.text('resource_group_id') || undefined,
    tags: texts(reader, 'eni_tags'),
  }
}

function readReclaim(reader: SpecReader): EniConfig['reclaim'] {
  const after = duration(reader, 'idle_ip_reclaim_after')
  if (after === undefined) return undefined
  return {
    afterMilliseconds: after,
    everyMilliseconds: duration(reader, 'idle_ip_reclaim_interval') ?? 600_000,
    batch: reader.integer('idle_ip_reclaim_batch_size', { minimum: 1, maximum: MOST }) ?? 5,
    jitter: decimal(reader, 'idle_ip_reclaim_jitter_factor', 0.1),
  }
}

function zones(reader: SpecReader): Readonly<Record<string, readonly string[]>> {
  const nested = reader.nested('vswitches')
  const value = reader.value('vswitches')
  if (nested === undefined || !isFields(value)) return {}
  return Object.fromEntries(Object.keys(value).map(zone => [zone, nested.texts(zone) ?? []]))
}

function texts(reader: SpecReader, field: string): Readonly<Record<string, string>> {
  const value = reader.value(field)
  const nested = reader.nested(field)
  if (nested === undefined || !isFields(value)) return {}
  return Object.fromEntries(Object.keys(value).map(key => [key, nested.text(key) ?? '']))
}

function numbers(reader: SpecReader, field: string): Readonly<Record<string, number>> {
  const value = reader.value(field)
  const nested = reader.nested(field)
  if (nested === undefined || !isFields(value)) return {}
  return Object.fromEntries(
    Object.keys(value).map(key => [key, nested.integer(key, { minimum: 1, maximum: 1_000_000 }) ?? 1]),
  )
}

/** A number, or the text of one, as terway's own keys are. */
function decimal(reader: SpecReader, field: string, usual: number): number {
  const value = reader.value(field)
  if (value === undefined || value === '') return usual
  const number = Number(value)
  if (Number.isFinite(number) && Math.abs(number) <= 256) return number
  reader.problem(field, 'must be a number')
  return usual
}

/** A duration of Go: `10m`, `1h30m`, `90s`. Milliseconds. */
function duration(reader: SpecReader, field: string): number | undefined {
  const text = reader.text(field)
  if (text === undefined || text === '') return undefined
  if (text === '0') return 0
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)]
  const whole = parts.map(([part]) => part).join('')
  if (whole === '' || whole !== text) {
    reader.problem(field, `${JSON.stringify(text)} is not a duration, such as 10m`)
    return undefined
  }
  const unit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  return parts.reduce((sum, [, amount = '0', name = 's']) => sum + Number(amount) * (unit[name] ?? 0), 0)
}

function parseObject(text: string | undefined, path: string, problems: Problem[]): unknown {
  if (text === undefined || text.trim() === '') {
    return {}
  }
  try {
    const value: unknown = JSON.parse(text)
    if (isFields(value)) return value
    problems.push({ path, message: 'is not a JSON object' })
  } catch (error) {
    problems.push({ path, message: `is not JSON: ${error instanceof Error ? error.message : String(error)}` })
  }
  return {}
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch
  const merged: Record<string, unknown> = isFields(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = mergePatch(merged[key], value)
  }
  return merged
}
