/**
 * Cisco IOS-XR. Without route policies it takes nothing from eBGP neighbours; graceful restart must
 * be switched on, and its stale timer of 360 s is shorter than ours. Commit at the end. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { NO_LENIENT_BFD } from './ios-like.ts'
import { type Vendor, WHY } from './vendor.ts'

export const ciscoIosXr: Vendor = {
  name: 'cisco-ios-xr',
  title: 'Cisco IOS-XR 6 and newer',
  sources: [
    'from memory, Cisco IOS XR Routing Command Reference, BGP Commands: neighbor-group, bgp graceful-restart, bgp graceful-restart stalepath-time (default 360), bgp graceful-restart purge-time, session-open-mode, maximum-prefix, ttl-security, bfd fast-detect',
    'from memory, Cisco IOS XR Routing Command Reference, Routing Policy Language Commands: prefix-set (eq), route-policy; one set for each family here, as whether one may hold both was not found',
    'BGP Configuration Guide for Cisco NCS 5500, IOS XR 6.2, read: https://www.easymanua.ls/cisco/ncs-5500-series/manual/234201?p=129: a session is ended by Cease beyond the limit of a family',
    "netascode/terraform-iosxr-nac-iosxr, Cisco's own: bfd fast-detect, bfd minimum-interval, bfd multiplier, password, ebgp-multihop, use neighbor-group of a neighbour, maximum-prefix with limit, threshold and restart; strict-mode is another word of bfd fast-detect",
    'ansible-collections/cisco.iosxr, bgp_global: bgp graceful-restart purge-time, bgp graceful-restart stalepath-time',
    "Team Cymru's guide to UTRS: session-open-mode passive-only of a neighbour",
    'ipspace/netlab, netsim/extra/bgp.session/iosxr.j2 (used in its integration tests): password clear, ttl-security, timers',
  ],
  stays: 'bgp graceful-restart and its timers, the families of the instance, maximum-paths',
  comment: '!',
  configure: intent => [...policies(intent), ...router(intent), 'commit'],
  look: intent => [
    'show bgp summary',
    ...intent.families.map(family => `show bgp ${family} unicast`),
    ...intent.families.map(family => `show route ${family} bgp`),
    ...(intent.bfd === undefined ? [] : ['show bfd session']),
  ],
  undo: intent => [
    `router bgp ${intent.switchAs}`,
    ...intent.speakers.map(({ address }) => `  no neighbor ${address}`),
    `  no neighbor-group ${nameOf(intent)}`,
    'exit',
    ...intent.families.map(family => `no route-policy ${setOf(intent, family)}-IN`),
    `no route-policy ${nameOf(intent)}-OUT`,
    ...intent.families.map(family => `no prefix-set ${setOf(intent, family)}`),
    'commit',
  ],
  missing: intent => [
    ...(intent.extendedNextHop
      ? ['IPv4 prefixes with IPv6 next hops (RFC 8950) of neighbours by address: give the nodes IPv4 addresses']
      : []),
    ...(intent.ttlSecurity !== undefined && intent.ttlSecurity > 1 ? ['GTSM over more than one hop'] : []),
    ...(intent.longLivedSeconds === undefined
      ? []
      : [
          'long-lived graceful restart (RFC 9494) is configured for each address family: long-lived-graceful-restart capable',
        ]),
    ...(intent.bfd === undefined ? [] : [NO_LENIENT_BFD]),
    ...(intent.port === 179 ? [] : ['a port other than 179']),
  ],
}

function policies(intent: SwitchIntent): string[] {
  return [
    `! ${WHY.prefixes}`,
    ...intent.families.flatMap(family => familyPolicy(intent, family)),
    `! ${WHY.nothing}`,
    `route-policy ${nameOf(intent)}-OUT`,
    '  drop',
    'end-policy',
  ]
}

function familyPolicy(intent: SwitchIntent, family: Family): string[] {
  const name = setOf(intent, family)
  const rules = poolsOf(intent, family).map(({ cidr, length, blockLength }) =>
    length === blockLength ? cidr : `${cidr} eq ${blockLength}`,
  )
  return [
    `prefix-set ${name}`,
    ...rules.map((rule, index) => `  ${rule}${index < rules.length - 1 ? ',' : ''}`),
    'end-set',
    `route-policy ${name}-IN`,
    `  if destination in ${name} then`,
    '    pass',
    '  else',
    '    drop',
    '  endif',
    'end-policy',
  ]
}

/** A family's prefix set, and how its policy begins. */
function setOf(intent: SwitchIntent, family: Family): string {
  return family === 'ipv4' ? nameOf(intent) : `${nameOf(intent)}-IPV6`
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const { restartTimeSeconds, password, ttlSecurity, multihop, bfd } = intent
  return [
    `router bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [` ! ${WHY.routerId}`, ` bgp router-id ${routerIdOf(intent)}`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          ` ! ${WHY.helper(restartTimeSeconds)}`,
          ' bgp graceful-restart',
          ` bgp graceful-restart stalepath-time ${restartTimeSeconds}`,
          ` bgp graceful-restart purge-time ${restartTimeSeconds}`,
        ]),
    ...intent.families.flatMap(family => [
      ` address-family ${family} unicast`,
      `  ! ${WHY.paths}`,
      `  maximum-paths ${isInternal(intent) ? 'ibgp' : 'ebgp'} 4`,
      ' !',
    ]),
    ` neighbor-group ${name}`,
    `  remote-as ${intent.nodesAs}`,
    `  timers ${Math.floor(intent.holdTimeSeconds / 3)} ${intent.holdTimeSeconds}`,
    ...(intent.dials ? [] : ['  session-open-mode passive-only']),
    ...(password === undefined ? [] : [`  ! ${WHY.password}`, `  password clear ${password}`]),
    ...(ttlSecurity === 1 ? [`  ! ${WHY.gtsm(1)}`, '  ttl-security'] : []),
    ...(multihop === undefined || isInternal(intent) ? [] : [`  ebgp-multihop ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          '  bfd fast-detect',
          `  bfd minimum-interval ${bfd.intervalMilliseconds}`,
          `  bfd multiplier ${bfd.multiplier}`,
        ]),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
    ' !',
    ` ! ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      ` neighbor ${address}`,
      `  use neighbor-group ${name}`,
      `  description ${node}`,
      ' !',
    ]),
    '!',
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    `  address-family ${family} unicast`,
    `   ! ${WHY.nextHop}`,
    `   route-policy ${setOf(intent, family)}-IN in`,
    `   route-policy ${name}-OUT out`,
    `   ! ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 5 minutes`,
    `   maximum-prefix ${intent.maximumPrefixes} 80 restart 5`,
    '  !',
  ]
}
