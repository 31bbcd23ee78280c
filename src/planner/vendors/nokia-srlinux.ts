/**
 * Nokia SR Linux, set commands in a candidate. Its stale timer is set to our restart time. The
 * limit of prefixes was called otherwise before 24. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { NO_LENIENT_BFD } from './ios-like.ts'
import { type Vendor, WHY } from './vendor.ts'

export const nokiaSrlinux: Vendor = {
  name: 'nokia-srlinux',
  title: 'Nokia SR Linux 24.10 and newer',
  sources: [
    "nokia/srlinux-yang-models, models/network-instance/srl_nokia-bgp.yang of 24.10.1 and 26.3.1, Nokia's own: group admin-state, peer-as, timers, transport passive-mode, failure-detection enable-bfd; graceful-restart admin-state (a helper, off by default) and stale-routes-time (1 to 3600 s, default 360); import-policy and export-policy are lists; afi-safi FAMILY FAMILY prefix-limit-received max-received-routes, warning-threshold-pct (the session is torn down unless prevent-teardown); receive-ipv6-next-hops; multihop maximum-hops is the TTL of what is sent",
    'nokia/srlinux-yang-models, models/system/srl_nokia-keychains.yang of 26.3.1: type tcp-md5 goes with algorithm md5 and with key 1 alone; of 22.6: 20 characters at most',
    'ipspace/netlab, netsim/extra/bgp.session/srlinux.j2 (used in its integration tests): keychain of type tcp-md5, algorithm, authentication-key',
    'labs of others for SR Linux 24 and newer: multipath ebgp maximum-paths at an afi-safi of the instance; prefix-set NAME prefix 10.255.0.0/16 mask-length-range 32..32; statement NAME match prefix prefix-set NAME (before 24 without the word prefix)',
  ],
  stays: 'autonomous-system, router-id and the families of the instance, multipath',
  comment: '#',
  configure: intent => ['enter candidate', ...policies(intent), ...router(intent), 'commit save'],
  look: intent => [
    'show network-instance default protocols bgp neighbor',
    ...intent.families.map(family => `show network-instance default protocols bgp routes ${family} summary`),
    ...intent.families.map(family => `show network-instance default route-table ${family}-unicast summary`),
    ...(intent.bfd === undefined ? [] : ['show bfd sessions']),
  ],
  undo: intent => [
    'enter candidate',
    ...intent.speakers.map(({ address }) => `delete / network-instance default protocols bgp neighbor ${address}`),
    `delete / network-instance default protocols bgp group ${nameOf(intent)}`,
    `delete / routing-policy policy ${nameOf(intent)}-IN`,
    `delete / routing-policy policy ${nameOf(intent)}-OUT`,
    `delete / routing-policy prefix-set ${nameOf(intent)}`,
    ...(intent.password === undefined ? [] : [`delete / system authentication keychain ${nameOf(intent)}`]),
    'commit save',
  ],
  missing: intent => [
    ...(intent.ttlSecurity === undefined
      ? []
      : [
          'GTSM: it checks nothing itself; packets leave with TTL 255 (multihop maximum-hops below), as the speaker asks',
        ]),
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
    ...(intent.bfd === undefined
      ? []
      : [
          `the times of BFD stand at the subinterface of the LAN: set / bfd subinterface NAME admin-state enable desired-minimum-transmit-interval ${intent.bfd.intervalMilliseconds * 1000} required-minimum-receive ${intent.bfd.intervalMilliseconds * 1000} detection-multiplier ${intent.bfd.multiplier}`,
          NO_LENIENT_BFD,
        ]),
    ...(intent.port === 179 ? [] : ['a port other than 179']),
  ],
}

function policies(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `# ${WHY.prefixes}`,
    ...intent.families.flatMap(family =>
      poolsOf(intent, family).map(
        ({ cidr, blockLength }) =>
          `set / routing-policy prefix-set ${name} prefix ${cidr} mask-length-range ${blockLength}..${blockLength}`,
      ),
    ),
    `set / routing-policy policy ${name}-IN default-action policy-result reject`,
    `set / routing-policy policy ${name}-IN statement blocks match prefix prefix-set ${name}`,
    `set / routing-policy policy ${name}-IN statement blocks action policy-result accept`,
    `# ${WHY.nothing}`,
    `set / routing-policy policy ${name}-OUT default-action policy-result reject`,
    ...(intent.password === undefined
      ? []
      : [
          `# ${WHY.password}`,
          `set / system authentication keychain ${name} admin-state enable`,
          `set / system authentication keychain ${name} type tcp-md5`,
          `set / system authentication keychain ${name} key 1 algorithm md5`,
          `set / system authentication keychain ${name} key 1 authentication-key ${intent.password}`,
        ]),
  ]
}

function router(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const bgp = 'set / network-instance default protocols bgp'
  const group = `${bgp} group ${name}`
  const { restartTimeSeconds, multihop, ttlSecurity } = intent
  const hops = ttlSecurity !== undefined ? 255 : isInternal(intent) ? undefined : multihop
  return [
    `${bgp} admin-state enable`,
    `${bgp} autonomous-system ${intent.switchAs}`,
    `# ${WHY.routerId}`,
    `${bgp} router-id ${routerIdOf(intent)}`,
    ...intent.families.flatMap(family => [
      `${bgp} afi-safi ${family}-unicast admin-state enable`,
      `# ${WHY.paths}`,
      `${bgp} afi-safi ${family}-unicast multipath ${isInternal(intent) ? 'ibgp' : 'ebgp'} maximum-paths 4`,
    ]),
    `${group} admin-state enable`,
    `${group} peer-as ${intent.nodesAs}`,
    `${group} timers hold-time ${intent.holdTimeSeconds}`,
    `${group} timers keepalive-interval ${Math.floor(intent.holdTimeSeconds / 3)}`,
    ...(intent.dials ? [] : [`${group} transport passive-mode true`]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          `# ${WHY.helper(restartTimeSeconds)}`,
          `${group} graceful-restart admin-state enable`,
          `${group} graceful-restart stale-routes-time ${Math.min(restartTimeSeconds, 3600)}`,
        ]),
    ...(intent.password === undefined ? [] : [`${group} authentication keychain ${name}`]),
    ...(ttlSecurity === undefined ? [] : [`# ${WHY.gtsm(ttlSecurity)} by the speaker: they must leave here with 255`]),
    ...(hops === undefined ? [] : [`${group} multihop admin-state enable`, `${group} multihop maximum-hops ${hops}`]),
    ...(intent.bfd === undefined ? [] : [`${group} failure-detection enable-bfd true`]),
    `# ${WHY.nextHop}`,
    `${group} import-policy [ ${name}-IN ]`,
    `${group} export-policy [ ${name}-OUT ]`,
    ...intent.families.flatMap(family => familyLines(intent, group, family)),
    `# ${WHY.speakers}`,
    ...intent.speakers.flatMap(({ node, address }) => [
      `${bgp} neighbor ${address} peer-group ${name}`,
      `${bgp} neighbor ${address} description ${node}`,
    ]),
  ]
}

function familyLines(intent: SwitchIntent, group: string, family: Family): string[] {
  const limit = `${group} afi-safi ${family}-unicast ${family}-unicast prefix-limit-received`
  return [
    `${group} afi-safi ${family}-unicast admin-state enable`,
    `# ${WHY.maximum(intent.maximumPrefixes)}; the session is torn down`,
    `${limit} max-received-routes ${intent.maximumPrefixes}`,
    `${limit} warning-threshold-pct 80`,
    ...(intent.extendedNextHop && family === 'ipv4'
      ? [`# ${WHY.extended}`, `${group} afi-safi ipv4-unicast ipv4-unicast receive-ipv6-next-hops true`]
      : []),
  ]
}
