/**
 * VyOS 1.4 and newer, set commands; below it is FRR. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { type Vendor, WHY } from './vendor.ts'

export const vyos: Vendor = {
  name: 'vyos',
  title: 'VyOS 1.4 and newer',
  sources: [
    "vyos/vyos-1x, interface-definitions/include/bgp/protocol-common-config.xml.i, VyOS's own: system-as; parameters router-id and graceful-restart stalepath-time (1 to 3600); a neighbor has timers, a peer-group has none, but remote-as, description, bfd, capability, ebgp-multihop, passive, password, ttl-security and address families",
    'vyos/vyos-1x, interface-definitions/include/bgp: afi-maximum-paths (ebgp, ibgp), neighbor-afi-ipv4-ipv6-common (maximum-prefix, a number alone; route-map), neighbor-bfd (profile, check-control-plane-failure), neighbor-ttl-security (hops 1 to 254)',
    'vyos/vyos-1x, src/conf_mode/protocols_bgp.py: refuses ttl-security beside ebgp-multihop and a password with spaces; data/templates/frr/bgpd.frr.j2: the lines of FRR that come out, no bgp default ipv4-unicast and activate among them',
    'ipspace/netlab, netsim/extra/bgp.session/vyos.j2 (used in its integration tests): neighbor password, address-family',
  ],
  stays: 'system-as, graceful-restart stalepath-time, maximum-paths',
  comment: '#',
  configure: intent => ['configure', ...policies(intent), ...router(intent), 'commit', 'save'],
  look: intent => [
    ...intent.families.map(family => `show bgp ${family} summary`),
    ...intent.families.map(family => `show ${family === 'ipv4' ? 'ip' : 'ipv6'} route bgp`),
    ...(intent.bfd === undefined ? [] : ['show bfd peers']),
  ],
  undo: intent => [
    'configure',
    ...intent.speakers.map(({ address }) => `delete protocols bgp neighbor ${address}`),
    `delete protocols bgp peer-group ${nameOf(intent)}`,
    `delete policy route-map ${nameOf(intent)}-IN`,
    `delete policy route-map ${nameOf(intent)}-OUT`,
    ...intent.families.map(family => `delete policy ${listWord(family)} ${nameOf(intent)}`),
    ...(intent.bfd === undefined ? [] : [`delete protocols bfd profile ${nameOf(intent)}`]),
    'commit',
    'save',
  ],
  missing: intent => [
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
    ...(intent.port === 179 ? [] : ['a port other than 179 on the side of the switch']),
  ],
}

function listWord(family: Family): string {
  return family === 'ipv4' ? 'prefix-list' : 'prefix-list6'
}

function policies(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `# ${WHY.prefixes}`,
    ...intent.families.flatMap(family =>
      poolsOf(intent, family).flatMap(({ cidr, length, blockLength }, index) => {
        const rule = `set policy ${listWord(family)} ${name} rule ${(index + 1) * 10}`
        return [
          `${rule} action permit`,
          `${rule} prefix ${cidr}`,
          ...(length === blockLength ? [] : [`${rule} ge ${blockLength}`, `${rule} le ${blockLength}`]),
        ]
      }),
    ),
    ...intent.families.flatMap((family, index) => {
      const rule = `set policy route-map ${name}-IN rule ${(index + 1) * 10}`
      return [`${rule} action permit`, `${rule} match ${family === 'ipv4' ? 'ip' : 'ipv6'} address prefix-list ${name}`]
    }),
    `# ${WHY.nothing}`,
    `set policy route-map ${name}-OUT rule 10 action deny`,
  ]
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const bgp = 'set protocols bgp'
  const group = `${bgp} peer-group ${name}`
  const { restartTimeSeconds, password, ttlSecurity, multihop, bfd } = intent
  return [
    `${bgp} system-as ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4'
      ? []
      : [`# ${WHY.routerId}`, `${bgp} parameters router-id ${routerIdOf(intent)}`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          `# ${WHY.helper(restartTimeSeconds)}`,
          `${bgp} parameters graceful-restart stalepath-time ${Math.min(restartTimeSeconds, 3600)}`,
        ]),
    `${group} remote-as ${intent.nodesAs}`,
    ...(intent.dials ? [] : [`${group} passive`]),
    ...(password === undefined ? [] : [`# ${WHY.password}`, `${group} password ${password}`]),
    ...(ttlSecurity === undefined ? [] : [`# ${WHY.gtsm(ttlSecurity)}`, `${group} ttl-security hops ${ttlSecurity}`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [`${group} ebgp-multihop ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          `# ${WHY.bfd}`,
          `set protocols bfd profile ${name} interval transmit ${bfd.intervalMilliseconds}`,
          `set protocols bfd profile ${name} interval receive ${bfd.intervalMilliseconds}`,
          `set protocols bfd profile ${name} interval multiplier ${bfd.multiplier}`,
          `${group} bfd profile ${name}`,
          `${group} bfd check-control-plane-failure`,
        ]),
    ...(intent.extendedNextHop ? [`# ${WHY.extended}`, `${group} capability extended-nexthop`] : []),
    ...intent.families.flatMap(family => familyLines(intent, { bgp, group, family })),
    `# ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      `${bgp} neighbor ${address} peer-group ${name}`,
      `${bgp} neighbor ${address} description ${node}`,
      `${bgp} neighbor ${address} timers holdtime ${intent.holdTimeSeconds}`,
      `${bgp} neighbor ${address} timers keepalive ${Math.floor(intent.holdTimeSeconds / 3)}`,
    ]),
  ]
}

function familyLines(
  intent: SwitchIntent,
  { bgp, group, family }: { bgp: string; group: string; family: Family },
): string[] {
  const name = nameOf(intent)
  return [
    `# ${WHY.paths}`,
    `${bgp} address-family ${family}-unicast maximum-paths ${isInternal(intent) ? 'ibgp' : 'ebgp'} 4`,
    `# ${WHY.nextHop}`,
    `${group} address-family ${family}-unicast route-map import ${name}-IN`,
    `${group} address-family ${family}-unicast route-map export ${name}-OUT`,
    `# ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut stays down until somebody resets it`,
    `${group} address-family ${family}-unicast maximum-prefix ${intent.maximumPrefixes}`,
  ]
}
