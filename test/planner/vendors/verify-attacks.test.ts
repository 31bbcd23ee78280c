/**
 * `--verify` against running configurations as they are found: written by others, in another order,
 * abbreviated, inherited from groups, templates and policies, in VRFs, with comments and with rules
 * that refuse before they permit.
 */
import { describe, expect, test } from 'bun:test'
import { compareSwitch } from '../../../src/planner/vendors/facts.ts'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { intent } from './intents.ts'

const AUTH = { authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } }
const WANTED = intent(AUTH)

function said(name: string, text: string, what = WANTED): string[] {
  const read = VENDORS.find(vendor => vendor.name === name)?.read
  if (read === undefined) throw new Error(name)
  return compareSwitch(what, read(text)).map(({ where, what: words }) => `${where}: ${words}`)
}

/** The same words, about both neighbours. */
function both(words: string): string[] {
  return [`neighbour 172.16.0.11 (node-1): ${words}`, `neighbour 172.16.0.12 (node-2): ${words}`]
}

const FRR = `
frr version 10.2
hostname leaf-1
!
ip prefix-list NODES seq 20 deny any
ip prefix-list NODES seq 10 permit 10.0.0.0/8 ge 25 le 25
ip prefix-list NODES description permit everything else never
!
route-map IN permit 20
 match ip address prefix-list NODES
exit
!
route-map IN deny 30
exit
!
router bgp 65002 vrf tenants
 neighbor 172.16.0.11 remote-as 64999
 address-family ipv4 unicast
  neighbor 172.16.0.11 maximum-prefix 1
 exit-address-family
exit
!
router bgp 65001
 bgp router-id 172.16.0.1
 no bgp default ipv4-unicast
 bgp graceful-restart stalepath-time 900
 neighbor NODES peer-group
 neighbor NODES remote-as external
 neighbor NODES password 8 0123456789
 neighbor 172.16.0.11 peer-group NODES
 neighbor 172.16.0.12 peer-group NODES
 !
 address-family ipv4 unicast
  neighbor NODES activate
  neighbor NODES route-map IN in
  neighbor NODES maximum-prefix 500
 exit-address-family
exit
!
end
`

describe('frr', () => {
  test('a group, an AS by "external", rules out of order, a VRF beside it', () => {
    expect(said('frr', FRR)).toEqual(both('any AS but its own is taken, planned is 65010'))
  })

  test('speakers that come from a range', () => {
    const listening = FRR.replace(/^ neighbor 172.16.0.1[12] peer-group NODES$/gm, '').replace(
      ' neighbor NODES peer-group',
      ' neighbor NODES peer-group\n bgp listen range 172.16.0.0/24 peer-group NODES',
    )
    expect(said('frr', listening)).toEqual(both('any AS but its own is taken, planned is 65010'))
    const elsewhere = listening.replace('172.16.0.0/24', '172.17.0.0/24')
    expect(said('frr', elsewhere)).toContain(
      'neighbour 172.16.0.12 (node-2): the neighbour is not there: it cannot open a session',
    )
  })

  test('only in a VRF: said, as everything of it is right otherwise', () => {
    const text = FRR.replace(/^router bgp 65002 vrf tenants[\s\S]*?^exit$/m, '').replace(
      'router bgp 65001',
      'router bgp 65001 vrf edge',
    )
    expect(said('frr', text).filter(words => words.includes('VRF'))).toEqual(
      both('it stands in the VRF edge: routes and speakers have to be in the same'),
    )
  })

  test('a block that is refused before the pool is taken', () => {
    const refusing = FRR.replace('seq 20 deny any', 'seq 5 deny 10.64.0.0/10 le 32')
    expect(said('frr', refusing).filter(words => words.includes('do not get in'))).toEqual(
      both('ipv4: blocks of /25 of 10.0.0.0/8 do not get in: 10.64.0.0/10 is refused before'),
    )
    const byMap = FRR.replace('route-map IN deny 30', 'route-map IN deny 10\n match ip address prefix-list NODES')
    expect(said('frr', byMap).join()).toContain('10.0.0.0/8 is refused before')
    const shorter = FRR.replace('seq 20 deny any', 'seq 5 deny 10.64.0.0/10')
    expect(said('frr', shorter).join()).not.toContain('refused') // a /10 itself is no block
  })

  test('a route map that ends before it takes anything, one that takes all, one with other conditions', () => {
    const cut = FRR.replace('route-map IN deny 30', 'route-map IN deny 10')
    expect(said('frr', cut).join()).toContain('blocks of /25 of 10.0.0.0/8 do not get in')
    const open = FRR.replace('route-map IN deny 30', 'route-map IN permit 30')
    expect(said('frr', open).join()).toContain('no filter, every prefix gets in')
    const other = FRR.replace('match ip address prefix-list NODES', 'match community INTERNAL')
    expect(said('frr', other).join()).toContain('blocks of /25 of 10.0.0.0/8 do not get in')
  })

  test('"no neighbor … activate", "no … shutdown", no graceful restart for one of them', () => {
    const off = FRR.replace(
      '  neighbor NODES maximum-prefix 500',
      '  neighbor NODES maximum-prefix 500\n  no neighbor 172.16.0.12 activate',
    )
    expect(said('frr', off)).toContain(
      'neighbour 172.16.0.12 (node-2): ipv4 is not activated: its blocks are not taken',
    )
    const on = FRR.replace(
      ' neighbor NODES password',
      ' neighbor NODES shutdown\n no neighbor 172.16.0.11 shutdown\n neighbor NODES password',
    )
    expect(said('frr', on).filter(words => words.includes('shut down'))).toEqual([
      'neighbour 172.16.0.12 (node-2): it is shut down',
    ])
    const restart = FRR.replace(
      ' neighbor NODES password',
      ' neighbor 172.16.0.12 graceful-restart-disable\n neighbor NODES password',
    )
    expect(said('frr', restart)).toContain(
      'neighbour 172.16.0.12 (node-2): graceful restart is off for it: every restart of the speaker takes its routes along',
    )
  })

  test('AS numbers with a dot', () => {
    const dotted = FRR.replace('remote-as external', 'remote-as 64086.59914')
    const what = intent({ ...AUTH, localAsNumber: 4_200_000_010 })
    expect(said('frr', dotted, what)).toEqual([])
  })
})

const IOS = `
Building configuration...
version 17.9
vrf definition MGMT
 address-family ipv4
 exit-address-family
!
interface Vlan16
 ip address 172.16.0.1 255.255.255.0
!
router bgp 65001
 template peer-policy BLOCKS
  route-map FROM-NODES in
  maximum-prefix 200 80 restart 5
 exit-peer-policy
 !
 template peer-session BASE
  password 7 0822455D0A16
 exit-peer-session
 !
 template peer-session NODES
  remote-as 65010
  inherit peer-session BASE
 exit-peer-session
 !
 bgp log-neighbor-changes
 no bgp default ipv4-unicast
 bgp graceful-restart restart-time 120
 bgp graceful-restart stalepath-time 600
 bgp graceful-restart
 neighbor 172.16.0.11 inherit peer-session NODES
 neighbor 172.16.0.11 description ! node-1, not a comment
 neighbor 172.16.0.12 inherit peer-session NODES
 !
 address-family ipv4
  neighbor 172.16.0.11 activate
  neighbor 172.16.0.11 inherit peer-policy BLOCKS
  neighbor 172.16.0.12 activate
  neighbor 172.16.0.12 inherit peer-policy BLOCKS
 exit-address-family
 !
 address-family ipv4 vrf MGMT
  neighbor 172.16.0.12 remote-as 64512
  neighbor 172.16.0.12 shutdown
  neighbor 172.16.0.99 remote-as 64512
 exit-address-family
!
ip forward-protocol nd
ip prefix-list BLOCKS seq 5 permit 10.0.0.0/8 ge 25 le 25
!
route-map FROM-NODES permit 10
 description blocks of nodes
 match ip address prefix-list BLOCKS
!
line vty 0 4
end
`

describe('cisco-ios-xe', () => {
  test('templates of sessions and policies, a VRF with the same address', () => {
    expect(said('cisco-ios-xe', IOS)).toEqual([])
  })

  test('what a template lacks is missing at each neighbour', () => {
    expect(said('cisco-ios-xe', IOS.replace(/^ {2}password .*$/m, ''))).toEqual(
      both('it has no password, and the BGPPeer has one: no connection comes up'),
    )
    expect(said('cisco-ios-xe', IOS.replace(/^ {2}route-map FROM-NODES in$/m, ''))).toEqual(
      both('ipv4: no filter, every prefix gets in'),
    )
    expect(said('cisco-ios-xe', IOS.replace(/^ {2}maximum-prefix .*$/m, ''))).toEqual(
      both('ipv4: no limit of prefixes (planned: 100)'),
    )
  })

  test('abbreviated as it is typed', () => {
    const typed = IOS.replaceAll('neighbor 172', 'neigh 172')
      .replaceAll(' activate', ' act')
      .replaceAll('remote-as', 'remote')
      .replaceAll('password', 'pass')
      .replaceAll('address-family ipv4', 'addr ipv4')
      .replaceAll('maximum-prefix 200', 'maximum-prefix 200')
    expect(said('cisco-ios-xe', typed)).toEqual([])
  })

  test('ha-mode switches graceful restart off for one', () => {
    const text = IOS.replace(
      ' neighbor 172.16.0.11 desc',
      ' neighbor 172.16.0.11 ha-mode graceful-restart disable\n neighbor 172.16.0.11 desc',
    )
    expect(said('cisco-ios-xe', text)).toEqual([
      'neighbour 172.16.0.11 (node-1): graceful restart is off for it: every restart of the speaker takes its routes along',
    ])
  })

  test('templates that inherit each other end', () => {
    const circle = IOS.replace(
      'template peer-session BASE\n',
      'template peer-session BASE\n  inherit peer-session NODES\n',
    )
    expect(said('cisco-ios-xe', circle)).toEqual([])
  })
})

const EOS = `
ip prefix-list BLOCKS
   seq 10 permit 10.0.0.0/8 eq 25
!
route-map IN permit 10
   match ip address prefix-list BLOCKS
!
router bgp 65001
   graceful-restart-helper
   graceful-restart stalepath-time 900
   neighbor NODES peer group
   neighbor NODES remote-as 65010
   neighbor NODES password 7 abc==
   neighbor NODES maximum-routes 300
   neighbor 172.16.0.11 peer group NODES
   neighbor 172.16.0.12 peer group NODES
   !
   address-family ipv4
      neighbor NODES activate
      neighbor NODES route-map IN in
   !
   vrf OTHER
      neighbor 172.16.0.13 remote-as 65010
      address-family ipv4
         neighbor 172.16.0.13 activate
   !
   neighbor 172.16.0.12 description node-2
!
`

test('arista-eos: its own words, a VRF in the middle', () => {
  expect(said('arista-eos', EOS)).toEqual([
    "neighbour 172.16.0.13: it has the nodes' AS 65010 and is no speaker of the BGPPeer",
  ])
})

const BIRD = `
# a switch with BIRD, by hand
define NODES_AS = 65010;
define POOLS = [ 10.0.0.0/8{25,25} ];
function is_block() { return net ~ POOLS; }
filter from_nodes {
  if net ~ [ 10.64.0.0/10{32,32} ] then reject; # hosts
  if is_block() then { bgp_large_community.add((65001,1,1)); accept; }
  reject;
}
template bgp any_node { local as 65001; password "a # sharp { password }"; graceful restart aware; }
template bgp node from any_node { ipv4 { import filter from_nodes; export none; }; }
protocol bgp n1 from node { neighbor 172.16.0.11 as NODES_AS; ipv4 { receive limit 200 action disable; }; }
protocol bgp n2 from node {
  disabled no;
  neighbor 172.16.0.12 external;
  ipv4 { receive limit 100; };
}
`

describe('bird', () => {
  test('defines, functions, templates of templates, a password with a sharp', () => {
    expect(said('bird', BIRD)).toEqual([
      'neighbour 172.16.0.12 (node-2): any AS but its own is taken, planned is 65010',
    ])
  })

  test('a range of neighbours, one that is switched off, another VRF', () => {
    const range = BIRD.replace('neighbor 172.16.0.11 as NODES_AS', 'neighbor range 172.16.0.0/28 as NODES_AS')
    expect(said('bird', range)).toEqual(said('bird', BIRD))
    expect(said('bird', BIRD.replace('disabled no', 'disabled')).join()).toContain('node-2): it is shut down')
    expect(said('bird', BIRD.replace('disabled no', 'vrf "red"')).join()).toContain('it stands in the VRF red')
  })

  test('what a filter rejects first is refused; one that only rejects takes the rest', () => {
    expect(said('bird', BIRD.replace('{32,32}', '+')).join()).toContain('10.64.0.0/10 is refused before')
    const open = BIRD.replace(/ {2}if is_block[^\n]*\n {2}reject;/, '  accept;')
    expect(said('bird', open).join()).toContain('no filter, every prefix gets in')
    const where = BIRD.replace('import filter from_nodes', 'import where net ~ POOLS')
    expect(said('bird', where)).toEqual(said('bird', BIRD))
    const turned = BIRD.replace(/ {2}if is_block[^\n]*\n {2}reject;/, '  if net !~ POOLS then reject;\n  accept;')
    expect(said('bird', turned)).toEqual(said('bird', BIRD))
  })

  test('graceful restart off for one', () => {
    expect(said('bird', BIRD.replace('disabled no', 'graceful restart no')).join()).toContain(
      'node-2): graceful restart is off for it',
    )
  })
})

describe('what others write', () => {
  test('IOS without address families: what stands outside is of IPv4', () => {
    const classic = `
leaf-1#show running-config
ip prefix-list BLOCKS seq 5 permit 10.0.0.0/8 ge 25 le 25
router bgp 65001
 bgp log-neighbor-changes
 bgp graceful-restart restart-time 120
 bgp graceful-restart stalepath-time 600
 bgp graceful-restart
 neighbor 172.16.0.11 remote-as 65010
 neighbor 172.16.0.11 password 7 0822455D0A16
 neighbor 172.16.0.11 prefix-list BLOCKS in
 neighbor 172.16.0.11 maximum-prefix 200
 neighbor 172.16.0.12 remote-as 65010
 neighbor 172.16.0.12 password 7 0822455D0A16
 neighbor 172.16.0.12 prefix-list BLOCKS in
 neighbor 172.16.0.12 maximum-prefix 200 80 warning-only
end
`
    const warns = 'neighbour 172.16.0.12 (node-2): ipv4: beyond the limit of prefixes there is only a warning'
    expect(said('cisco-ios-xe', classic)).toEqual([warns])
    // timers alone switch nothing on
    expect(said('cisco-ios-xe', classic.replace(/^ bgp graceful-restart$/m, ''))).toEqual([
      'switch: graceful restart is off: every restart of a speaker takes its routes along',
      warns,
    ])
  })

  test('IOS: graceful restart for single neighbours, an AS of its own towards them', () => {
    const single = IOS.replace(/^ bgp graceful-restart$/m, '')
    const one = single.replace(
      ' neighbor 172.16.0.11 desc',
      ' neighbor 172.16.0.11 ha-mode graceful-restart\n neighbor 172.16.0.11 desc',
    )
    expect(said('cisco-ios-xe', one).join()).toContain('switch: graceful restart is off')
    const all = one.replace(
      ' neighbor 172.16.0.12 inherit peer-session NODES',
      ' neighbor 172.16.0.12 inherit peer-session NODES\n neighbor 172.16.0.12 ha-mode graceful-restart',
    )
    expect(said('cisco-ios-xe', all)).toEqual([])
    const other = IOS.replace('router bgp 65001', 'router bgp 64900')
    expect(said('cisco-ios-xe', other)).toEqual(['switch: its AS is 64900, and the BGPPeer says 65001'])
    const presented = other.replace('  remote-as 65010', '  remote-as 65010\n  local-as 65001 no-prepend replace-as')
    expect(said('cisco-ios-xe', presented)).toEqual([])
    const wrong = IOS.replace('  remote-as 65010', '  remote-as 65010\n  local-as 64900')
    expect(said('cisco-ios-xe', wrong)).toEqual(both('the switch is AS 64900 towards it, and the BGPPeer says 65001'))
  })

  test('what a terminal leaves in the text', () => {
    const paged = IOS.split('\n')
      .map((line, index) =>
        index % 7 === 3 ? ` --More-- ${'\b'.repeat(10)}${' '.repeat(10)}${'\b'.repeat(10)}${line}` : line,
      )
      .join('\r\n')
    expect(said('cisco-ios-xe', paged)).toEqual([])
  })

  test('FRR: helping said for a neighbour, IPv6 for everybody, fewer hops than asked for', () => {
    const text = FRR.replace('remote-as external', 'remote-as 65010')
    const off = text.replace(' bgp graceful-restart stalepath-time 900', ' bgp graceful-restart-disable')
    expect(said('frr', off)).toEqual([
      'switch: graceful restart is off: every restart of a speaker takes its routes along',
    ])
    const helped = off.replace(
      ' neighbor NODES password',
      ' neighbor NODES graceful-restart-helper\n neighbor NODES password',
    )
    expect(said('frr', helped).join()).not.toContain('graceful restart is off')
    const dual = intent(AUTH, { podCIDRs: ['10.0.0.0/8', 'fd00:10::/48'] })
    const without = 'ipv6 is not activated: its blocks are not taken'
    expect(said('frr', text, dual)).toEqual(both(without))
    const everybody = text.replace(
      ' no bgp default ipv4-unicast',
      ' no bgp default ipv4-unicast\n bgp default ipv6-unicast',
    )
    expect(said('frr', everybody, dual).join()).toContain('ipv6: no filter')
    const far = intent({ ...AUTH, ebgpMultihop: 3 })
    const near = text.replace(' neighbor NODES password', ' neighbor NODES ebgp-multihop 2\n neighbor NODES password')
    expect(said('frr', near, far)).toEqual(both('multihop is 2, and the BGPPeer has ebgpMultihop 3'))
    const secured = intent({ ...AUTH, ttlSecurity: 2 })
    const tight = text.replace(
      ' neighbor NODES password',
      ' neighbor NODES ttl-security hops 1\n neighbor NODES password',
    )
    expect(said('frr', tight, secured)).toEqual(both('GTSM is for 1 hops, and the BGPPeer says 2'))
  })

  test('EOS: helping has its own word, filters outside families are of all, a limit is there unasked', () => {
    const outside = EOS.replace('      neighbor NODES route-map IN in\n', '')
      .replace('   neighbor NODES maximum-routes 300\n', '   neighbor NODES route-map IN in\n')
      .replace(/ {3}vrf OTHER[\s\S]*?activate\n/, '')
    expect(said('arista-eos', outside)).toEqual([])
    expect(
      said('arista-eos', outside.replace('NODES route-map', 'NODES maximum-routes 0\n   neighbor NODES route-map')),
    ).toEqual(both('ipv4: no limit of prefixes (planned: 100)'))
    const off = outside.replace(
      '   graceful-restart-helper',
      '   no graceful-restart-helper\n   graceful-restart restart-time 300',
    )
    expect(said('arista-eos', off)).toEqual([
      'switch: graceful restart is off: every restart of a speaker takes its routes along',
    ])
    const unasked = outside.replace('   graceful-restart-helper', '   no graceful-restart')
    expect(said('arista-eos', unasked)).toEqual([])
  })

  test('BIRD: each protocol has an AS of its own, a limit that only warns', () => {
    const first = BIRD.replace(
      'template bgp any_node',
      'protocol bgp core { local as 64900; neighbor 192.0.2.1 as 64901; }\ntemplate bgp any_node',
    )
    expect(said('bird', first)).toEqual(said('bird', BIRD))
    const mixed = first.replace('disabled no;', 'disabled no; local as 64900;')
    expect(said('bird', mixed).join()).toContain('the switch is AS 64900 towards it')
    const warned = BIRD.replace('receive limit 200 action disable', 'receive limit 200 action warn')
    expect(said('bird', warned)).toContain(
      'neighbour 172.16.0.11 (node-1): ipv4: beyond the limit of prefixes there is only a warning',
    )
  })
})
