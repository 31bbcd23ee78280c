/**
 * GoBGP 3 and 4, a TOML file for `gobgpd -f`;
 * https://github.com/osrg/gobgp/blob/master/docs/sources/configuration.md. Without zebra GoBGP puts
 * no route into the kernel, and it has no BFD. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, leastTtl, nameOf, poolsOf, routerIdOf, type SwitchIntent } from './intent.ts'
import { type Vendor, WHY } from './vendor.ts'

export const gobgp: Vendor = {
  name: 'gobgp',
  title: 'GoBGP 3 and newer',
  ranWith: 'GoBGP 3.10',
  checkedWith: 'GoBGP 4.8.0',
  sources: ['github.com/osrg/gobgp, docs/sources/configuration.md, and the real GoBGP'],
  comment: '#',
  configure: intent => [
    ...globalLines(intent),
    ...intent.speakers.flatMap(speaker => neighbour(intent, speaker)),
    ...policy(intent),
  ],
  look: intent => ['gobgp neighbor', ...intent.families.map(family => `gobgp global rib -a ${family}`)],
  undo: intent => [
    ...intent.speakers.map(({ address }) => `gobgp neighbor del ${address}`),
    'and remove the lines from the file, or they are back at the next start',
  ],
  missing: intent => [
    ...(intent.bfd === undefined
      ? []
      : ['BFD: GoBGP has none; remove bfd from the BGPPeer, or the speakers wait for it']),
    ...(intent.extendedNextHop
      ? ['IPv4 prefixes with IPv6 next hops (RFC 8950) need no word, but without zebra it installs no route']
      : []),
  ],
}

function globalLines(intent: SwitchIntent): string[] {
  return [
    '[global.config]',
    `  as = ${intent.switchAs}`,
    `  router-id = "${routerIdOf(intent)}"`,
    ...(intent.port === 179 ? [] : [`  port = ${intent.port}`]),
    '[global.apply-policy.config]',
    `  import-policy-list = ["${nameOf(intent)}-IN"]`,
    '  default-import-policy = "reject-route"',
    `  # ${WHY.nothing}`,
    '  default-export-policy = "reject-route"',
  ]
}

function neighbour(intent: SwitchIntent, { node, address }: SwitchIntent['speakers'][number]): string[] {
  const { password, ttlSecurity, multihop, restartTimeSeconds, holdTimeSeconds } = intent
  return [
    '',
    `[[neighbors]] # ${node}`,
    '  [neighbors.config]',
    `    neighbor-address = "${address}"`,
    `    peer-as = ${intent.nodesAs}`,
    ...(password === undefined ? [] : [`    auth-password = ${JSON.stringify(password)} # ${WHY.password}`]),
    '  [neighbors.transport.config]',
    `    passive-mode = ${!intent.dials}`,
    '  [neighbors.timers.config]',
    `    hold-time = ${holdTimeSeconds}`,
    `    keepalive-interval = ${Math.floor(holdTimeSeconds / 3)}`,
    ...(multihop === undefined || isInternal(intent)
      ? []
      : ['  [neighbors.ebgp-multihop.config]', '    enabled = true', `    multihop-ttl = ${multihop}`]),
    ...(ttlSecurity === undefined
      ? []
      : [
          `  [neighbors.ttl-security.config] # ${WHY.gtsm(ttlSecurity)}`,
          '    enabled = true',
          `    ttl-min = ${leastTtl(ttlSecurity)}`,
        ]),
    ...(restartTimeSeconds === undefined
      ? []
      : [
          `  # ${WHY.helper(restartTimeSeconds)}; the time is the one that the speaker announces`,
          '  [neighbors.graceful-restart.config]',
          '    enabled = true',
          '    restart-time = 120',
          '    notification-enabled = true',
          ...(intent.longLivedSeconds === undefined ? [] : ['    long-lived-enabled = true']),
        ]),
    ...intent.families.flatMap(family => familyLines(intent, family)),
  ]
}

function familyLines(intent: SwitchIntent, family: Family): string[] {
  return [
    '  [[neighbors.afi-safis]]',
    '    [neighbors.afi-safis.config]',
    `      afi-safi-name = "${family}-unicast"`,
    ...(intent.restartTimeSeconds === undefined
      ? []
      : ['    [neighbors.afi-safis.mp-graceful-restart.config]', '      enabled = true']),
    ...(intent.longLivedSeconds === undefined
      ? []
      : [
          '    [neighbors.afi-safis.long-lived-graceful-restart.config]',
          '      enabled = true',
          `      restart-time = ${intent.longLivedSeconds}`,
        ]),
    `    [neighbors.afi-safis.prefix-limit.config] # ${WHY.maximum(intent.maximumPrefixes)}`,
    `      max-prefixes = ${intent.maximumPrefixes}`,
    '      shutdown-threshold-pct = 80',
  ]
}

function policy(intent: SwitchIntent): string[] {
  const name = nameOf(intent)
  const set = (family: Family) => `${name}-${family.toUpperCase()}`
  return [
    '',
    `# ${WHY.prefixes}`,
    ...intent.families.flatMap(family => [
      '[[defined-sets.prefix-sets]]',
      `  prefix-set-name = "${set(family)}"`,
      ...poolsOf(intent, family).flatMap(({ cidr, blockLength }) => [
        '  [[defined-sets.prefix-sets.prefix-list]]',
        `    ip-prefix = "${cidr}"`,
        `    masklength-range = "${blockLength}..${blockLength}"`,
      ]),
    ]),
    '[[policy-definitions]]',
    `  name = "${name}-IN"`,
    ...intent.families.flatMap(family => [
      '  [[policy-definitions.statements]]',
      `    name = "${set(family)}"`,
      '    [policy-definitions.statements.conditions.match-prefix-set]',
      `      prefix-set = "${set(family)}"`,
      '    [policy-definitions.statements.actions]',
      '      route-disposition = "accept-route"',
    ]),
  ]
}
