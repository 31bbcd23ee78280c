/**
 * Juniper Junos, set commands. Helping neighbours that restart is on by default;
 * `stale-routes-time` takes 600 s at most. Where BFD goes down and the speaker does not claim an
 * independent control plane (ours does not), Junos as helper keeps the routes by itself. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { type Vendor, WHY } from './vendor.ts'

export const juniperJunos: Vendor = {
  name: 'juniper-junos',
  title: 'Juniper Junos 18 and newer',
  sources: [
    'Junos CLI Reference, stale-routes-time: 1 to 600 s, 300 by default, read: https://juniper.net/documentation/en_US/junos12.3/topics/reference/configuration-statement/stale-routes-time-edit-protocols-bgp.html',
    'Junos High Availability User Guide, Configuring Graceful Restart for Routing Protocols, read in part: https://juniper.net/documentation/us/en/software/junos/high-availability/topics/task/graceful-restart-for-routing-protocols-configuring.html: helper mode is on by default, also where graceful restart is not; its part on control plane dependent BFD is from memory',
    'Junos CLI Reference, prefix-limit, read: https://juniper.net/documentation/us/en/software/junos/bgp/topics/ref/statement/prefix-limit-edit-protocols-bgp.html: maximum, teardown PERCENT idle-timeout MINUTES (1 to 2400), of family inet and inet6 unicast of a group',
    'jeremmfr/terraform-provider-junos, options of a BGP group: graceful-restart stale-routes-time of the group, authentication-key, hold-time, multipath, passive',
    'openconfig/featureprofiles, tests of graceful restart on Juniper: graceful-restart long-lived receiver; help of Junos: accept-remote-nexthop is for next hops that are not connected, which those of nodes are',
    'configurations of others: family inet unicast extended-nexthop; graceful-restart dont-help-shared-fate-bfd-down, which makes a helper drop the routes when BFD goes down',
    'ipspace/netlab, netsim/extra/bgp.session/junos.j2 (used in its integration tests): bfd-liveness-detection, passive, authentication-key, hold-time',
  ],
  unconfirmed: ['long-lived receiver enable'],
  stays: 'routing-options autonomous-system',
  comment: '#',
  configure: intent => [...policies(intent), ...group(intent)],
  look: intent => [
    'show bgp summary',
    ...intent.speakers.map(({ address }) => `show route receive-protocol bgp ${address}`),
    'show route protocol bgp',
    ...(intent.bfd === undefined ? [] : ['show bfd session']),
  ],
  undo: intent => [
    `delete protocols bgp group ${nameOf(intent)}`,
    `delete policy-options policy-statement ${nameOf(intent)}-IN`,
    `delete policy-options policy-statement ${nameOf(intent)}-OUT`,
    'commit',
  ],
  missing: intent => [
    ...(intent.ttlSecurity === undefined
      ? []
      : [
          'GTSM: Junos has no word for it; packets leave with ttl 255 (below), and a firewall filter (ttl-except) on the loopback interface checks those that come',
        ]),
    ...(intent.restartTimeSeconds !== undefined && intent.restartTimeSeconds > 600
      ? ['stale routes for longer than 600 s']
      : []),
    ...(intent.port === 179 ? [] : ['a port other than 179 on the side of the switch']),
  ],
}

function policies(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const filters = intent.families.flatMap(family =>
    poolsOf(intent, family).map(
      ({ cidr, blockLength }) =>
        `set policy-options policy-statement ${name}-IN term blocks from route-filter ${cidr} prefix-length-range /${blockLength}-/${blockLength}`,
    ),
  )
  return [
    `# ${WHY.prefixes}`,
    ...filters,
    `set policy-options policy-statement ${name}-IN term blocks then accept`,
    `set policy-options policy-statement ${name}-IN term rest then reject`,
    `# ${WHY.nothing}`,
    `set policy-options policy-statement ${name}-OUT then reject`,
  ]
}

function group(intent: SwitchIntent): string[] {
  const words = `set protocols bgp group ${nameOf(intent)}`
  const { restartTimeSeconds, longLivedSeconds, password, ttlSecurity, multihop, bfd } = intent
  return [
    `set routing-options autonomous-system ${intent.switchAs}`,
    ...(intent.sessionFamily === 'ipv4'
      ? []
      : [`# ${WHY.routerId}`, `set routing-options router-id ${routerIdOf(intent)}`]),
    `${words} type ${isInternal(intent) ? 'internal' : 'external'}`,
    ...(isInternal(intent) ? [] : [`${words} peer-as ${intent.nodesAs}`]),
    `${words} local-address ${intent.switchAddress}`,
    `${words} hold-time ${intent.holdTimeSeconds}`,
    ...(intent.dials ? [] : [`${words} passive`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          `# ${WHY.helper(restartTimeSeconds)}; helping is on by default`,
          `${words} graceful-restart stale-routes-time ${Math.min(restartTimeSeconds, 600)}`,
        ]),
    ...(longLivedSeconds === undefined ? [] : [`${words} graceful-restart long-lived receiver enable`]),
    ...(password === undefined ? [] : [`# ${WHY.password}`, `${words} authentication-key "${password}"`]),
    ...(ttlSecurity === undefined
      ? []
      : [`# ${WHY.gtsm(ttlSecurity)} by the speaker: they must leave here with 255`, `${words} ttl 255`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [`${words} multihop ttl ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          '# BFD; as helper Junos keeps the routes when it goes down, unless dont-help-shared-fate-bfd-down is set',
          `${words} bfd-liveness-detection minimum-interval ${bfd.intervalMilliseconds}`,
          `${words} bfd-liveness-detection multiplier ${bfd.multiplier}`,
        ]),
    `# ${WHY.paths}; forwarding needs a load-balance policy beside it`,
    `${words} multipath`,
    `# ${WHY.nextHop}`,
    `${words} import ${nameOf(intent)}-IN`,
    `${words} export ${nameOf(intent)}-OUT`,
    ...intent.families.flatMap(family => familyLines(intent, words, family)),
    `# ${WHY.speakers}`,
    ...intent.speakers.map(({ node, address }) => `${words} neighbor ${address} description ${node}`),
    'commit',
  ]
}

function familyLines(intent: SwitchIntent, words: string, family: Family): string[] {
  const inet = family === 'ipv4' ? 'inet' : 'inet6'
  return [
    `# ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut tries again after 5 minutes`,
    `${words} family ${inet} unicast prefix-limit maximum ${intent.maximumPrefixes}`,
    `${words} family ${inet} unicast prefix-limit teardown 80 idle-timeout 5`,
    ...(intent.extendedNextHop && family === 'ipv4'
      ? [`# ${WHY.extended}`, `${words} family inet unicast extended-nexthop`]
      : []),
  ]
}
