/**
 * What VyOS and SR Linux say themselves of the lines that we print, as their machine-readable
 * models have it: which word may stand behind which, and the values of each. VyOS: vyos/vyos-1x,
 * interface-definitions; SR Linux: nokia/srlinux-yang-models, what 24.10.1 and 26.3.1 both have.
 * `refusal` walks a line along them. Pure.
 */

/** What may stand at a place: words, `*` for a name that somebody gave, or the end of a line. */
export interface Schema {
  readonly [word: string]: Schema | Value
}

/** A value that ends the line; `flag`: nothing follows. */
export type Value = RegExp | readonly [least: number, most: number] | 'flag'

const NAME = /^[-_A-Za-z0-9.]+$/
const ADDRESS = /^[0-9a-f:.]+$/
const PREFIX = /^[0-9a-f:.]+\/\d+$/
const AS = [1, 4_294_967_294] as const
const COUNT = [1, 4_294_967_295] as const
const SECONDS = [1, 65_535] as const

const VYOS_SESSION: Schema = {
  description: NAME,
  bfd: { profile: NAME, 'check-control-plane-failure': 'flag' },
  capability: { 'extended-nexthop': 'flag', dynamic: 'flag' },
  'ebgp-multihop': [1, 255],
  passive: 'flag',
  password: /^\S+$/,
  'remote-as': /^(\d+|internal|external)$/,
  'ttl-security': { hops: [1, 254] },
  'address-family': {
    'ipv4-unicast': { 'route-map': { import: NAME, export: NAME }, 'maximum-prefix': COUNT },
    'ipv6-unicast': { 'route-map': { import: NAME, export: NAME }, 'maximum-prefix': COUNT },
  },
}
const VYOS_PATHS: Schema = { 'maximum-paths': { ebgp: [1, 256], ibgp: [1, 256] } }
const vyosList = (longest: number): Schema => ({
  '*': { rule: { '*': { action: /^(permit|deny)$/, prefix: PREFIX, ge: [0, longest], le: [0, longest] } } },
})

export const VYOS: Schema = {
  protocols: {
    bgp: {
      'system-as': AS,
      parameters: { 'router-id': ADDRESS, 'graceful-restart': { 'stalepath-time': [1, 3600] } },
      'address-family': { 'ipv4-unicast': VYOS_PATHS, 'ipv6-unicast': VYOS_PATHS },
      // a group has no timers
      'peer-group': { '*': VYOS_SESSION },
      neighbor: { '*': { ...VYOS_SESSION, 'peer-group': NAME, timers: { holdtime: SECONDS, keepalive: SECONDS } } },
    },
    bfd: {
      profile: { '*': { interval: { transmit: [10, 60_000], receive: [10, 60_000], multiplier: [2, 255] } } },
    },
  },
  policy: {
    'prefix-list': vyosList(32),
    'prefix-list6': vyosList(128),
    'route-map': {
      '*': {
        rule: {
          '*': {
            action: /^(permit|deny)$/,
            match: { ip: { address: { 'prefix-list': NAME } }, ipv6: { address: { 'prefix-list': NAME } } },
          },
        },
      },
    },
  },
}

const STATE = /^(enable|disable)$/
const BOOLEAN = /^(true|false)$/
const LIMIT: Schema = {
  'max-received-routes': COUNT,
  'warning-threshold-pct': [0, 100],
  'prevent-teardown': BOOLEAN,
}
const RESULT: Schema = { 'policy-result': /^(accept|reject)$/ }
const PATHS: Schema = { ebgp: { 'maximum-paths': [1, 256] }, ibgp: { 'maximum-paths': [1, 256] } }

export const SRLINUX: Schema = {
  'network-instance': {
    default: {
      protocols: {
        bgp: {
          'admin-state': STATE,
          'autonomous-system': COUNT,
          'router-id': ADDRESS,
          'afi-safi': {
            'ipv4-unicast': { 'admin-state': STATE, multipath: PATHS },
            'ipv6-unicast': { 'admin-state': STATE, multipath: PATHS },
          },
          group: {
            '*': {
              'admin-state': STATE,
              'peer-as': COUNT,
              timers: { 'hold-time': [3, 65_535], 'keepalive-interval': [0, 21_845] },
              transport: { 'passive-mode': BOOLEAN },
              'graceful-restart': { 'admin-state': STATE, 'stale-routes-time': [1, 3600] },
              authentication: { keychain: NAME },
              'failure-detection': { 'enable-bfd': BOOLEAN },
              multihop: { 'admin-state': STATE, 'maximum-hops': [1, 255] },
              'import-policy': /^\[ \S+ \]$/,
              'export-policy': /^\[ \S+ \]$/,
              'afi-safi': {
                'ipv4-unicast': {
                  'admin-state': STATE,
                  'ipv4-unicast': { 'prefix-limit-received': LIMIT, 'receive-ipv6-next-hops': BOOLEAN },
                },
                'ipv6-unicast': { 'admin-state': STATE, 'ipv6-unicast': { 'prefix-limit-received': LIMIT } },
              },
            },
          },
          neighbor: { '*': { 'peer-group': NAME, description: NAME } },
        },
      },
    },
  },
  'routing-policy': {
    'prefix-set': { '*': { prefix: { '*': { 'mask-length-range': /^\d+\.\.\d+$/ } } } },
    policy: {
      '*': {
        'default-action': RESULT,
        statement: { '*': { match: { prefix: { 'prefix-set': NAME } }, action: RESULT } },
      },
    },
  },
  system: {
    authentication: {
      keychain: {
        '*': {
          'admin-state': STATE,
          type: /^tcp-md5$/,
          // a key of TCP MD5 has this number alone
          key: { '1': { algorithm: /^md5$/, 'authentication-key': /^\S{1,25}$/ } },
        },
      },
    },
  },
}

/** Why the words are not taken, or undefined. */
export function refusal(schema: Schema, line: string): string | undefined {
  const words = line.trim().split(/\s+/)
  let place: Schema | Value = schema
  for (const [index, word] of words.entries()) {
    if (isValue(place)) return valueRefusal(place, words.slice(index).join(' '))
    const next: Schema | Value | undefined = place[word] ?? place['*']
    if (next === undefined) return `no ${word} behind ${words.slice(0, index).join(' ')}`
    place = next
  }
  return place === 'flag' ? undefined : `something is missing behind ${line}`
}

function isValue(place: Schema | Value): place is Value {
  return place === 'flag' || place instanceof RegExp || Array.isArray(place)
}

function valueRefusal(value: Value, text: string): string | undefined {
  if (value === 'flag') return `nothing may follow: ${text}`
  if (value instanceof RegExp) return value.test(text) ? undefined : `${text} is not ${value}`
  const [least, most] = value
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return number >= least && number <= most ? undefined : `${text} is not from ${least} to ${most}`
}
