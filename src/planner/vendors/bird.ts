/**
 * BIRD 2 and 3, a file to `include` in bird.conf; https://bird.network.cz/?get_doc. As helper BIRD
 * heeds the restart time that we announce. `bfd graceful` is the word that matters: with `bfd on` a
 * restart of a speaker takes its routes along. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import { isInternal, leastTtl, nameOf, poolsOf, type SwitchIntent } from './intent.ts'
import { readBird } from './read-bird.ts'
import { type Vendor, WHY } from './vendor.ts'

export const bird: Vendor = {
  name: 'bird',
  title: 'BIRD 2 and 3',
  ranWith: 'BIRD 2.0.12',
  checkedWith: 'BIRD 3.4.0',
  sources: ['https://bird.network.cz/?get_doc, and the real BIRD'],
  comment: '#',
  configure: intent => [...bfdLines(intent), ...filters(intent), ...template(intent), ...neighbours(intent)],
  look: intent => [
    'birdc show protocols',
    ...intent.speakers.map((_, index) => `birdc show route protocol ${protocolName(intent, index)} all`),
    ...(intent.bfd === undefined ? [] : ['birdc show bfd sessions']),
  ],
  undo: () => ['remove this file and its include, then: birdc configure'],
  missing: intent => [
    ...(intent.ttlSecurity !== undefined && intent.ttlSecurity > 1 && intent.multihop === undefined
      ? [`GTSM over ${intent.ttlSecurity} hops is written as multihop ${intent.ttlSecurity} with ttl security`]
      : []),
  ],
  read: readBird,
}

/** Names of BIRD: letters, digits, underscores. */
function name(intent: SwitchIntent): string {
  return nameOf(intent, '_').toLowerCase()
}

function protocolName(intent: SwitchIntent, index: number): string {
  const node = intent.speakers[index]?.node ?? ''
  return `${name(intent)}_${node.toLowerCase().replace(/[^a-z0-9]+/g, '_')}`
}

function bfdLines({ bfd }: SwitchIntent): string[] {
  if (bfd === undefined) return []
  return [
    '# leave this out where bird.conf has a "protocol bfd" already',
    `protocol bfd { accept direct; interface "*" { interval ${bfd.intervalMilliseconds} ms; multiplier ${bfd.multiplier}; }; }`,
  ]
}

function filters(intent: SwitchIntent): string[] {
  return intent.families.flatMap(family => [
    `# ${WHY.prefixes}`,
    `filter ${name(intent)}_${family} {`,
    `  if net ~ [ ${poolsOf(intent, family)
      .map(({ cidr, blockLength }) => `${cidr}{${blockLength},${blockLength}}`)
      .join(', ')} ] then accept;`,
    '  reject;',
    '}',
  ])
}

function template(intent: SwitchIntent): string[] {
  const { restartTimeSeconds, longLivedSeconds, ttlSecurity, multihop, bfd, password } = intent
  const hops = multihop ?? (ttlSecurity !== undefined && ttlSecurity > 1 ? ttlSecurity : undefined)
  return [
    `template bgp ${name(intent)} {`,
    `  local ${intent.switchAddress} ${intent.port === 179 ? '' : `port ${intent.port} `}as ${intent.switchAs};`,
    `  hold time ${intent.holdTimeSeconds};`,
    ...(intent.dials ? [] : ['  passive on;']),
    ...(restartTimeSeconds === undefined
      ? ['  graceful restart off;']
      : [`  # ${WHY.helper(restartTimeSeconds)}`, '  graceful restart aware;']),
    ...(longLivedSeconds === undefined
      ? []
      : [`  long lived graceful restart aware; # up to ${longLivedSeconds} s more`]),
    ...(password === undefined
      ? []
      : [`  # ${WHY.password}; BIRD 3 warns that it assumes MD5, which is right`, `  password "${password}";`]),
    ...(hops === undefined || isInternal(intent) ? [] : [`  multihop ${hops};`]),
    ...(ttlSecurity === undefined
      ? []
      : [`  # ${WHY.gtsm(ttlSecurity)}: TTL ${leastTtl(ttlSecurity)} and more`, '  ttl security on;']),
    ...(bfd === undefined ? [] : [`  # ${WHY.bfd}: graceful, not "bfd on"`, '  bfd graceful;']),
    `  # ${WHY.nextHop}`,
    ...intent.families.flatMap(family => channel(intent, family)),
    '}',
  ]
}

function channel(intent: SwitchIntent, family: Family): string[] {
  return [
    `  ${family} {`,
    `    import filter ${name(intent)}_${family};`,
    `    # ${WHY.nothing}`,
    '    export none;',
    `    # ${WHY.maximum(intent.maximumPrefixes)}; it stays down until "birdc enable"`,
    `    receive limit ${intent.maximumPrefixes} action disable;`,
    ...(intent.extendedNextHop && family === 'ipv4' ? [`    # ${WHY.extended}`, '    extended next hop on;'] : []),
    '  };',
  ]
}

function neighbours(intent: SwitchIntent): string[] {
  return [
    `# ${WHY.speakers}`,
    ...intent.speakers.map(
      ({ address }, index) =>
        `protocol bgp ${protocolName(intent, index)} from ${name(intent)} { neighbor ${address} as ${intent.nodesAs}; }`,
    ),
    `# ${WHY.paths}: "merge paths on" in the channel of protocol kernel`,
  ]
}
