/**
 * Cisco NX-OS. A peer template holds the words; graceful restart is on by default, its stale timer
 * of 300 s is shorter than ours. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { NO_LENIENT_BFD } from './ios-like.ts'
import { prefixLists, routeMaps, undoLists } from './ios-words.ts'
import { type Vendor, WHY } from './vendor.ts'

export const ciscoNxOs: Vendor = {
  name: 'cisco-nx-os',
  title: 'Cisco NX-OS 9 and newer',
  sources: [
    'from memory, Cisco Nexus 9000 Series NX-OS Unicast Routing Configuration Guide, chapters Basic BGP and Advanced BGP: template peer, inherit peer, graceful-restart stalepath-time (default 300), maximum-prefix, ttl-security hops, transport connection-mode passive, bfd',
    "CiscoTestAutomation/genielibs, conf of BGP for NX-OS, Cisco's own: graceful-restart stalepath-time without the word bgp",
    'ipspace/netlab, netsim/extra/bgp.session/nxos.j2 (used in its integration tests): password, ttl-security hops, timers, transport connection-mode passive',
    'ansible-collections/cisco.nxos, rm_templates/bgp_neighbor_address_family.py, read: maximum-prefix LIMIT PERCENT restart MINUTES',
  ],
  stays: 'feature bgp, graceful-restart and its timer, maximum-paths',
  comment: '!',
  configure: intent => [
    'feature bgp',
    ...(intent.bfd === undefined ? [] : ['feature bfd']),
    ...prefixLists(intent),
    ...routeMaps(intent),
    ...router(intent),
  ],
  look: intent => [
    'show bgp sessions',
    ...intent.families.map(family => `show bgp ${family} unicast`),
    ...intent.families.map(family => `show ${family === 'ipv4' ? 'ip' : 'ipv6'} route bgp-${intent.switchAs}`),
    ...(intent.bfd === undefined ? [] : ['show bfd neighbors']),
  ],
  undo: intent => [
    `router bgp ${intent.switchAs}`,
    ...intent.speakers.map(({ address }) => `  no neighbor ${address}`),
    `  no template peer ${nameOf(intent)}`,
    'exit',
    ...undoLists(intent),
  ],
  missing: intent => [
    ...(intent.extendedNextHop
      ? ['IPv4 prefixes with IPv6 next hops (RFC 8950) of neighbours by address: give the nodes IPv4 addresses']
      : []),
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
    ...(intent.bfd === undefined
      ? []
      : [
          `the times of BFD stand at the interface of the LAN: bfd interval ${intent.bfd.intervalMilliseconds} min_rx ${intent.bfd.intervalMilliseconds} multiplier ${intent.bfd.multiplier}`,
          NO_LENIENT_BFD,
        ]),
    ...(intent.port === 179 ? [] : ['a port other than 179']),
  ],
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const { restartTimeSeconds, password, ttlSecurity, multihop, bfd } = intent
  return [
    `router bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [`  ! ${WHY.routerId}`, `  router-id ${routerIdOf(intent)}`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          `  ! ${WHY.helper(restartTimeSeconds)}`,
          '  graceful-restart',
          `  graceful-restart stalepath-time ${Math.min(restartTimeSeconds, 3600)}`,
        ]),
    ...intent.families.flatMap(family => [
      `  address-family ${family} unicast`,
      `    ! ${WHY.paths}`,
      `    maximum-paths ${isInternal(intent) ? 'ibgp ' : ''}4`,
    ]),
    `  template peer ${name}`,
    `    remote-as ${intent.nodesAs}`,
    `    timers ${Math.floor(intent.holdTimeSeconds / 3)} ${intent.holdTimeSeconds}`,
    ...(intent.dials ? [] : ['    transport connection-mode passive']),
    ...(password === undefined ? [] : [`    ! ${WHY.password}`, `    password 0 ${password}`]),
    ...(ttlSecurity === undefined ? [] : [`    ! ${WHY.gtsm(ttlSecurity)}`, `    ttl-security hops ${ttlSecurity}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [`    ebgp-multihop ${multihop}`]),
    ...(bfd === undefined ? [] : ['    bfd']),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
    `  ! ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      `  neighbor ${address}`,
      `    inherit peer ${name}`,
      `    description ${node}`,
    ]),
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    `    address-family ${family} unicast`,
    `      ! ${WHY.nextHop}`,
    `      route-map ${name}-IN in`,
    `      route-map ${name}-OUT out`,
    `      ! ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 5 minutes`,
    `      maximum-prefix ${intent.maximumPrefixes} 80 restart 5`,
  ]
}
