/**
 * OpenBGPD, for bgpd.conf(5). As helper it heeds the restart time that we announce. It has no BFD.
 * On systems other than OpenBSD it puts no route into the kernel. Pure.
 */
import { FAMILY_NAMES } from '../../lib/ip.ts'
import { isInternal, nameOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { type Vendor, WHY } from './vendor.ts'

export const openbgpd: Vendor = {
  name: 'openbgpd',
  title: 'OpenBGPD 7 and newer',
  ranWith: 'OpenBGPD 7.7',
  checkedWith: 'OpenBGPD 9.3',
  sources: ['bgpd.conf(5), and the real OpenBGPD'],
  comment: '#',
  configure: intent => [...globalLines(intent), ...group(intent), ...filters(intent)],
  look: intent => [
    'bgpctl show',
    ...intent.families.map(family => `bgpctl show rib ${family === 'ipv4' ? 'inet' : 'inet6'}`),
  ],
  undo: () => ['remove these lines from bgpd.conf, then: bgpctl reload'],
  missing: intent => [
    ...(intent.bfd === undefined
      ? []
      : ['BFD: OpenBGPD has none; remove bfd from the BGPPeer, or the speakers wait for it']),
    ...(intent.extendedNextHop ? ['IPv4 prefixes with IPv6 next hops (RFC 8950): not before OpenBGPD 8.8'] : []),
    ...(intent.ttlSecurity !== undefined && intent.ttlSecurity > 1 ? ['GTSM over more than one hop'] : []),
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
  ],
}

function globalLines(intent: SwitchIntent): string[] {
  return [
    `AS ${intent.switchAs}`,
    `router-id ${routerIdOf(intent)}`,
    `listen on ${intent.switchAddress}${intent.port === 179 ? '' : ` port ${intent.port}`}`,
  ]
}

function group(intent: SwitchIntent): string[] {
  const { password, ttlSecurity, multihop, restartTimeSeconds } = intent
  return [
    `group "${nameOf(intent)}" {`,
    `  remote-as ${intent.nodesAs}`,
    // no local-address: with it 7.7 on Linux takes no connection that has a password
    `  holdtime ${intent.holdTimeSeconds}`,
    ...(intent.dials ? [] : ['  passive']),
    ...(['ipv4', 'ipv6'] as const).map(
      family => `  announce ${FAMILY_NAMES[family]} ${intent.families.includes(family) ? 'unicast' : 'none'}`,
    ),
    ...(restartTimeSeconds === undefined
      ? ['  announce restart no']
      : [`  # ${WHY.helper(restartTimeSeconds)}`, '  announce restart yes']),
    ...(password === undefined ? [] : [`  # ${WHY.password}`, `  tcp md5sig password "${password}"`]),
    ...(multihop === undefined || isInternal(intent) ? [] : [`  multihop ${multihop}`]),
    ...(ttlSecurity === 1 ? [`  # ${WHY.gtsm(1)}`, '  ttl-security yes'] : []),
    `  # ${WHY.maximum(intent.maximumPrefixes * intent.families.length)}; a session that was cut tries again after 5 minutes`,
    `  max-prefix ${intent.maximumPrefixes * intent.families.length} restart 5`,
    `  # ${WHY.speakers}`,
    ...intent.speakers.map(({ node, address }) => `  neighbor ${address} { descr "${node}" }`),
    '}',
  ]
}

function filters(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  return [
    `# ${WHY.prefixes}`,
    `# ${WHY.nextHop}`,
    `deny from group "${name}"`,
    ...intent.pools.map(
      ({ cidr, length, blockLength }) =>
        `allow from group "${name}" prefix ${cidr}${length === blockLength ? '' : ` prefixlen = ${blockLength}`}`,
    ),
    `# ${WHY.nothing}`,
    `deny to group "${name}"`,
  ]
}
