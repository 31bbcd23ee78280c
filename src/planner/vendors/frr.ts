/**
 * FRR (bgpd), for vtysh or /etc/frr/frr.conf; https://docs.frrouting.org/en/latest/bgp.html. FRR's
 * own stale timer runs beside the restart time that we announce, and its default of 360 s is
 * shorter: it is set to ours. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { prefixLists, routeMaps, undoLists } from './ios-words.ts'
import { readIos } from './read-ios.ts'
import { type Vendor, WHY } from './vendor.ts'

export const frr: Vendor = {
  name: 'frr',
  title: 'FRR 8 and newer',
  ranWith: 'FRR 8.4',
  sources: ['https://docs.frrouting.org/en/latest/bgp.html, and the real FRR'],
  stays: 'no bgp default ipv4-unicast, bgp graceful-restart and its timer, maximum-paths',
  comment: '!',
  configure: intent => [...prefixLists(intent), ...routeMaps(intent, ['exit']), ...router(intent)],
  look: intent => lookInIosWords(intent),
  undo: intent => [
    `router bgp ${intent.switchAs}`,
    ...intent.speakers.map(({ address }) => `  no neighbor ${address}`),
    `  no neighbor ${nameOf(intent)} peer-group`,
    'exit',
    ...undoLists(intent),
    ...(intent.bfd === undefined ? [] : ['bfd', `  no profile ${nameOf(intent)}`, 'exit']),
  ],
  missing: () => [],
  read: text => readIos(text, { gracefulRestart: true, stalePathSeconds: 360 }),
}

function lookInIosWords(intent: SwitchIntent): string[] {
  return [
    'show bgp summary',
    ...intent.families.map(family => `show bgp ${family} unicast`),
    ...intent.families.map(family => `show ${family === 'ipv4' ? 'ip' : 'ipv6'} route bgp`),
    ...(intent.bfd === undefined ? [] : ['show bfd peers brief']),
  ]
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const { bfd, restartTimeSeconds, ttlSecurity, multihop, password, longLivedSeconds } = intent
  return [
    ...(bfd === undefined
      ? []
      : [
          'bfd',
          ` profile ${name}`,
          `  receive-interval ${bfd.intervalMilliseconds}`,
          `  transmit-interval ${bfd.intervalMilliseconds}`,
          `  detect-multiplier ${bfd.multiplier}`,
          ' exit',
          'exit',
        ]),
    `router bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [` ! ${WHY.routerId}`, ` bgp router-id ${routerIdOf(intent)}`]),
    ' no bgp default ipv4-unicast',
    ...(restartTimeSeconds === undefined
      ? []
      : [
          ` ! ${WHY.helper(restartTimeSeconds)}`,
          ' bgp graceful-restart',
          ` bgp graceful-restart stalepath-time ${restartTimeSeconds}`,
        ]),
    ...(longLivedSeconds === undefined ? [] : [` bgp long-lived-graceful-restart stale-time ${longLivedSeconds}`]),
    ` neighbor ${name} peer-group`,
    ` neighbor ${name} remote-as ${intent.nodesAs}`,
    ` neighbor ${name} timers ${Math.floor(intent.holdTimeSeconds / 3)} ${intent.holdTimeSeconds}`,
    ...(intent.port === 179
      ? []
      : [` ! bgpd must listen on port ${intent.port}: start it with --bgp_port ${intent.port}`]),
    ...(intent.dials ? [] : [` neighbor ${name} passive`]),
    ...(password === undefined ? [] : [` ! ${WHY.password}`, ` neighbor ${name} password ${password}`]),
    ...(ttlSecurity === undefined
      ? []
      : [` ! ${WHY.gtsm(ttlSecurity)}`, ` neighbor ${name} ttl-security hops ${ttlSecurity}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [` neighbor ${name} ebgp-multihop ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          ` ! ${WHY.bfd}`,
          ` neighbor ${name} bfd`,
          ` neighbor ${name} bfd profile ${name}`,
          ` neighbor ${name} bfd check-control-plane-failure`,
        ]),
    ...(intent.extendedNextHop ? [` ! ${WHY.extended}`, ` neighbor ${name} capability extended-nexthop`] : []),
    ` ! ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      ` neighbor ${address} peer-group ${name}`,
      ` neighbor ${address} description ${node}`,
    ]),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
    'exit',
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    ` address-family ${family} unicast`,
    `  ! ${WHY.paths}`,
    `  maximum-paths${isInternal(intent) ? ' ibgp' : ''} 4`,
    `  neighbor ${name} activate`,
    `  ! ${WHY.nextHop}`,
    `  neighbor ${name} route-map ${name}-IN in`,
    `  neighbor ${name} route-map ${name}-OUT out`,
    `  ! ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 5 minutes`,
    `  neighbor ${name} maximum-prefix ${intent.maximumPrefixes} 80 restart 5`,
    ' exit-address-family',
  ]
}
