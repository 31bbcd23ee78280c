/**
 * What the kernel has now: links, addresses, the routes of our table (ours and others'), the default gateways, and who is on-link. Dumps
 * only; decides nothing.
 */
import { RT_SCOPE, RT_TABLE } from '../netlink/constants.ts'
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { InterfaceAddress, Link, NextHop, Route } from '../netlink/types.ts'
import type { ObservedRoutes, RouteMark } from './plan.ts'

export interface Observed {
  readonly links: readonly Link[]
  readonly addresses: readonly InterfaceAddress[]
  readonly routes: ObservedRoutes
  /** Of the default routes with the lowest priority value, not made by us. */
  readonly defaultGateways: readonly NextHop[]
}

export function observe(netlink: Rtnetlink, mark: RouteMark): Observed {
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

/** The interface index of each address that is on-link: sent to directly, on an interface that is not loopback. */
export function askOnLink(
  netlink: Rtnetlink,
  addresses: readonly string[],
  links: readonly Link[],
): ReadonlyMap<string, number> {
  const usable = new Set(links.filter(({ loopback }) => !loopback).map(({ index }) => index))
  const onLink = new Map<string, number>()
  for (const address of addresses) {
    const { type, gateway, interface: index } = netlink.lookup(address)
    if (type === 'unicast' && gateway === undefined && index !== undefined && usable.has(index)) {
      onLink.set(address, index)
    }
  }
  return onLink
}

/** This machine's addresses. Link-local ones come and go with every pod's interface, and no podCIDR holds any. */
export function ownAddresses({ addresses }: Observed): string[] {
  return addresses.filter(({ scope }) => scope < RT_SCOPE.LINK).map(({ address }) => address)
}

/** The link that bears one of `addresses`, the first that any does; else that of the default gateway. */
export function uplinkOf(observed: Observed, addresses: readonly string[]): Link | undefined {
  const bearer = addresses.flatMap(
    address => observed.addresses.find(other => other.address === address)?.interface ?? [],
  )[0]
  const index = bearer ?? observed.defaultGateways[0]?.interface
  return observed.links.find(link => link.index === index)
}

function defaultGateways(routes: readonly Route[]): NextHop[] {
  return ['0.0.0.0/0', '::/0'].flatMap(destination => {
    const candidates = routes.filter(route => route.destination === destination && route.type === 'unicast')
    const best = candidates.toSorted((a, b) => a.priority - b.priority)[0]
    return (best?.nextHops ?? []).filter(({ gateway }) => gateway !== undefined)
  })
}
