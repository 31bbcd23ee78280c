/**
 * Arista EOS. Helping neighbours that restart is on by default, its stale timer of 300 s is shorter
 * than ours. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { prefixRule, routeMaps, undoLists } from './ios-words.ts'
import { readIos } from './read-ios.ts'
import { type Vendor, WHY } from './vendor.ts'

export const aristaEos: Vendor = {
  name: 'arista-eos',
  title: 'Arista EOS 4.2x (multi-agent)',
  sources: [
    'Arista EOS User Manual, Border Gateway Protocol: graceful-restart-helper, graceful-restart stalepath-time (default 300), neighbor maximum-routes, neighbor ttl maximum-hops, neighbor bfd',
    'Arista EOS, BFD support for the C-bit: neighbor bfd c-bit',
    'ipspace/netlab, netsim/extra/bgp.session/eos.j2 (used in its integration tests): password, ttl maximum-hops, timers, bfd, passive',
    'aristanetworks/avd, router_bgp of eos_cli_config_gen: graceful-restart-helper, graceful-restart stalepath-time',
  ],
  comment: '!',
  configure: intent => [...prefixLists(intent), ...routeMaps(intent), ...router(intent)],
  look: intent => [
    'show ip bgp summary',
    ...intent.families.map(family => `show bgp ${family} unicast`),
    ...intent.families.map(family => `show ${family === 'ipv4' ? 'ip' : 'ipv6'} route bgp`),
    ...(intent.bfd === undefined ? [] : ['show bfd peers']),
  ],
  undo: intent => [
    `router bgp ${intent.switchAs}`,
    ...intent.speakers.map(({ address }) => `   no neighbor ${address}`),
    `   no neighbor ${nameOf(intent)} peer group`,
    'exit',
    ...undoLists(intent),
  ],
  missing: intent => (intent.port === 179 ? [] : ['a port other than 179']),
  read: text => readIos(text, { gracefulRestart: true, stalePathSeconds: 300 }),
}

function prefixLists(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `! ${WHY.prefixes}`,
    ...intent.families.flatMap(family => [
      `${family === 'ipv4' ? 'ip' : 'ipv6'} prefix-list ${name}`,
      ...poolsOf(intent, family).map((pool, index) => `   seq ${(index + 1) * 5} permit ${prefixRule(pool)}`),
    ]),
  ]
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const { restartTimeSeconds, longLivedSeconds, password, ttlSecurity, multihop, bfd } = intent
  return [
    `router bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [`   ! ${WHY.routerId}`, `   router-id ${routerIdOf(intent)}`]),
    '   no bgp default ipv4-unicast',
    `   ! ${WHY.paths}`,
    '   maximum-paths 4',
    ...(restartTimeSeconds === undefined
      ? []
      : [
          `   ! ${WHY.helper(restartTimeSeconds)}`,
          '   graceful-restart-helper',
          `   graceful-restart stalepath-time ${Math.min(restartTimeSeconds, 3600)}`,
        ]),
    ...(longLivedSeconds === undefined ? [] : ['   graceful-restart-helper long-lived']),
    `   neighbor ${name} peer group`,
    `   neighbor ${name} remote-as ${intent.nodesAs}`,
    `   neighbor ${name} timers ${Math.floor(intent.holdTimeSeconds / 3)} ${intent.holdTimeSeconds}`,
    ...(intent.dials ? [] : [`   neighbor ${name} passive`]),
    ...(password === undefined ? [] : [`   ! ${WHY.password}`, `   neighbor ${name} password 0 ${password}`]),
    ...(ttlSecurity === undefined
      ? []
      : [`   ! ${WHY.gtsm(ttlSecurity)}`, `   neighbor ${name} ttl maximum-hops ${ttlSecurity}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [`   neighbor ${name} ebgp-multihop ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          `   ! ${WHY.bfd}`,
          `   neighbor ${name} bfd`,
          `   neighbor ${name} bfd interval ${bfd.intervalMilliseconds} min-rx ${bfd.intervalMilliseconds} multiplier ${bfd.multiplier}`,
          `   neighbor ${name} bfd c-bit`,
        ]),
    `   ! ${WHY.maximum(intent.maximumPrefixes * intent.families.length)}; a session that was cut stays down: clear ip bgp`,
    `   neighbor ${name} maximum-routes ${intent.maximumPrefixes * intent.families.length} warning-limit 80 percent`,
    `   ! ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      `   neighbor ${address} peer group ${name}`,
      `   neighbor ${address} description ${node}`,
    ]),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    `   address-family ${family}`,
    `      neighbor ${name} activate`,
    `      ! ${WHY.nextHop}`,
    `      neighbor ${name} route-map ${name}-IN in`,
    `      neighbor ${name} route-map ${name}-OUT out`,
    ...(intent.extendedNextHop && family === 'ipv4'
      ? [`      ! ${WHY.extended}`, `      neighbor ${name} next-hop address-family ipv6 originate`]
      : []),
  ]
}
