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
    'from memory, Arista EOS User Manual, Border Gateway Protocol: graceful-restart stalepath-time (default 300), neighbor maximum-routes (12000 where it is not said)',
    'ipspace/netlab, netsim/extra/bgp.session/eos.j2 (used in its integration tests): password, ttl maximum-hops, timers, bfd, passive',
    "aristanetworks/avd, router_bgp of eos_cli_config_gen, Arista's own: graceful-restart-helper, graceful-restart-helper long-lived, graceful-restart stalepath-time, neighbor next-hop address-family ipv6 originate",
    'batfish/batfish, grammar of Arista BGP: peer group, maximum-routes N warning-limit N percent, idle-restart-timer N, password 0 or 7, passive, timers; no neighbor X ttl maximum-hops',
    'Arista EOS, BGP idle restart interval, read: https://www.arista.com/en/support/toi/tag/toi?maxNumPages=94&start=100&widgetCacheId=18b02c62efb405fcaaaa90198b09dc27: a session that stays idle waits for clear ip bgp unless an interval is set',
    'running configurations of others: neighbor GROUP maximum-routes 12000; 0 for no limit',
    'configurations of others: neighbor GROUP bfd interval 300 min-rx 300 multiplier 3',
  ],
  unconfirmed: ['bfd c-bit'],
  stays: 'no bgp default ipv4-unicast, maximum-paths, graceful-restart-helper and its timer',
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
  read: text => readIos(text, { gracefulRestart: true, stalePathSeconds: 300, eos: { maximumRoutes: 12_000 } }),
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
    `   ! ${WHY.maximum(intent.maximumPrefixes * intent.families.length)}; a session that was cut tries again after 5 minutes`,
    `   neighbor ${name} maximum-routes ${intent.maximumPrefixes * intent.families.length} warning-limit 80 percent`,
    `   neighbor ${name} idle-restart-timer 300`,
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
