/**
 * Where the FORWARD rules of others drop pods' packets, and what is written because of it: decided
 * from listings of nft and iptables, nothing is run. The same with a real kernel:
 * reconcile.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import {
  chainsToRead,
  dropsForwarded,
  FORWARD_CHAIN,
  type ForwardTable,
  forwardScript,
  forwardTables,
  letsThrough,
} from '../../src/firewall/forward.ts'
import { legacyCommands } from '../../src/firewall/legacy.ts'
import { masqueradeScript } from '../../src/firewall/masquerade.ts'
import { decodeListing, type NftRule } from '../../src/firewall/nftables-listing.ts'
import { acceptedTraffic } from '../../src/firewall/reconcile.ts'

const POD = '10.0.1.0/25'
const ends = (...prefixes: string[]) => prefixes.flatMap(prefix => [`saddr ${prefix}`, `daddr ${prefix}`])

/**
 * A table with base chain FORWARD and the rules given, as `[statements]` of nft's JSON, in its
 * chains.
 */
function tableOf(options: {
  policy?: string
  chains: Readonly<Record<string, readonly (readonly object[])[]>>
  table?: string
  family?: 'ip' | 'ip6' | 'inet'
}): ForwardTable {
  const { family = 'ip', table = 'filter' } = options
  let handle = 1
  const rules = Object.entries(options.chains).flatMap(([chain, list]) =>
    list.map(expr => ({ rule: { family, table, chain, handle: handle++, expr } })),
  )
  const listing = decodeListing(JSON.stringify({ nftables: [{ metainfo: {} }, ...rules] }))
  const byChain = new Map<string, NftRule[]>(Object.keys(options.chains).map(name => [name, []]))
  for (const rule of listing.rules) byChain.get(rule.chain)?.push(rule)
  const base = { family, table, name: 'FORWARD', hook: 'forward', policy: options.policy ?? 'accept' }
  return { family, table, bases: [base], rules: byChain }
}

const COUNTER = { counter: { packets: 7, bytes: 700 } }
const jump = (target: string) => ({ jump: { target } })
const REJECT = [COUNTER, { xt: { type: 'target', name: 'REJECT' } }]
const DROP = [{ drop: null }]
const ON_DOCKER = [{ match: { op: '==', left: { meta: { key: 'oifname' } }, right: 'docker0' } }, { accept: null }]
const ESTABLISHED = [{ xt: { type: 'match', name: 'conntrack' } }, COUNTER, { accept: null }]
const accept = (field: string, prefix = POD) => {
  const [addr, len] = prefix.split('/')
  const left = { payload: { protocol: 'ip', field } }
  return [{ match: { op: '==', left, right: { prefix: { addr, len: Number(len) } } } }, COUNTER, { accept: null }]
}
const OURS = [accept('saddr'), accept('daddr')]
const OUR_JUMP = [COUNTER, jump(FORWARD_CHAIN)]

const MAKE_CHAIN = `add chain ip filter TERWAY-EDGE
flush chain ip filter TERWAY-EDGE
add rule ip filter TERWAY-EDGE ip saddr 10.0.1.0/25 counter accept
add rule ip filter TERWAY-EDGE ip daddr 10.0.1.0/25 counter accept
`

describe('where FORWARD drops', () => {
  test('by policy, as Docker sets it: our jump comes last, after the rules of others', () => {
    const table = tableOf({
      policy: 'drop',
      chains: { FORWARD: [[jump('DOCKER-USER')], ON_DOCKER], 'DOCKER-USER': [[{ return: null }]] },
    })
    expect(dropsForwarded(table)).toBe(true)
    expect(forwardScript(table, ends(POD))).toBe(`${MAKE_CHAIN}add rule ip filter FORWARD counter jump TERWAY-EDGE\n`)
  })

  test('by a last rule: our jump comes right before it', () => {
    const table = tableOf({ chains: { FORWARD: [ESTABLISHED, REJECT] } })
    expect(forwardScript(table, ends(POD))).toEndWith(
      'insert rule ip filter FORWARD handle 2 counter jump TERWAY-EDGE\n',
    )
  })

  test('inside chains that every packet goes to, as ufw and firewalld have them', () => {
    const table = tableOf({
      family: 'inet',
      table: 'firewalld',
      chains: {
        FORWARD: [ESTABLISHED, [jump('ZONES')], [{ reject: { type: 'icmpx', expr: 'admin-prohibited' } }]],
        ZONES: [[{ goto: { target: 'PUBLIC' } }]],
        PUBLIC: [[jump('ALLOW')], [{ reject: null }]],
        ALLOW: [],
      },
    })
    expect(chainsToRead(table)).toEqual([])
    const script = forwardScript(table, ends(POD, 'fd00:1::/64'))
    expect(script).toContain('add rule inet firewalld TERWAY-EDGE ip6 daddr fd00:1::/64 counter accept\n')
    expect(script).toEndWith('insert rule inet firewalld FORWARD handle 2 counter jump TERWAY-EDGE\n')
  })

  test('policies for particular packets keep their say before our rules', () => {
    const policies = [{ match: { op: '==', left: { meta: { key: 'oifname' } }, right: 'cali*' } }, jump('POLICY')]
    const table = tableOf({ policy: 'drop', chains: { FORWARD: [[jump('cali')]], cali: [policies], POLICY: [DROP] } })
    expect(forwardScript(table, ends(POD))).toEndWith('add rule ip filter FORWARD counter jump TERWAY-EDGE\n')
  })

  test('nothing is done twice, and what is wrong is mended', () => {
    const right = { FORWARD: [ON_DOCKER, OUR_JUMP], [FORWARD_CHAIN]: OURS }
    expect(forwardScript(tableOf({ policy: 'drop', chains: right }), ends(POD))).toBeUndefined()
    const other = forwardScript(tableOf({ policy: 'drop', chains: right }), ends('10.0.9.0/24'))
    expect(other).toContain('flush chain ip filter TERWAY-EDGE\nadd rule ip filter TERWAY-EDGE ip saddr 10.0.9.0/24')
    expect(other).not.toContain('FORWARD')
    const late = tableOf({ policy: 'drop', chains: { FORWARD: [REJECT, OUR_JUMP], [FORWARD_CHAIN]: OURS } })
    expect(forwardScript(late, ends(POD))).toBe(
      'delete rule ip filter FORWARD handle 2\ninsert rule ip filter FORWARD handle 1 counter jump TERWAY-EDGE\n',
    )
    const twice = tableOf({ policy: 'drop', chains: { FORWARD: [OUR_JUMP, OUR_JUMP], [FORWARD_CHAIN]: OURS } })
    expect(forwardScript(twice, ends(POD))).toBe('delete rule ip filter FORWARD handle 2\n')
  })
})

describe('where others let all pods through before they drop', () => {
  const both = [accept('saddr', '10.0.0.0/16'), accept('daddr', '10.0.0.0/16')]
  const through = (...chain: (readonly object[])[]) =>
    tableOf({ chains: { FORWARD: [[jump('POLICY')], ...chain, REJECT], POLICY: both } })

  test('nothing is made, and what was made goes', () => {
    expect(letsThrough(through(), ends(POD))).toBe(true)
    const table = tableOf({
      chains: { FORWARD: [[jump('POLICY')], OUR_JUMP, REJECT], POLICY: both, [FORWARD_CHAIN]: OURS },
    })
    expect(forwardScript(table, ends(POD))).toContain('delete chain ip filter TERWAY-EDGE')
  })

  test('it takes both ways, all prefixes, every packet, and a place before the drop', () => {
    const chains = (POLICY: (readonly object[])[]) => ({ FORWARD: [[jump('POLICY')], REJECT], POLICY })
    for (const policy of [
      both.slice(0, 1),
      [DROP, ...both],
      [[{ return: null }], ...both],
      both.map(rule => rule.slice(0, 2)),
    ])
      expect(letsThrough(tableOf({ chains: chains(policy) }), ends(POD))).toBe(false)
    expect(letsThrough(through(), ends(POD, '10.1.0.0/24'))).toBe(false)
    const conditional = { FORWARD: [[...ON_DOCKER.slice(0, 1), jump('POLICY')], REJECT], POLICY: both }
    expect(letsThrough(tableOf({ chains: conditional }), ends(POD))).toBe(false)
    const ours = { FORWARD: [OUR_JUMP], [FORWARD_CHAIN]: both }
    expect(forwardScript(tableOf({ policy: 'drop', chains: ours }), ends(POD))).toContain(
      'add rule ip filter TERWAY-EDGE',
    )
  })

  test('accepts that some packets get around do not count, unless these never meet our rules either', () => {
    const from = { match: { op: '==', left: { meta: { key: 'iifname' } }, right: 'eth1' } }
    const some = [
      [from, { return: null }],
      [from, { goto: { target: 'LOG' } }],
      [{ vmap: { key: { meta: { key: 'iifname' } }, data: { set: [['eth1', { return: null }]] } } }],
    ]
    const LOG = [[{ log: null }]]
    for (const rule of some) {
      const inside = { FORWARD: [[jump('POLICY')], REJECT], POLICY: [rule, ...both], LOG }
      expect(letsThrough(tableOf({ chains: inside }), ends(POD))).toBe(false)
      const further = { FORWARD: [[jump('POLICY')], REJECT], POLICY: [rule, [jump('ALLOW')]], ALLOW: both, LOG }
      expect(letsThrough(tableOf({ chains: further }), ends(POD))).toBe(false)
      const after = { FORWARD: [[jump('OTHER')], ...both, REJECT], OTHER: [rule], LOG }
      expect(letsThrough(tableOf({ chains: after }), ends(POD))).toBe(true)
      const base = { FORWARD: [rule, ...both, REJECT], LOG }
      expect(letsThrough(tableOf({ chains: base }), ends(POD))).toBe(true)
    }
  })

  test('what only looks like an address of theirs is none', () => {
    const left = { payload: { protocol: 'ether', field: 'saddr' } }
    const ethernet = [{ match: { op: '==', left, right: 'aa:bb:cc:dd:ee:ff' } }, { accept: null }]
    expect(letsThrough(tableOf({ chains: { FORWARD: [ethernet, REJECT] } }), ends(POD))).toBe(false)
    expect(letsThrough(tableOf({ chains: { FORWARD: [ethernet, ...both, REJECT] } }), ends(POD))).toBe(true)
    const inner = ['saddr', 'daddr'].map(field => {
      const [match, ...rest] = accept(field)
      const payload = { tunnel: 'vxlan', protocol: 'ip', field }
      return [{ match: { ...(match && 'match' in match ? match.match : {}), left: { payload } } }, ...rest]
    })
    expect(letsThrough(tableOf({ chains: { FORWARD: [...inner, REJECT] } }), ends(POD))).toBe(false)
  })
})

describe('where FORWARD drops nothing', () => {
  test('nothing is made, and what was made goes', () => {
    expect(
      forwardScript(tableOf({ chains: { FORWARD: [ON_DOCKER, [COUNTER, { log: null }]] } }), ends(POD)),
    ).toBeUndefined()
    expect(
      forwardScript(tableOf({ policy: 'drop', chains: { FORWARD: [[{ accept: null }]] } }), ends(POD)),
    ).toBeUndefined()
    const left = { FORWARD: [OUR_JUMP], [FORWARD_CHAIN]: OURS }
    const gone =
      'delete rule ip filter FORWARD handle 1\nflush chain ip filter TERWAY-EDGE\ndelete chain ip filter TERWAY-EDGE\n'
    expect(forwardScript(tableOf({ chains: left }), ends(POD))).toBe(gone)
    expect(forwardScript(tableOf({ policy: 'drop', chains: left }), [])).toBe(gone)
  })

  test('a family without podCIDRs gets nothing, whatever it drops, and no pod is cut off by it', () => {
    const table = tableOf({ family: 'ip6', policy: 'drop', chains: { FORWARD: [] } })
    expect(forwardScript(table, ends(POD))).toBeUndefined()
    expect([letsThrough(table, ends(POD)), letsThrough(table, [])]).toEqual([true, false])
  })

  test('a loop of chains, and rules that are not understood, are no drop', () => {
    const loop = { FORWARD: [[jump('A')]], A: [[jump('B')]], B: [[jump('A')]] }
    expect(dropsForwarded(tableOf({ chains: loop }))).toBe(false)
    expect(dropsForwarded(tableOf({ chains: { FORWARD: [[{ novelty: {} }, { drop: null }]] } }))).toBe(false)
    expect(dropsForwarded(tableOf({ chains: { FORWARD: [[{ xt: null }, { drop: null }]] } }))).toBe(false)
    const elem = { payload: { protocol: 'ip', field: 'saddr' } }
    const flood = { op: 'update', elem, set: '@flood', stmt: [{ limit: { rate: 10, per: 'second', inv: true } }] }
    expect(dropsForwarded(tableOf({ chains: { FORWARD: [[{ set: flood }, { drop: null }]] } }))).toBe(false)
  })
})

test('only base chains of the forward hook count, never those of our own tables', () => {
  const chain = (table: string, name: string, hook?: string) => ({
    family: 'ip' as const,
    table,
    name,
    ...(hook && { hook }),
  })
  const { tables, marked } = forwardTables([
    chain('filter', 'INPUT', 'input'),
    chain('filter', 'FORWARD', 'forward'),
    chain('filter', FORWARD_CHAIN),
    chain('terway-edge', 'x', 'forward'),
  ])
  expect(tables.map(({ table }) => table)).toEqual(['filter'])
  expect(marked.map(({ name }) => name)).toEqual([FORWARD_CHAIN])
})

test('pods are accepted by interface and direction, those of the cluster from uplink to uplink, with as few rules as can be', () => {
  const own = { podCIDRs: ['10.0.1.0/25'], clusterPodCIDRs: ['10.0.1.0/25', '10.0.1.128/25'], nodeAddresses: [] }
  const network = { ...own, controllers: [], uplinks: ['eth0'] }
  const config = { acceptPodTraffic: true, podPools: [] }
  expect(acceptedTraffic(network, config).matches).toEqual([
    'iif te* oif te* saddr 10.0.1.0/25',
    'iif te* oif eth0 saddr 10.0.1.0/25',
    'daddr 10.0.1.0/25 iif eth0 oif te*',
    'iif eth0 oif eth0 saddr 10.0.1.0/24',
    'daddr 10.0.1.0/24 iif eth0 oif eth0',
  ])
  expect(acceptedTraffic(network, { ...config, acceptPodTraffic: false }).matches).toEqual([])
  const scattered = Array.from({ length: 200 }, (_, index) => `10.${index}.0.0/25`)
  const many = { ...network, clusterPodCIDRs: scattered }
  expect(acceptedTraffic(many, config)).toMatchObject({ prefixes: ['10.0.1.0/25'] })
  expect(acceptedTraffic(many, config).matches).toHaveLength(3)
  expect(acceptedTraffic(many, config).problems[0]).toContain('network.podCIDRs')
  expect(acceptedTraffic(many, { ...config, podPools: ['10.0.0.0/8'] })).toMatchObject({
    prefixes: ['10.0.0.0/8'],
    problems: [],
  })
})

test('rules of ours with interfaces are known again, and wider ones of others do', () => {
  const meta = (key: string, right: string) => ({ match: { op: '==', left: { meta: { key } }, right } })
  const wanted = ['iif te* oif eth0 saddr 10.0.1.0/25']
  const ours = [meta('iifname', 'te*'), meta('oifname', 'eth0'), ...accept('saddr')]
  const right = { FORWARD: [OUR_JUMP], [FORWARD_CHAIN]: [ours] }
  expect(forwardScript(tableOf({ policy: 'drop', chains: right }), wanted)).toBeUndefined()
  expect(forwardScript(tableOf({ policy: 'drop', chains: { FORWARD: [] } }), wanted)).toContain(
    'add rule ip filter TERWAY-EDGE iifname "te*" oifname "eth0" ip saddr 10.0.1.0/25 counter accept\n',
  )
  const wider = [meta('iifname', 't*'), ...accept('saddr', '10.0.0.0/16')]
  expect(letsThrough(tableOf({ policy: 'drop', chains: { FORWARD: [wider] } }), wanted)).toBe(true)
  const other = [meta('iifname', 'docker0'), ...accept('saddr', '10.0.0.0/16')]
  expect(letsThrough(tableOf({ policy: 'drop', chains: { FORWARD: [other] } }), wanted)).toBe(false)
})

describe('masquerade', () => {
  const input = {
    podCIDRs: ['10.0.1.0/25', 'fd00:1::/64'],
    keep: ['10.0.0.0/25', '10.0.1.0/24', '172.16.0.11', '172.21.0.0/20', 'fd16::/48', 'fd16::1'],
  }
  test("only this node's pods are translated, and nothing on the way to what keeps addresses", () => {
    const script = masqueradeScript('ipv4', input)
    expect(script).toContain(
      'elements = { 10.0.0.0/25, 10.0.1.0/24, 169.254.0.0/16, 172.16.0.11/32, 172.21.0.0/20, 224.0.0.0/4, 255.255.255.255/32 }',
    )
    expect(script).toContain('ip saddr { 10.0.1.0/25 } ip daddr != @never-translated counter masquerade')
    expect(script).not.toContain('fd')
  })
  test('the table is replaced whole', () => {
    const script = masqueradeScript('ipv6', input)
    expect(script).toStartWith('add table ip6 terway-edge\ndelete table ip6 terway-edge\ntable ip6 terway-edge {')
    expect(script).toContain('elements = { fd00:1::/64, fd16::/48, fe80::/10, ff00::/8 }')
  })
})

test('legacy iptables: the commands that are still needed', () => {
  const forward = { family: 'ipv4', drops: true, accepts: ['saddr 10.0.0.0/8'] } as const
  expect(legacyCommands(forward, [POD, 'fd00::/64'])).toEqual(['iptables-legacy -I FORWARD -d 10.0.1.0/25 -j ACCEPT'])
  expect(legacyCommands({ ...forward, drops: false }, [POD])).toEqual([])
})

test('what is not the JSON of nft is refused', () => {
  expect(() => decodeListing('{}')).toThrow('not its JSON')
  expect(decodeListing('{"nftables": [1, null, {"chain": 5}, {"rule": {"chain": "x"}}]}')).toEqual({
    chains: [],
    rules: [],
  })
})
