/**
 * MikroTik RouterOS 7.20 and newer. Older releases of 7 have `as` and `router-id` at the
 * connection, and `address-families` for `afi`. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, leastTtl, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { NO_LENIENT_BFD } from './ios-like.ts'
import { type Vendor, WHY } from './vendor.ts'

export const mikrotikRouteros: Vendor = {
  name: 'mikrotik-routeros',
  title: 'MikroTik RouterOS 7.20 and newer',
  sources: [
    'MikroTik RouterOS manual, BGP, read: https://help.mikrotik.com/docs/spaces/ROS/pages/328220/BGP: connect, listen, local.role, hold-time, keepalive-time, tcp-md5-key, use-bfd, input.filter, output.filter-chain; local.ttl is the TTL sent, remote.ttl the least that is taken, of EBGP peers alone; multihop=yes takes next hops outside the network of the connection; input.limit-process-routes-ipv4 and -ipv6 stop a session until its flag limit-exceeded is cleared; gr among the local capabilities of its example',
    'MikroTik RouterOS manual, Route Selection and Filters, read: https://help.mikrotik.com/docs/pages/diffpagesbyversion.action?pageId=74678285&originalVersion=55&revisedVersion=64: rule="if (dst in 192.168.1.0/24 && dst-len>24) {...}"; a chain drops what no rule takes',
    'MikroTik RouterOS manual, BFD: /routing/bfd/configuration with addresses; what is not listed there is forbidden; notes of others: min-tx, min-rx',
    'a list of what RouterOS 7.20 has, made for Terraform (resource routeros_routing_bgp_connection): instance, afi, local_ttl, remote_ttl, input_filter, output_filter_chain',
    'ipspace/netlab, netsim/ansible/templates/bgp/routeros7.macro.j2 (used in its integration tests): connection with instance, afi, local.role, output.filter-chain, tcp-md5-key',
  ],
  comment: '#',
  configure: intent => [...filters(intent), ...connections(intent)],
  look: intent => [
    '/routing/bgp/session/print',
    ...intent.families.map(family => `/${family === 'ipv4' ? 'ip' : 'ipv6'}/route/print where bgp`),
    ...(intent.bfd === undefined ? [] : ['/routing/bfd/session/print']),
  ],
  undo: intent => [
    `/routing/bgp/connection/remove [find where comment~"^${nameOf(intent)} "]`,
    `/routing/filter/rule/remove [find where chain~"^${nameOf(intent)}-"]`,
    ...(intent.bfd === undefined ? [] : [`/routing/bfd/configuration/remove [find where comment="${nameOf(intent)}"]`]),
    `/routing/bgp/instance/remove [find where name="${nameOf(intent)}"]   (unless others use it)`,
  ],
  missing: intent => [
    ...(intent.restartTimeSeconds === undefined
      ? []
      : [
          'graceful restart has no words here: look whether "gr" stands among local.capabilities of /routing/bgp/session; without it each restart of a speaker takes its routes along, unless another speaker has them',
        ]),
    ...(intent.longLivedSeconds === undefined ? [] : ['long-lived graceful restart (RFC 9494)']),
    ...(intent.ttlSecurity !== undefined && isInternal(intent)
      ? [
          'GTSM of internal neighbours: remote.ttl checks EBGP alone; packets leave with local.ttl=255, as the speaker asks',
        ]
      : []),
    ...(intent.extendedNextHop ? ['IPv4 prefixes with IPv6 next hops (RFC 8950): try it first'] : []),
    ...(intent.bfd === undefined ? [] : [NO_LENIENT_BFD]),
    ...(intent.port === 179 ? [] : [`a port other than 179 is local.port=${intent.port} of each connection`]),
  ],
}

function filters(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const rules = intent.families.flatMap(family =>
    poolsOf(intent, family).map(
      ({ cidr, blockLength }) =>
        `/routing/filter/rule/add chain=${name}-IN rule="if (dst in ${cidr} && dst-len == ${blockLength}) { accept }"`,
    ),
  )
  return [
    `# ${WHY.prefixes}`,
    ...rules,
    `/routing/filter/rule/add chain=${name}-IN rule="reject"`,
    `# ${WHY.nothing}`,
    `/routing/filter/rule/add chain=${name}-OUT rule="reject"`,
  ]
}

function connections(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const { password, multihop, ttlSecurity, bfd } = intent
  const shared = [
    `instance=${name}`,
    `afi=${intent.families.map(afi).join(',')}`,
    `local.address=${intent.switchAddress}`,
    `local.role=${isInternal(intent) ? 'ibgp' : 'ebgp'}`,
    `remote.as=${intent.nodesAs}`,
    `connect=${intent.dials ? 'yes' : 'no'}`,
    'listen=yes',
    `hold-time=${intent.holdTimeSeconds}s`,
    `keepalive-time=${Math.floor(intent.holdTimeSeconds / 3)}s`,
    ...(password === undefined ? [] : [`tcp-md5-key="${password}"`]),
    ...(multihop === undefined || isInternal(intent) ? [] : ['multihop=yes', `local.ttl=${multihop}`]),
    ...(ttlSecurity === undefined
      ? []
      : [...(ttlSecurity > 1 ? ['multihop=yes'] : []), 'local.ttl=255', `remote.ttl=${leastTtl(ttlSecurity)}`]),
    ...(bfd === undefined ? [] : ['use-bfd=yes']),
    `input.filter=${name}-IN`,
    ...intent.families.map(family => `input.limit-process-routes-${family}=${intent.maximumPrefixes}`),
    `output.filter-chain=${name}-OUT`,
  ]
  return [
    `# before 7.20: as= and router-id= belong to each connection, and afi is address-families`,
    `/routing/bgp/instance/add name=${name} as=${intent.switchAs} router-id=${routerIdOf(intent)}`,
    ...(bfd === undefined
      ? []
      : [
          `/routing/bfd/configuration/add comment="${name}" addresses=${intent.speakers.map(({ address }) => address).join(',')} min-rx=${bfd.intervalMilliseconds}ms min-tx=${bfd.intervalMilliseconds}ms multiplier=${bfd.multiplier}`,
        ]),
    `# ${WHY.speakers}`,
    `# ${WHY.maximum(intent.maximumPrefixes)}; a session that was cut stays down: /routing/bgp/session/clear flag=limit-exceeded`,
    ...(ttlSecurity === undefined ? [] : [`# ${WHY.gtsm(ttlSecurity)}: local.ttl, remote.ttl`]),
    `# ${WHY.nextHop}`,
    ...intent.speakers.map(
      ({ node, address }) =>
        `/routing/bgp/connection/add name=${name}-${node} comment="${name} ${node}" remote.address=${address} ${shared.join(' ')}`,
    ),
  ]
}

function afi(family: Family): string {
  return family === 'ipv4' ? 'ip' : 'ipv6'
}
