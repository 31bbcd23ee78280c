/**
 * `--verify` against running configurations of routers that do more than this: other address
 * families beside, policies of policies, VRFs behind families, what is switched off by a word.
 */
import { describe, expect, test } from 'bun:test'
import { compareSwitch } from '../../../src/planner/vendors/facts.ts'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { intent } from './intents.ts'

const WANTED = intent()
const BFD = intent({ bfd: { enabled: true } })

function said(name: string, text: string, what = WANTED): string[] {
  const read = VENDORS.find(vendor => vendor.name === name)?.read
  if (read === undefined) throw new Error(name)
  return compareSwitch(what, read(text)).map(({ where, what: words }) => `${where}: ${words}`)
}

/** The same words, about both neighbours. */
function both(words: string): string[] {
  return [`neighbour 172.16.0.11 (node-1): ${words}`, `neighbour 172.16.0.12 (node-2): ${words}`]
}

describe('other address families beside', () => {
  const FRR = `
frr defaults traditional
log syslog informational
!
router bgp 65001
 bgp router-id 172.16.0.1
 bgp log-neighbor-changes
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 bgp graceful-restart stalepath-time 600
 neighbor SPINES peer-group
 neighbor SPINES remote-as internal
 neighbor NODES peer-group
 neighbor NODES remote-as 65010
 neighbor NODES timers 10 30
 neighbor NODES capability extended-nexthop
 neighbor swp1 interface peer-group SPINES
 neighbor 172.16.0.11 peer-group NODES
 neighbor 172.16.0.11 description node-1 router bgp 7
 neighbor 172.16.0.12 peer-group NODES
 !
 address-family ipv4 unicast
  redistribute connected
  neighbor SPINES activate
  neighbor NODES activate
  neighbor NODES route-map NODES-IN in
  neighbor NODES maximum-prefix 800 90
 exit-address-family
 !
 address-family ipv4 vpn
  neighbor NODES activate
  neighbor NODES route-map EVERYTHING in
 exit-address-family
 !
 address-family l2vpn evpn
  neighbor SPINES activate
  neighbor NODES activate
  neighbor NODES route-map EVERYTHING in
  neighbor NODES maximum-prefix 1
  advertise-all-vni
 exit-address-family
exit
!
ip prefix-list NODES seq 5 permit 10.0.0.0/8 ge 25 le 25
!
route-map NODES-IN permit 10
 match ip address prefix-list NODES
exit
!
route-map EVERYTHING permit 10
exit
!
`
  test('FRR: what EVPN and VPN families say is not of IPv4', () => {
    expect(said('frr', FRR)).toEqual([])
  })

  test('FRR: activated in others alone, it is not activated', () => {
    const text = FRR.replace('  neighbor NODES activate\n  neighbor NODES route-map NODES-IN in\n', '')
    expect(said('frr', text)).toEqual(both('ipv4 is not activated: its blocks are not taken'))
  })

  test('FRR: whichever AS', () => {
    const text = FRR.replace('NODES remote-as 65010', 'NODES remote-as auto')
    expect(said('frr', text)).toEqual(both('any AS is taken, planned is 65010'))
  })

  test('FRR: an access list or a length is no prefix list, so nobody knows what such a clause takes', () => {
    for (const condition of ['ip address NODES', 'ip address prefix-len 25']) {
      const text = FRR.replace('match ip address prefix-list NODES', `match ${condition}`)
      expect(said('frr', text)).toEqual(both('ipv4: blocks of /25 of 10.0.0.0/8 do not get in'))
    }
  })

  const IOS = `Building configuration...

Current configuration : 9001 bytes
!
version 17.9
!
router bgp 65001
 template peer-policy BASE
  prefix-list NODES in
  maximum-prefix 800
 exit-peer-policy
 !
 template peer-policy NODES
  send-community both
  inherit peer-policy BASE 10
 exit-peer-policy
 !
 template peer-session NODES
  remote-as 65010
  fall-over bfd single-hop
 exit-peer-session
 !
 bgp log-neighbor-changes
 bgp graceful-restart stalepath-time 600
 bgp graceful-restart
 no bgp default ipv4-unicast
 neighbor 10.9.9.9 remote-as 65001
 neighbor 10.9.9.9 update-source Loopback0
 neighbor 172.16.0.11 inherit peer-session NODES
 neighbor 172.16.0.12 inherit peer-session NODES
 !
 address-family ipv4
  redistribute connected
  neighbor 172.16.0.11 activate
  neighbor 172.16.0.11 inherit peer-policy NODES
  neighbor 172.16.0.12 activate
  neighbor 172.16.0.12 inherit peer-policy NODES
 exit-address-family
 !
 address-family vpnv4
  neighbor 10.9.9.9 activate
  neighbor 10.9.9.9 send-community extended
 exit-address-family
 !
 address-family ipv4 mvpn
  neighbor 172.16.0.11 maximum-prefix 1
 exit-address-family
 !
 address-family ipv4 vrf RED
  neighbor 172.16.0.11 remote-as 64999
  neighbor 172.16.0.11 activate
 exit-address-family
!
ip prefix-list NODES seq 5 permit 10.0.0.0/8 ge 25 le 25
!
line con 0
end
`
  test('IOS-XE: policies of policies; vpnv4, mvpn and a VRF beside', () => {
    expect(said('cisco-ios-xe', IOS)).toEqual(
      both('BFD is on, and the BGPPeer has none: the session may wait for it for ever'),
    )
    const without = IOS.replace('  fall-over bfd single-hop\n', '')
    expect(said('cisco-ios-xe', without)).toEqual([])
    expect(said('cisco-ios-xe', without.replace('  maximum-prefix 800\n', ''))).toEqual(
      both('ipv4: no limit of prefixes (planned: 100)'),
    )
    const active = without.replaceAll(/ {2}neighbor 172\S+ activate\n(?= {2}neighbor \S+ inherit)/g, '')
    expect(said('cisco-ios-xe', active)).toEqual(both('ipv4 is not activated: its blocks are not taken'))
  })

  test('IOS-XE: policies that inherit each other end', () => {
    const text = IOS.replace('  prefix-list NODES in\n', '  inherit peer-policy NODES 20\n')
    expect(said('cisco-ios-xe', text).join()).toContain('no filter, every prefix gets in')
  })
})

test('EOS: a family ends where its margin does; what follows is of all', () => {
  const text = `
router bgp 65001
   router-id 172.16.0.1
   no bgp default ipv4-unicast
   graceful-restart stalepath-time 600
   graceful-restart-helper
   neighbor NODES peer group
   neighbor NODES remote-as 65010
   neighbor NODES maximum-routes 800
   neighbor 172.16.0.11 peer group NODES
   neighbor 172.16.0.12 peer group NODES
   !
   address-family evpn
      neighbor NODES activate
      neighbor NODES route-map EVERYTHING in
   !
   address-family ipv4
      neighbor NODES activate
      neighbor NODES prefix-list NODES in
   !
   vrf RED
      rd 1:1
      neighbor 172.16.0.11 remote-as 64999
      neighbor 172.16.0.11 maximum-routes 1
!
ip prefix-list NODES
   seq 10 permit 10.0.0.0/8 eq 25
!
route-map EVERYTHING permit 10
!
end
`
  expect(said('arista-eos', text)).toEqual([])
  expect(
    said(
      'arista-eos',
      text.replace('      neighbor NODES activate\n      neighbor NODES prefix', '      neighbor NODES prefix'),
    ),
  ).toEqual(both('ipv4 is not activated: its blocks are not taken'))
})

test('the words that let a restart keep the routes, taken back by themselves', () => {
  const lines = (more: string) => `
router bgp 65001
 bgp graceful-restart stalepath-time 600
 neighbor 172.16.0.11 remote-as 65010
 neighbor 172.16.0.11 bfd
${more} neighbor 172.16.0.11 prefix-list P in
 neighbor 172.16.0.11 maximum-prefix 1000
 neighbor 172.16.0.12 remote-as 65010
 neighbor 172.16.0.12 bfd check-control-plane-failure
 neighbor 172.16.0.12 prefix-list P in
 neighbor 172.16.0.12 maximum-prefix 1000
!
ip prefix-list P seq 5 permit 10.0.0.0/8 ge 25 le 25
`
  const strict = 'BFD is on in the words that end a session at once: a speaker that dies takes its routes along'
  const both_ = [' neighbor 172.16.0.11 bfd check-control-plane-failure\n', ''] as const
  expect(said('frr', lines(both_[0]), BFD)).toEqual([])
  expect(said('frr', lines(both_[1]), BFD)).toEqual([`neighbour 172.16.0.11 (node-1): ${strict}`])
  const back = `${both_[0]} no neighbor 172.16.0.11 bfd check-control-plane-failure\n`
  expect(said('frr', lines(back), BFD)).toEqual([`neighbour 172.16.0.11 (node-1): ${strict}`])
  expect(said('frr', lines(' no neighbor 172.16.0.11 bfd\n'), BFD)[0]).toContain('BFD is off')
})

describe('BIRD', () => {
  const bird = (filter: string, channel = 'ipv4') => `
router id 172.16.0.1;
filter nodes { ${filter} }
template bgp node {
  local 172.16.0.1 port 179 as 65001;
  hold time 30;
  graceful restart aware;
  ${channel} { import filter nodes; import limit 1000 action disable; export none; };
}
protocol bgp n1 from node { neighbor 172.16.0.11 as 65010; }
protocol bgp n2 from node { neighbor 172.16.0.12 port 179 as 65010; }
`
  test('a prefix in place of a set, with a length beside it, on either side', () => {
    expect(said('bird', bird('if net ~ 10.0.0.0/8 && net.len = 25 then accept; reject;'))).toEqual([])
    expect(
      said('bird', bird('if (net.len >= 25) && (net.len < 26) && net ~ [ 10.0.0.0/8+ ] then accept; reject;')),
    ).toEqual([])
    expect(said('bird', bird('if net ~ 10.0.0.0/8 then accept; reject;'))).toEqual(
      both('ipv4: more gets in than blocks of nodes: 10.0.0.0/8 from /8 to /32'),
    )
    expect(said('bird', bird('if net ~ 10.0.0.0/8 && net.len <= 24 then accept; reject;'))).toContain(
      both('ipv4: blocks of /25 of 10.0.0.0/8 do not get in')[0] ?? '',
    )
  })

  test('a channel of multicast is none of IPv4', () => {
    expect(said('bird', bird('if net ~ [ 10.0.0.0/8{25,25} ] then accept; reject;', 'ipv4 multicast'))).toEqual(
      both('ipv4 is not activated: its blocks are not taken'),
    )
  })
})
