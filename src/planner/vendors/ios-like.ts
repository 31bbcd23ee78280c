/**
 * Cisco IOS-XE and Ruijie RGOS: one grammar with few differences. Peer groups hold the words,
 * address families the filters. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, routerIdOf, type SwitchIntent } from './intent.ts'
import type { IosDefaults } from './ios-facts.ts'
import { prefixLists, routeMaps, undoLists } from './ios-words.ts'
import { readIos } from './read-ios.ts'
import { type Vendor, WHY } from './vendor.ts'

/** Where the two differ. */
interface Dialect {
  readonly name: string
  readonly title: string
  readonly sources: readonly string[]
  readonly unconfirmed?: readonly string[]
  /** Behind `fall-over bfd`: lets a restart keep the routes; absent: there is no word for it. */
  readonly lenientBfd?: string
  readonly passive?: string
  readonly defaults: IosDefaults
}

function iosLike(dialect: Dialect): Vendor {
  return {
    name: dialect.name,
    title: dialect.title,
    sources: dialect.sources,
    ...(dialect.unconfirmed !== undefined && { unconfirmed: dialect.unconfirmed }),
    stays: 'no bgp default ipv4-unicast, bgp graceful-restart and its timer, maximum-paths',
    comment: '!',
    configure: intent => [...prefixLists(intent), ...routeMaps(intent), ...router(intent, dialect)],
    look: intent => [
      ...intent.families.flatMap(family => [`show bgp ${family} unicast summary`, `show bgp ${family} unicast`]),
      ...intent.families.map(family => `show ${family === 'ipv4' ? 'ip' : 'ipv6'} route bgp`),
      ...(intent.bfd === undefined ? [] : ['show bfd neighbors']),
    ],
    undo: intent => [
      `router bgp ${intent.switchAs}`,
      ...intent.speakers.map(({ address }) => `  no neighbor ${address}`),
      `  no neighbor ${nameOf(intent)} peer-group`,
      'exit',
      ...undoLists(intent),
    ],
    missing: intent => [
      ...(intent.extendedNextHop
        ? ['IPv4 prefixes with IPv6 next hops (RFC 8950): give the nodes IPv4 addresses']
        : []),
      ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
      ...(intent.bfd === undefined
        ? []
        : [
            `the times of BFD stand at the interface of the LAN: bfd interval ${intent.bfd.intervalMilliseconds} min_rx ${intent.bfd.intervalMilliseconds} multiplier ${intent.bfd.multiplier}`,
            ...(dialect.lenientBfd === undefined ? [NO_LENIENT_BFD] : []),
          ]),
      ...(dialect.passive === undefined && !intent.dials
        ? ['the switch dials as well: harmless, one connection remains']
        : []),
      ...(intent.port === 179 ? [] : ['a port other than 179']),
    ],
    read: text => readIos(text, dialect.defaults),
  }
}

export const NO_LENIENT_BFD =
  'no word that keeps the routes when BFD goes down: a speaker that dies takes its routes along where no other speaker has announced them, so name three'

function router(intent: SwitchIntent, dialect: Dialect): string[] {
  const name = nameOf(intent)
  const { restartTimeSeconds, password, ttlSecurity, multihop, bfd } = intent
  return [
    `router bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [` ! ${WHY.routerId}`, ` bgp router-id ${routerIdOf(intent)}`]),
    ' no bgp default ipv4-unicast',
    ...(restartTimeSeconds === undefined
      ? []
      : [
          ` ! ${WHY.helper(restartTimeSeconds)}`,
          ' bgp graceful-restart',
          ` bgp graceful-restart stalepath-time ${Math.min(restartTimeSeconds, 3600)}`,
        ]),
    ` neighbor ${name} peer-group`,
    ` neighbor ${name} remote-as ${intent.nodesAs}`,
    ` neighbor ${name} timers ${Math.floor(intent.holdTimeSeconds / 3)} ${intent.holdTimeSeconds}`,
    ...(intent.dials || dialect.passive === undefined ? [] : [` neighbor ${name} ${dialect.passive}`]),
    ...(password === undefined ? [] : [` ! ${WHY.password}`, ` neighbor ${name} password ${password}`]),
    ...(ttlSecurity === undefined
      ? []
      : [` ! ${WHY.gtsm(ttlSecurity)}`, ` neighbor ${name} ttl-security hops ${ttlSecurity}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [` neighbor ${name} ebgp-multihop ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          ` ! ${WHY.bfd}`,
          ` neighbor ${name} fall-over bfd${dialect.lenientBfd === undefined ? '' : ` ${dialect.lenientBfd}`}`,
        ]),
    ` ! ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      ` neighbor ${address} peer-group ${name}`,
      ` neighbor ${address} description ${node}`,
    ]),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    ` address-family ${family} unicast`,
    `  ! ${WHY.paths}`,
    `  maximum-paths ${isInternal(intent) ? 'ibgp ' : ''}4`,
    `  ! ${WHY.nextHop}`,
    `  neighbor ${name} route-map ${name}-IN in`,
    `  neighbor ${name} route-map ${name}-OUT out`,
    `  ! ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 5 minutes`,
    `  neighbor ${name} maximum-prefix ${intent.maximumPrefixes} 80 restart 5`,
    ...intent.speakers.map(({ address }) => `  neighbor ${address} activate`),
    ' exit-address-family',
  ]
}

export const ciscoIosXe = iosLike({
  name: 'cisco-ios-xe',
  title: 'Cisco IOS-XE 16 and newer',
  sources: [
    'from memory, Cisco IOS IP Routing: BGP Command Reference: bgp graceful-restart (stalepath-time 1 to 3600, default 360), neighbor fall-over, neighbor maximum-prefix, neighbor ttl-security, neighbor transport connection-mode',
    'CiscoDevNet/terraform-provider-iosxe, examples of iosxe_bgp_neighbor, made from the YANG of IOS-XE: fall-over bfd with check-control-plane-failure beside single-hop and strict-mode',
    "CiscoTestAutomation/genielibs, conf of BGP for IOS-XE, Cisco's own: bgp graceful-restart stalepath-time",
    'ansible-collections/cisco.ios, rm_templates/bgp_global.py, read: bgp graceful-restart and bgp graceful-restart stalepath-time N on lines of their own; for the BGP of its firewalls, near to that of IOS, Cisco says 1 to 3600 and 360 by default: https://developer.cisco.com/docs/ftd-ansible-v6-3/bgpgracefulrestart',
    'Cisco IOS 15S and IOS XE 3SE, BGP Restart Neighbor Session After Max-Prefix Limit Reached, read: https://studylib.net/doc/18191689/bgp-restart-neighbor-session-after-max-prefix-limit-reached: neighbor maximum-prefix has the word restart; configurations of others: maximum-prefix 100 80 restart 5',
  ],
  lenientBfd: 'check-control-plane-failure',
  passive: 'transport connection-mode passive',
  defaults: { gracefulRestart: false, stalePathSeconds: 360 },
})

export const ruijie = iosLike({
  name: 'ruijie',
  title: 'Ruijie RGOS 11 and newer',
  sources: [
    "no reference of Ruijie could be read: its words are taken to be those of Cisco's IOS, whose manner RGOS has",
  ],
  unconfirmed: [
    'bgp graceful-restart stalepath-time',
    'ttl-security hops',
    'fall-over bfd',
    'maximum-prefix',
    'password',
  ],
  defaults: { gracefulRestart: false, stalePathSeconds: 360 },
})
