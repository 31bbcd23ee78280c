/**
 * Whether things lie where they must: vSwitches inside the VPC, LANs inside their data center,
 * gateways and switches on their LAN, names that stand once, devices in an order that packets can
 * take. Pure.
 */
import { counted } from '../lib/count-text.ts'
import { addressBits, covers, FAMILY_NAMES, familyOf, overlaps, prefixOf, prefixRange } from '../lib/ip.ts'
import type { Finding, Place } from './finding.ts'
import { DEVICE_KINDS, lansOf, type Network, type PlacedLan } from './network.ts'
import { rangesOf } from './ranges.ts'

export function placementFindings(network: Network): readonly Finding[] {
  return [
    ...vSwitchFindings(network),
    ...vpcFindings(network),
    ...lansOf(network).flatMap(lanFindings),
    ...pathFindings(network),
    ...nameFindings(network),
    ...serviceFindings(network),
  ]
}

function problem(rule: string, message: string, places: readonly Place[], wayOut: string): Finding {
  return { severity: 'problem', rule, message, places, wayOut }
}

function warning(rule: string, message: string, places: readonly Place[], wayOut: string): Finding {
  return { severity: 'warning', rule, message, places, wayOut }
}

function vSwitchFindings({ vpc }: Network): readonly Finding[] {
  const lists = [
    { list: vpc.nodeVSwitches, key: 'nodeVSwitches', what: 'node vSwitch' },
    { list: vpc.podVSwitches, key: 'podVSwitches', what: 'pod vSwitch' },
  ]
  const outside = lists.flatMap(({ list, key, what }) =>
    list.flatMap(({ name, cidr }, index) => {
      if (vpc.cidrs.some(block => covers(block, cidr))) return []
      const places = [
        { path: `vpc.${key}[${index}].cidr`, value: cidr },
        ...vpc.cidrs.map((block, at) => ({ path: `vpc.cidrs[${at}]`, value: block })),
      ]
      const message = `${what} ${name} ${cidr} lies outside of the VPC ${vpc.cidrs.join(', ')}`
      return [
        problem('vswitch-outside-vpc', message, places, 'choose a block inside the VPC, or add its block to vpc.cidrs'),
      ]
    }),
  )
  const sized = lists.flatMap(({ list, key, what }) =>
    list.flatMap(({ name, cidr }, index) => {
      const { family, length } = prefixOf(cidr)
      if (family === 'ipv6' || (length >= 16 && length <= 29)) return []
      const place = [{ path: `vpc.${key}[${index}].cidr`, value: cidr }]
      const message = `${what} ${name} ${cidr} has a mask that the cloud does not take`
      return [problem('vswitch-size', message, place, 'choose a mask from /16 to /29')]
    }),
  )
  const zones = new Set(vpc.podVSwitches.map(({ zone }) => zone))
  const without = vpc.podVSwitches.length === 0 ? [] : vpc.nodeVSwitches.filter(({ zone }) => !zones.has(zone))
  const missing = without.map(({ name, zone, cidr }) =>
    problem(
      'zone-without-pod-vswitch',
      `node vSwitch ${name} is in zone ${zone}, which has no pod vSwitch: pods on its nodes get no address`,
      [{ path: `vpc.nodeVSwitches[${vpc.nodeVSwitches.findIndex(other => other.name === name)}]`, value: cidr }],
      `add a pod vSwitch in zone ${zone}: a pod vSwitch must be in the zone of its nodes`,
    ),
  )
  return [...outside, ...sized, ...missing, ...sharedPartly(vpc)]
}

/**
 * The document allows it, and one vSwitch in both lists is usual; two different ones that overlap
 * cannot be made in one VPC.
 */
function sharedPartly({ nodeVSwitches, podVSwitches }: Network['vpc']): readonly Finding[] {
  return nodeVSwitches.flatMap((node, index) =>
    podVSwitches.flatMap((pod, at): Finding[] => {
      if (node.cidr === pod.cidr || !overlaps(node.cidr, pod.cidr)) return []
      return [
        {
          severity: 'note',
          rule: 'vswitches-share-partly',
          message: `pod vSwitch ${pod.name} ${pod.cidr} overlaps node vSwitch ${node.name} ${node.cidr}, which is allowed; but one VPC cannot have two vSwitches that overlap`,
          places: [
            { path: `vpc.podVSwitches[${at}].cidr`, value: pod.cidr },
            { path: `vpc.nodeVSwitches[${index}].cidr`, value: node.cidr },
          ],
          wayOut: 'name the same vSwitch in both lists, or keep them apart',
        },
      ]
    }),
  )
}

/** RFC 1918 and RFC 4193. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

function isPrivate(cidr: string): boolean {
  return PRIVATE.some(block => covers(block, cidr))
}

function vpcFindings({ vpc, edge }: Network): readonly Finding[] {
  const found: Finding[] = []
  for (const [index, cidr] of vpc.cidrs.entries()) {
    const place = [{ path: `vpc.cidrs[${index}]`, value: cidr }]
    const { family, length } = prefixOf(cidr)
    if (family === 'ipv4' && (length < 8 || length > 28))
      found.push(
        problem(
          'vpc-size',
          `the VPC ${cidr} has a mask that the cloud does not take`,
          place,
          'choose a mask from /8 to /28',
        ),
      )
    if (family === 'ipv4' && !isPrivate(cidr))
      found.push(
        warning(
          'public-range',
          `the VPC ${cidr} is not of RFC 1918: hosts on the internet with such addresses cannot be reached from it`,
          place,
          'choose a private range, or ask for the quota that allows it',
        ),
      )
  }
  for (const [index, cidr] of edge.podCIDRs.entries()) {
    if (isPrivate(cidr) || (familyOf(cidr) === 'ipv6' && covers('2000::/3', cidr))) continue
    const message = `edge pod CIDR ${cidr} is not private: pods could not reach the hosts that own those addresses`
    const place = [{ path: `edge.podCIDRs[${index}]`, value: cidr }]
    found.push(warning('public-range', message, place, 'choose a private range: terway-edge plan suggest pods'))
  }
  return found
}

function lanFindings({ lan, dataCenter, path }: PlacedLan): readonly Finding[] {
  const found: Finding[] = []
  for (const [index, cidr] of lan.hostCIDRs.entries()) {
    if (dataCenter.cidrs.some(block => covers(block, cidr))) continue
    const places = [
      { path: `${path}.hostCIDRs[${index}]`, value: cidr },
      { path: `data center ${dataCenter.name}`, value: dataCenter.cidrs.join(', ') },
    ]
    const message = `hosts of LAN ${lan.name} ${cidr} lie outside of data center ${dataCenter.name} (${dataCenter.cidrs.join(', ')}): no route of the cloud leads to them`
    found.push(
      problem('lan-outside-data-center', message, places, `add ${cidr} to the cidrs of data center ${dataCenter.name}`),
    )
  }
  const addresses = [
    ...(lan.gateway === undefined ? [] : [{ what: 'gateway', address: lan.gateway, path: `${path}.gateway` }]),
    ...lan.switches.map(({ address }, index) => ({
      what: 'switch',
      address,
      path: `${path}.switches[${index}].address`,
    })),
  ]
  for (const { what, address, path: at } of addresses) {
    const block = lan.hostCIDRs.find(cidr => covers(cidr, address))
    const places = [
      { path: at, value: address },
      { path: `${path}.hostCIDRs`, value: lan.hostCIDRs.join(', ') },
    ]
    if (block === undefined) {
      const message = `${what} ${address} of LAN ${lan.name} is not on its LAN (${lan.hostCIDRs.join(', ')}): nodes cannot use it as a next hop, and a BGP session to it needs ebgpMultihop`
      found.push(problem('gateway-off-link', message, places, 'name its address on this LAN'))
    } else if (isEdgeOfBlock(block, address)) {
      const message = `${what} ${address} of LAN ${lan.name} is the first or last address of ${block}: network or broadcast, no host`
      found.push(problem('gateway-no-host', message, places, 'name an address of a host'))
    }
  }
  if (hostsOf(lan.hostCIDRs) < BigInt(lan.nodes + lan.switches.length)) {
    const place = [{ path: `${path}.nodes`, value: String(lan.nodes) }]
    const message = `LAN ${lan.name} (${lan.hostCIDRs.join(', ')}) has no addresses for ${counted(lan.nodes, 'node')} and its switch`
    found.push(problem('lan-too-small', message, place, 'name a larger block, or fewer nodes'))
  }
  return found
}

/**
 * Of IPv4 the first and last address of a block are no hosts' (RFC 919; not of a /31 or /32, RFC
 * 3021).
 */
function isEdgeOfBlock(block: string, address: string): boolean {
  const { family, length, first, last } = prefixRange(block)
  if (family === 'ipv6' || length > 30) return false
  const at = prefixRange(`${address}/32`).first
  return at === first || at === last
}

function hostsOf(cidrs: readonly string[]): bigint {
  return cidrs.reduce((sum, cidr) => {
    const { family, length, first, last } = prefixRange(cidr)
    return sum + (last - first + 1n) - (family === 'ipv4' && length < 31 ? 2n : 0n)
  }, 0n)
}

/** Where the cloud begins: behind it only its own devices stand. */
const CLOUD_DEVICES = new Set(['vbr', 'ecr', 'cen', 'transit-router'])

function pathFindings({ dataCenters }: Network): readonly Finding[] {
  return dataCenters.flatMap(({ name, path }, index) => {
    const found: Finding[] = []
    for (const [at, device] of path.entries()) {
      const before = path[at - 1]
      const place = [{ path: `dataCenters[${index}].path[${at}]`, value: `${device.kind} ${device.name}` }]
      if (before !== undefined && DEVICE_KINDS.indexOf(device.kind) < DEVICE_KINDS.indexOf(before.kind)) {
        const message = `data center ${name}: ${device.kind} ${device.name} stands behind ${before.kind} ${before.name}, but a packet to the VPC meets it before`
        found.push(problem('path-order', message, place, `write the path in this order: ${DEVICE_KINDS.join(', ')}`))
      }
      if (device.kind === 'vbr' && before !== undefined && before.cloudAddress === undefined) {
        const message = `data center ${name}: the address of ${before.kind} ${before.name} towards the circuit is not given, so the routes of ${device.kind} ${device.name} name no next hop`
        const where = [{ path: `dataCenters[${index}].path[${at - 1}].cloudAddress`, value: '' }]
        found.push({
          severity: 'note',
          rule: 'address-unknown',
          message,
          places: where,
          wayOut: 'add its cloudAddress',
        })
      }
      if (device.address === undefined && !CLOUD_DEVICES.has(device.kind)) {
        const message = `data center ${name}: the address of ${device.kind} ${device.name} is not given, so the routes that lead to it name no next hop`
        found.push({ severity: 'note', rule: 'address-unknown', message, places: place, wayOut: 'add its address' })
      }
    }
    if (!path.some(({ kind }) => kind === 'vbr' || kind === 'vpn-gateway')) {
      const message = `data center ${name}: nothing on its path joins it to the cloud`
      const place = [{ path: `dataCenters[${index}].path`, value: path.map(({ kind }) => kind).join(', ') }]
      found.push(problem('path-without-border', message, place, 'add the vbr of its circuit, or a vpn-gateway'))
    }
    return found
  })
}

function nameFindings(network: Network): readonly Finding[] {
  const speakers = lansOf(network).flatMap(({ lan, path }) =>
    lan.speakers.map((value, index) => ({ path: `${path}.speakers[${index}]`, value })),
  )
  const addresses = rangesOf(network)
    .filter(({ kind }) => kind === 'link' || kind === 'lifeline')
    .filter(({ path }) => !path.endsWith('.gateway')) // a switch is the gateway as often as not
    .map(({ path, cidr }) => ({ path, value: cidr.slice(0, cidr.indexOf('/')) }))
  return [
    ...twice(addresses, 'two devices have the address', 'give each an address of its own'),
    ...twice(
      network.dataCenters.map(({ name }, index) => ({ path: `dataCenters[${index}].name`, value: name })),
      'two data centers have the name',
      'give each a name of its own',
    ),
    ...twice(
      lansOf(network).map(({ lan, path }) => ({ path: `${path}.name`, value: lan.name })),
      'two LANs have the name',
      'give each a name of its own',
    ),
    ...blockLists(network).flatMap(list => twice(list, 'a block stands twice:', 'remove one of the two')),
    ...twice(speakers, 'a speaker stands twice:', 'name each node once, in the LAN where it is'),
  ]
}

/** Each list by itself. Of pools it is an overlap. */
function blockLists({ vpc, serviceCIDRs, dataCenters, otherNetworks }: Network): readonly (readonly Place[])[] {
  const listed = (path: string, cidrs: readonly string[]) =>
    cidrs.map((value, index) => ({ path: `${path}[${index}]`, value }))
  return [
    listed('vpc.cidrs', vpc.cidrs),
    listed('serviceCIDRs', serviceCIDRs),
    ...dataCenters.flatMap(({ cidrs, lans }, index) => [
      listed(`dataCenters[${index}].cidrs`, cidrs),
      ...lans.map(({ hostCIDRs }, at) => listed(`dataCenters[${index}].lans[${at}].hostCIDRs`, hostCIDRs)),
    ]),
    ...otherNetworks.map(({ cidrs }, index) => listed(`otherNetworks[${index}].cidrs`, cidrs)),
  ]
}

function twice(places: readonly Place[], what: string, wayOut: string): readonly Finding[] {
  const groups = [...Map.groupBy(places, ({ value }) => value)].filter(([, group]) => group.length > 1)
  return groups.map(([value, group]) => problem('name-twice', `${what} ${value}`, group, wayOut))
}

/** kube-apiserver: a Service range has at most 20 bits of hosts, and at least eight addresses. */
const MOST_SERVICE_BITS = 20
const LEAST_SERVICE_BITS = 3

function serviceFindings({ serviceCIDRs, edge }: Network): readonly Finding[] {
  const found = serviceCIDRs.flatMap((cidr, index) => {
    const { family, length } = prefixOf(cidr)
    const [least, most] = [addressBits(family) - MOST_SERVICE_BITS, addressBits(family) - LEAST_SERVICE_BITS]
    if (length >= least && length <= most) return []
    const what = length < least ? 'large' : 'small'
    const place = [{ path: `serviceCIDRs[${index}]`, value: cidr }]
    const enough = addressBits(family) - 12
    return [
      problem(
        'service-size',
        `Service CIDR ${cidr} is too ${what}: kube-apiserver takes /${least} to /${most}`,
        place,
        `choose a mask in between; a /${enough} has 4,096 Services`,
      ),
    ]
  })
  const families = new Set(serviceCIDRs.map(familyOf))
  const without = edge.podCIDRs.map(familyOf).filter(family => !families.has(family))
  const places = [
    { path: 'serviceCIDRs', value: serviceCIDRs.join(', ') },
    { path: 'edge.podCIDRs', value: edge.podCIDRs.join(', ') },
  ]
  return [
    ...found,
    ...[...new Set(without)].map(family =>
      warning(
        'service-family',
        `pods have ${FAMILY_NAMES[family]} addresses, and no Service CIDR has: Services cannot lead to them by that family`,
        places,
        'add a Service CIDR of that family, or leave the family out',
      ),
    ),
  ]
}
