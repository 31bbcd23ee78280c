/**
 * What the kernel has now: links, addresses, the routes of our table (ours and others'), the
 * default gateways. Dumps only; decides nothing.
 */
import { FAMILIES, type Family } from '../lib/ip.ts'
import { POD_INTERFACE_PATTERN } from '../model/pod-interfaces.ts'
import { RT_SCOPE, RT_TABLE, RTPROT } from '../netlink/constants.ts'
import { DEFAULT_DESTINATIONS } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { InterfaceAddress, Link, Route } from '../netlink/types.ts'
import type { DefaultGateways } from './gateways.ts'
import type { ObservedRoutes, RouteMark } from './plan.ts'

/** What a look at the kernel found. */
export interface ObservedKernel {
  readonly links: readonly Link[]
  readonly addresses: readonly InterfaceAddress[]
  readonly routes: ObservedRoutes
  /**
   * The ways of the default route of each family with the lowest priority value, not made by us.
   */
  readonly defaultGateways: DefaultGateways
}

export function observe(netlink: Rtnetlink, mark: RouteMark): ObservedKernel {
  const table = netlink.dumpRoutes({ table: mark.table })
  const main = mark.table === RT_TABLE.MAIN ? table : netlink.dumpRoutes({ table: RT_TABLE.MAIN })
  return {
    links: netlink.dumpLinks(),
    addresses: netlink.dumpAddresses(),
    routes: {
      own: table.filter(({ protocol }) => protocol === mark.protocol),
      foreign: table.filter(({ protocol }) => protocol !== mark.protocol),
    },
    defaultGateways: defaultGateways(main.filter(({ protocol }) => protocol !== mark.protocol)),
  }
}

/**
 * This machine's addresses. Link-local ones come and go with every pod's interface, and no podCIDR
 * holds any.
 */
export function ownAddresses({ addresses }: Pick<ObservedKernel, 'addresses'>): string[] {
  return addresses.filter(({ scope }) => scope < RT_SCOPE.LINK).map(({ address }) => address)
}

/**
 * Names of the links that lead away from this machine: those that routes of ours or gateways of
 * others go over, and devices that somebody has given routes (a tunnel). A bridge with nothing but
 * its own subnet is a private one, and pods' links are neither.
 */
export function outwardLinks({ links, routes }: Pick<ObservedKernel, 'links' | 'routes'>): string[] {
  const kinds = new Map(links.map(({ index, kind }) => [index, kind]))
  const outward = new Set(routes.own.flatMap(({ nextHops }) => nextHops.map(hop => hop.interface)))
  for (const { type, protocol, nextHops } of routes.foreign) {
    for (const hop of nextHops) {
      const given = protocol !== RTPROT.KERNEL && kinds.get(hop.interface ?? 0) !== 'bridge'
      if (type === 'unicast' && (hop.gateway !== undefined || given)) outward.add(hop.interface)
    }
  }
  return links
    .filter(({ index, loopback, name }) => outward.has(index) && !loopback && !POD_INTERFACE_PATTERN.test(name))
    .map(({ name }) => name)
}

/** `outwardLinks` with the uplink, sorted. */
export function outwardOf(observed: ObservedKernel, uplink: Link | undefined): string[] {
  return [...new Set([...outwardLinks(observed), ...(uplink === undefined ? [] : [uplink.name])])].sort()
}

/** `outwardLinks` as they are now, in this network namespace. Throws `NetlinkError`. */
export function outwardLinksNow(mark: RouteMark): string[] {
  const netlink = Rtnetlink.open()
  try {
    return outwardLinks(observe(netlink, mark))
  } finally {
    netlink.close()
  }
}

/**
 * The link that bears one of `addresses`, the first that any does; else that of the default
 * gateway.
 */
export function uplinkOf(observed: ObservedKernel, addresses: readonly string[]): Link | undefined {
  const bearer = addresses.flatMap(
    address => observed.addresses.find(other => other.address === address)?.interface ?? [],
  )[0]
  const index = bearer ?? FAMILIES.flatMap(family => observed.defaultGateways[family])[0]?.interface
  return observed.links.find(link => link.index === index)
}

function defaultGateways(routes: readonly Route[]): DefaultGateways {
  const of = (family: Family) => {
    const destination = DEFAULT_DESTINATIONS[family]
    const candidates = routes.filter(route => route.destination === destination && route.type === 'unicast')
    return candidates.toSorted((a, b) => a.priority - b.priority)[0]?.nextHops ?? []
  }
  return { ipv4: of('ipv4'), ipv6: of('ipv6') }
}
