/**
 * H3C Comware 7. As helper it heeds the restart time that we announce; it has no way to wait for
 * connections only. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { NO_LENIENT_BFD } from './ios-like.ts'
import { type Vendor, WHY } from './vendor.ts'

export const h3cComware: Vendor = {
  name: 'h3c-comware',
  title: 'H3C Comware 7',
  sources: [
    'from memory, H3C S9825 & S9855 Layer 3 IP Routing Command Reference, Basic BGP commands: group, peer as-number, peer timer, peer enable, peer prefix-list, peer route-policy, peer route-limit, balance',
    'H3C S9825 & S9855 Layer 3 IP Routing Command Reference, Advanced BGP commands, contents read: https://www.h3c.com/en/d_202509/2657525_294551_0.htm: graceful-restart, peer bfd, peer bfd parameters, peer password',
    'HP MSR (Comware 7) Layer 3 IP Routing Command Reference, read: https://www.manualshelf.com/manual/hp/hp-msr3024-taa-compliant-ac-router/r0106-hp-msr-router-series-layer-3-ip-routing-command-referencev7/page-384.html: graceful-restart opens the sessions anew; a helper keeps stale routes for the timer of the OPEN that it got; page-404: peer bfd is single-hop or multi-hop, and may notice a restart before graceful restart does',
    'HP 6600/HSR6600 Layer 3 IP Routing Command Reference (Comware 5), read: https://www.manualshelf.com/manual/hp/hp-hsr6602-g-router/r3102-r3103-hp-6600hsr6600-routers-layer-3-ip-routing-command-reference/page-299.html: peer ttl-security hops 1 to 254, of a group too; page-295: peer route-limit NUMBER with reconnect SECONDS and a percentage; peer timer keepalive hold',
    'HPE FlexNetwork 5710 (Comware 7) Layer 3 IP Routing Command Reference, read: https://support.hpe.com/techhub/eginfolib/networking/docs/switches/5710/5200-4991_l3-ip-rtng_cr/content/517706900.htm: peer GROUP password simple, up to 80 characters, in the view of the BGP instance; 517706902.htm: peer GROUP prefix-list NAME import, in the views of both families',
    'from memory, H3C Layer 3 IP Routing Command Reference, Routing policy commands: ip prefix-list, ipv6 prefix-list, route-policy',
  ],
  unconfirmed: ['ip prefix-list', 'ipv6 prefix-list'],
  stays: 'graceful-restart, balance',
  comment: '#',
  configure: intent => [...lists(intent), ...router(intent)],
  look: intent => [
    ...intent.families.map(family => `display bgp peer ${family} unicast`),
    ...intent.families.map(family => `display bgp routing-table ${family} unicast`),
    ...intent.families.map(
      family =>
        `display ${family === 'ipv4' ? 'ip' : 'ipv6'} routing-table protocol ${family === 'ipv4' ? 'bgp' : 'bgp4+'}`,
    ),
    ...(intent.bfd === undefined ? [] : ['display bfd session']),
  ],
  undo: intent => [
    `bgp ${intent.switchAs}`,
    ...intent.speakers.map(({ address }) => `  undo peer ${address}`),
    `  undo group ${nameOf(intent)}`,
    '  quit',
    `undo route-policy ${nameOf(intent)}-OUT`,
    ...intent.families.map(family => `undo ${family === 'ipv4' ? 'ip' : 'ipv6'} prefix-list ${nameOf(intent)}`),
  ],
  missing: intent => [
    ...(intent.dials ? [] : ['the switch dials as well: harmless, one connection remains']),
    ...(intent.extendedNextHop ? ['IPv4 prefixes with IPv6 next hops (RFC 8950): give the nodes IPv4 addresses'] : []),
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
    ...(intent.bfd === undefined
      ? []
      : [
          `the times of BFD stand at the interface of the LAN (newer releases have peer bfd parameters beside it): bfd min-transmit-interval ${intent.bfd.intervalMilliseconds}, bfd min-receive-interval ${intent.bfd.intervalMilliseconds}, bfd detect-multiplier ${intent.bfd.multiplier}`,
          NO_LENIENT_BFD,
        ]),
    ...(intent.port === 179 ? [] : ['a port other than 179']),
  ],
}

function lists(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `# ${WHY.prefixes}`,
    ...intent.families.flatMap(family =>
      poolsOf(intent, family).map(({ cidr, length, blockLength }, index) => {
        const range = length === blockLength ? '' : ` greater-equal ${blockLength} less-equal ${blockLength}`
        return `${family === 'ipv4' ? 'ip' : 'ipv6'} prefix-list ${name} index ${(index + 1) * 10} permit ${cidr.replace('/', ' ')}${range}`
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
  return [
    `bgp ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4' ? [] : [` # ${WHY.routerId}`, ` router-id ${routerIdOf(intent)}`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [` # ${WHY.helper(restartTimeSeconds)}; every BGP session of this switch is opened anew`, ' graceful-restart']),
    ` group ${name} ${isInternal(intent) ? 'internal' : 'external'}`,
    ...(isInternal(intent) ? [] : [` peer ${name} as-number ${intent.nodesAs}`]),
    ` peer ${name} timer keepalive ${Math.floor(intent.holdTimeSeconds / 3)} hold ${intent.holdTimeSeconds}`,
    ...(password === undefined ? [] : [` # ${WHY.password}`, ` peer ${name} password simple ${password}`]),
    ...(ttlSecurity === undefined
      ? []
      : [` # ${WHY.gtsm(ttlSecurity)}`, ` peer ${name} ttl-security hops ${ttlSecurity}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [` peer ${name} ebgp-max-hop ${multihop}`]),
    ...(bfd === undefined ? [] : [` peer ${name} bfd single-hop`]),
    ` # ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      ` peer ${address} group ${name}`,
      ` peer ${address} description ${node}`,
    ]),
    ...intent.families.flatMap(family => addressFamily(intent, family)),
    ' quit',
  ]
}

function addressFamily(intent: SwitchIntent, family: Family): string[] {
  const name = nameOf(intent)
  return [
    ` address-family ${family} unicast`,
    `  # ${WHY.paths}`,
    '  balance 4',
    `  peer ${name} enable`,
    `  # ${WHY.nextHop}`,
    `  peer ${name} prefix-list ${name} import`,
    `  peer ${name} route-policy ${name}-OUT export`,
    `  # ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 300 s`,
    `  peer ${name} route-limit ${intent.maximumPrefixes} reconnect 300 80`,
    '  quit',
  ]
}
