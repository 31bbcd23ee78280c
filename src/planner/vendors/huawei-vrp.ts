/**
 * Huawei VRP 8 (CloudEngine, NetEngine). As helper it heeds the restart time that we announce.
 * GTSM of a group wants the group's members first. Load balancing is said for one kind of
 * neighbour: without that word VRP puts itself as next hop into all it passes on. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { NO_LENIENT_BFD } from './ios-like.ts'
import { type Vendor, WHY } from './vendor.ts'

export const huaweiVrp: Vendor = {
  name: 'huawei-vrp',
  title: 'Huawei VRP 8',
  sources: [
    'Huawei NetEngine 8000 F1A command reference, gr-timer-wait-for-rib, read: http://a10.tagan.ru/huawei/netengine8000f1a/command/8090/gr-timer-wait-for-rib(BGPOM).html: 3 to 3000 s, 600 s by default, how long End-of-RIB is awaited',
    'Huawei CE6800 V300R023C00 command reference, BGP configuration commands, read in WheaterW/INTA-project, nassim-main/corpus/hw: peer GROUP timer keepalive SECONDS hold SECONDS; peer password simple or cipher (255 characters); peer valid-ttl-hops (1 means TTL 255 alone; not with peer ebgp-max-hop; of a group, after its members); peer bfd (intervals of 3 to 1000 ms, multiplier of 3 to 50) and peer bfd enable; peer route-limit LIMIT PERCENT idle-timeout MINUTES; maximum load-balancing ebgp or ibgp NUMBER; peer ip-prefix NAME import, with an ip ip-prefix permit ADDRESS LENGTH greater-equal less-equal in its example',
  ],
  unconfirmed: ['listen-only'],
  stays: 'graceful-restart and its timer, maximum load-balancing, bfd',
  comment: '#',
  configure: intent => [...lists(intent), ...router(intent)],
  look: intent => [
    ...intent.families.map(family => `display bgp ${family === 'ipv4' ? '' : 'ipv6 '}peer`),
    ...intent.families.map(family => `display bgp ${family === 'ipv4' ? '' : 'ipv6 '}routing-table`),
    ...intent.families.map(family => `display ${family === 'ipv4' ? 'ip' : 'ipv6'} routing-table protocol bgp`),
    ...(intent.bfd === undefined ? [] : ['display bgp bfd session all']),
  ],
  undo: intent => [
    `bgp ${intent.switchAs}`,
    ...intent.speakers.map(({ address }) => `  undo peer ${address}`),
    `  undo group ${nameOf(intent)}`,
    '  quit',
    `undo route-policy ${nameOf(intent)}-OUT`,
    ...intent.families.map(family => `undo ip ${prefixWord(family)} ${nameOf(intent)}`),
    'commit',
  ],
  missing: intent => [
    ...(intent.extendedNextHop ? ['IPv4 prefixes with IPv6 next hops (RFC 8950): give the nodes IPv4 addresses'] : []),
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
    ...(intent.bfd === undefined ? [] : [NO_LENIENT_BFD]),
    ...(intent.port === 179 ? [] : ['a port other than 179']),
  ],
}

function prefixWord(family: Family): string {
  return family === 'ipv4' ? 'ip-prefix' : 'ipv6-prefix'
}

/** Address and length apart; whole lengths without a range. */
function lists(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `# ${WHY.prefixes}`,
    ...intent.families.flatMap(family =>
      poolsOf(intent, family).map(({ cidr, length, blockLength }, index) => {
        const range = length === blockLength ? '' : ` greater-equal ${blockLength} less-equal ${blockLength}`
        return `ip ${prefixWord(family)} ${name} index ${(index + 1) * 10} permit ${cidr.replace('/', ' ')}${range}`
      }),
    ),
    `# ${WHY.nothing}`,
    `route-policy ${name}-OUT deny node 10`,
    'quit',
  ]
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const { restartTimeSeconds, password, ttlSecurity, multihop, bfd } = intent
  // 1000 ms at most are taken; a speaker that wants more time gets it (RFC 5880 section 6.8.2)
  const interval = Math.min(bfd?.intervalMilliseconds ?? 0, 1000)
  return [
    ...(bfd === undefined ? [] : ['bfd', ' quit']),
    `bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [` # ${WHY.routerId}`, ` router-id ${routerIdOf(intent)}`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          ` # ${WHY.helper(restartTimeSeconds)}`,
          ' graceful-restart',
          ` graceful-restart timer wait-for-rib ${Math.min(restartTimeSeconds, 3000)}`,
        ]),
    ` group ${name} ${isInternal(intent) ? 'internal' : 'external'}`,
    ...(isInternal(intent) ? [] : [` peer ${name} as-number ${intent.nodesAs}`]),
    ` peer ${name} timer keepalive ${Math.floor(intent.holdTimeSeconds / 3)} hold ${intent.holdTimeSeconds}`,
    ...(intent.dials ? [] : [` peer ${name} listen-only`]),
    ...(password === undefined ? [] : [` # ${WHY.password}`, ` peer ${name} password simple ${password}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [` peer ${name} ebgp-max-hop ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          ` peer ${name} bfd min-tx-interval ${interval} min-rx-interval ${interval} detect-multiplier ${Math.max(bfd.multiplier, 3)}`,
          ` peer ${name} bfd enable`,
        ]),
    ` # ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      ` peer ${address} group ${name}`,
      ` peer ${address} description ${node}`,
    ]),
    ...(ttlSecurity === undefined
      ? []
      : [` # ${WHY.gtsm(ttlSecurity)}`, ` peer ${name} valid-ttl-hops ${ttlSecurity}`]),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
    ' quit',
    'commit',
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    ` ${family}-family unicast`,
    `  # ${WHY.paths}`,
    `  maximum load-balancing ${isInternal(intent) ? 'ibgp' : 'ebgp'} 4`,
    `  peer ${name} enable`,
    ...(family === intent.sessionFamily ? [] : intent.speakers.map(({ address }) => `  peer ${address} group ${name}`)),
    `  # ${WHY.nextHop}`,
    `  peer ${name} ${prefixWord(family)} ${name} import`,
    `  peer ${name} route-policy ${name}-OUT export`,
    `  # ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 5 minutes`,
    `  peer ${name} route-limit ${intent.maximumPrefixes} 80 idle-timeout 5`,
    '  quit',
  ]
}
