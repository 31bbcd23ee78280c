/**
 * Routes (struct rtmsg and RTA_* of <linux/rtnetlink.h>) as values and as bytes: requests to add,
 * replace, delete, dump and look up, and what the kernel answers. One next hop is written flat,
 * several as RTA_MULTIPATH; an IPv4 route via an IPv6 gateway (RFC 8950 networks) uses RTA_VIA.
 * Metrics of a route (mtu, advmss, …) are not kept. Pure.
 */

import { AF } from '../lib/address-family.ts'
import { addressBits, addressBytes, type Family, familyOf, formatAddress, formatPrefix, prefixOf } from '../lib/ip.ts'
import { Attributes, type Encoder } from './attributes.ts'
import { NLM_F, RT_SCOPE, RT_TABLE, RTA, RTM, RTM_F, RTN, RTNH_F, RTPROT } from './constants.ts'
import { checkDecoded, type Request, request, structure } from './message.ts'
import type { NextHop, Route, RouteLookup, RouteType } from './types.ts'

const RTMSG_LENGTH = 12
const RTNEXTHOP_LENGTH = 8
/** Metric of an IPv6 route that was added without one (IP6_RT_PRIO_USER). */
export const IPV6_DEFAULT_PRIORITY = 1024

/** `destination` of the default route of each family. */
export const DEFAULT_DESTINATIONS: Readonly<Record<Family, string>> = { ipv4: '0.0.0.0/0', ipv6: '::/0' }

/**
 * A route to write. What is left out: table main, type unicast, priority the kernel's default,
 * scope by whether there is a gateway.
 */
export interface RouteSpec {
  readonly destination: string
  readonly protocol: number
  readonly table?: number
  readonly type?: RouteType
  readonly scope?: number
  readonly priority?: number
  readonly preferredSource?: string
  readonly nextHops?: readonly NextHop[]
}

/** Which routes to delete; what is left out matches any. */
export type RouteMatch = Omit<RouteSpec, 'protocol'> & { readonly protocol?: number }

export interface RouteFilter {
  readonly family?: Family
  readonly protocol?: number
  readonly table?: number
}

const TYPES: Readonly<Partial<Record<number, RouteType>>> = {
  [RTN.UNICAST]: 'unicast',
  [RTN.LOCAL]: 'local',
  [RTN.BROADCAST]: 'broadcast',
  [RTN.BLACKHOLE]: 'blackhole',
  [RTN.UNREACHABLE]: 'unreachable',
  [RTN.PROHIBIT]: 'prohibit',
  [RTN.THROW]: 'throw',
}

export function afOf(family: Family): number {
  return family === 'ipv4' ? AF.INET : AF.INET6
}

export function familyOfAf(af: number): Family | undefined {
  return af === AF.INET ? 'ipv4' : af === AF.INET6 ? 'ipv6' : undefined
}

/** A route in words: `10.0.1.0/25 via 172.16.0.12`, `unreachable 10.0.1.0/25`. */
export function routeText(route: RouteMatch): string {
  const type = route.type === undefined || route.type === 'unicast' ? '' : `${route.type} `
  const ways = (route.nextHops ?? []).map(hop =>
    hop.gateway !== undefined ? `via ${hop.gateway}` : `on interface ${hop.interface}`,
  )
  const table = route.table === undefined || route.table === RT_TABLE.MAIN ? '' : ` in table ${route.table}`
  return `${type}${route.destination}${ways.length === 0 ? '' : ` ${ways.join(' and ')}`}${table}`
}

/**
 * Adds a route; EEXIST when there is one with the same destination, table and priority, whoever
 * made it.
 */
export function addRoute(route: RouteSpec): Request {
  return writeRoute(`add route ${routeText(route)}`, NLM_F.CREATE | NLM_F.EXCL, route)
}

/**
 * Adds a route, or puts it in place of the one with the same destination, table and priority:
 * whoever made that.
 */
export function replaceRoute(route: RouteSpec): Request {
  return writeRoute(`replace route ${routeText(route)}`, NLM_F.CREATE | NLM_F.REPLACE, route)
}

/**
 * Deletes the route that matches; ESRCH when there is none. Without next hops all ways of it go.
 */
export function deleteRoute(match: RouteMatch): Request {
  return request({ text: `delete route ${routeText(match)}`, type: RTM.DELROUTE, flags: 0 }, encoder => {
    encodeRoute(encoder, match, {
      type: match.type === undefined ? 0 : typeNumber(match.type),
      scope: match.scope ?? RT_SCOPE.NOWHERE,
    })
  })
}

/**
 * Dumps the routes of one family; with NETLINK_GET_STRICT_CHK the kernel filters by protocol and
 * table.
 */
export function dumpRoutesRequest(family: Family, filter: RouteFilter): Request {
  return request({ text: `dump ${family} routes`, type: RTM.GETROUTE, flags: NLM_F.DUMP }, encoder => {
    encoder.u8(afOf(family), 0, 0, 0, 0, filter.protocol ?? RTPROT.UNSPEC, 0, 0).u32(0)
    if (filter.table !== undefined) encoder.u32Attribute(RTA.TABLE, filter.table)
  })
}

/** Asks how a packet to `address` would go now. */
export function lookupRequest(address: string): Request {
  return routeTo(address, 0)
}

/** Where a packet comes from that is to be forwarded. */
export interface ForwardedFrom {
  readonly source: string
  /** Index of the interface that it comes in by. */
  readonly interface: number
}

/**
 * Asks for the route that a packet to `address` would take now, as it stands in its table; one of
 * this machine's own, or one that it forwards.
 */
export function matchRequest(address: string, from?: ForwardedFrom): Request {
  return routeTo(address, RTM_F.FIB_MATCH, from)
}

function routeTo(address: string, flags: number, from?: ForwardedFrom): Request {
  const family = familyOf(address)
  const bits = addressBits(family)
  return request({ text: `look up route to ${address}`, type: RTM.GETROUTE, flags: 0 }, encoder => {
    // IPv6 refuses RTM_F_LOOKUP_TABLE and names the table anyway
    const naming = family === 'ipv4' ? RTM_F.LOOKUP_TABLE : 0
    encoder.u8(afOf(family), bits, from === undefined ? 0 : bits, 0, 0, 0, 0, 0).u32(flags | naming)
    encoder.bytesAttribute(RTA.DST, addressBytes(address))
    if (from === undefined) return
    encoder.bytesAttribute(RTA.SRC, addressBytes(from.source)).u32Attribute(RTA.IIF, from.interface)
  })
}

/** The route of an RTM_NEWROUTE or RTM_DELROUTE body; undefined for families that are not IP. */
export function decodeRoute(body: Uint8Array): Route | undefined {
  const header = structure('route', body, RTMSG_LENGTH)
  const family = familyOfAf(header.getUint8(0))
  if (family === undefined) return undefined
  const attributes = new Attributes(body.subarray(RTMSG_LENGTH))
  const bytes = attributes.bytesOf(RTA.DST, [addressBits(family) / 8]) ?? new Uint8Array(addressBits(family) / 8)
  const source = attributes.bytesOf(RTA.PREFSRC, [4, 16])
  const flags = header.getUint32(8, true)
  const type = TYPES[header.getUint8(7)] ?? 'other'
  const route: Route = {
    family,
    destination: formatPrefix({ bytes, length: header.getUint8(1) }),
    table: attributes.u32(RTA.TABLE) ?? header.getUint8(4),
    protocol: header.getUint8(5),
    scope: header.getUint8(6),
    type,
    priority: attributes.u32(RTA.PRIORITY) ?? 0,
    ...(source !== undefined && { preferredSource: formatAddress(source) }),
    // IPv6 names the loopback interface as the way of an unreachable route
    nextHops: type === 'unicast' || type === 'local' || type === 'broadcast' ? decodeNextHops(attributes, flags) : [],
    flags,
  }
  checkDecoded('route', attributes)
  return route
}

/** What a route says as the answer to a lookup. */
export function lookupOf(address: string, route: Route): RouteLookup {
  const way = route.nextHops[0]
  return {
    destination: address,
    type: route.type,
    ...(way?.interface !== undefined && { interface: way.interface }),
    ...(way?.gateway !== undefined && { gateway: way.gateway }),
    ...(route.preferredSource !== undefined && { source: route.preferredSource }),
    table: route.table,
  }
}

function writeRoute(text: string, flags: number, route: RouteSpec): Request {
  return request({ text, type: RTM.NEWROUTE, flags }, encoder =>
    encodeRoute(encoder, route, { type: typeNumber(route.type ?? 'unicast'), scope: route.scope ?? scopeOf(route) }),
  )
}

/** IPv4 takes a route without a gateway only with link scope; IPv6 has no scopes of routes. */
function scopeOf(route: RouteMatch): number {
  const unicast = route.type === undefined || route.type === 'unicast'
  const direct = route.nextHops?.length !== 0 && route.nextHops?.every(hop => hop.gateway === undefined)
  return unicast && direct === true && familyOf(route.destination) === 'ipv4' ? RT_SCOPE.LINK : RT_SCOPE.UNIVERSE
}

function typeNumber(type: RouteType): number {
  const entry = Object.entries(TYPES).find(([, name]) => name === type)
  if (entry === undefined) throw new Error(`a route of type ${type} cannot be written`)
  return Number(entry[0])
}

function encodeRoute(encoder: Encoder, route: RouteMatch, kind: { type: number; scope: number }): void {
  const prefix = prefixOf(route.destination)
  const table = route.table ?? RT_TABLE.MAIN
  const single = route.nextHops?.length === 1 ? route.nextHops[0] : undefined
  encoder
    .u8(afOf(prefix.family), prefix.length, 0, 0, table > 255 ? RT_TABLE.UNSPEC : table)
    .u8(route.protocol ?? RTPROT.UNSPEC, kind.scope, kind.type)
    .u32(single?.onlink === true ? RTNH_F.ONLINK : 0)
    .u32Attribute(RTA.TABLE, table)
    .bytesAttribute(RTA.DST, prefix.bytes)
  if (route.priority !== undefined) encoder.u32Attribute(RTA.PRIORITY, route.priority)
  if (route.preferredSource !== undefined) {
    encoder.bytesAttribute(RTA.PREFSRC, addressBytes(route.preferredSource))
  }
  if (single !== undefined) {
    if (single.interface !== undefined) encoder.u32Attribute(RTA.OIF, single.interface)
    encodeGateway(encoder, prefix.family, single.gateway)
  } else if (route.nextHops !== undefined && route.nextHops.length > 1) {
    encodeMultipath(encoder, prefix.family, route.nextHops)
  }
}

function encodeGateway(encoder: Encoder, family: Family, gateway: string | undefined): void {
  if (gateway === undefined) return
  const bytes = addressBytes(gateway)
  if (familyOf(gateway) === family) encoder.bytesAttribute(RTA.GATEWAY, bytes)
  else encoder.group(RTA.VIA, () => encoder.u16(afOf(familyOf(gateway))).put(bytes))
}

function encodeMultipath(encoder: Encoder, family: Family, hops: readonly NextHop[]): void {
  encoder.group(RTA.MULTIPATH, () => {
    for (const hop of hops) {
      const start = encoder.length
      encoder.u16(0).u8(hop.onlink === true ? RTNH_F.ONLINK : 0, (hop.weight ?? 1) - 1)
      encoder.i32(hop.interface ?? 0)
      encodeGateway(encoder, family, hop.gateway)
      encoder.setU16(start, encoder.length - start)
    }
  })
}

function decodeNextHops(attributes: Attributes, flags: number): NextHop[] {
  const multipath = attributes.bytes(RTA.MULTIPATH)
  if (multipath !== undefined) return decodeMultipath(multipath)
  const hop = nextHop(attributes, attributes.u32(RTA.OIF), flags)
  return hop.gateway === undefined && hop.interface === undefined ? [] : [hop]
}

function decodeMultipath(bytes: Uint8Array): NextHop[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const hops: NextHop[] = []
  for (let offset = 0; offset + RTNEXTHOP_LENGTH <= bytes.length; ) {
    const length = view.getUint16(offset, true)
    if (length < RTNEXTHOP_LENGTH || offset + length > bytes.length) break
    const attributes = new Attributes(bytes.subarray(offset + RTNEXTHOP_LENGTH, offset + length))
    const hop = nextHop(attributes, view.getInt32(offset + 4, true), view.getUint8(offset + 2))
    const weight = view.getUint8(offset + 3) + 1
    hops.push(weight === 1 ? hop : { ...hop, weight })
    offset += (length + 3) & ~3
  }
  return hops
}

function nextHop(attributes: Attributes, interfaceIndex: number | undefined, flags: number): NextHop {
  const gateway = attributes.bytesOf(RTA.GATEWAY, [4, 16]) ?? viaAddress(attributes)
  return {
    ...(gateway !== undefined && { gateway: formatAddress(gateway) }),
    ...(interfaceIndex !== undefined && interfaceIndex !== 0 && { interface: interfaceIndex }),
    ...((flags & RTNH_F.ONLINK) !== 0 && { onlink: true }),
  }
}

/** struct rtvia: a family of 16 bits, then the address. */
function viaAddress(attributes: Attributes): Uint8Array | undefined {
  return attributes.bytesOf(RTA.VIA, [6, 18])?.subarray(2)
}
