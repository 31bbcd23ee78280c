/**
 * The bytes of the simulated kernel: netlink requests in, answers out, so that the product's own
 * codecs run too. Dumps are kept until something changes. See kernel.ts for what is answered.
 */
import { addressBytes, familyOf, formatAddress, prefixOf } from '../../src/lib/ip.ts'
import { Attributes, align, Encoder } from '../../src/netlink/attributes.ts'
import { IFA, IFF, IFLA, IFLA_INFO, NDA, NLM_F, NLMSG, RTA, RTM, RTN } from '../../src/netlink/constants.ts'
import { hardwareAddressBytes } from '../../src/netlink/link.ts'
import { decodeMessages, HEADER_LENGTH, type Message } from '../../src/netlink/message.ts'
import { afOf, decodeRoute } from '../../src/netlink/route.ts'
import type { Kernel } from '../../src/netlink/socket.ts'
import type { InterfaceAddress, Link, Neighbour, NextHop, Route } from '../../src/netlink/types.ts'
import type { RouteRequest, SimKernel } from './kernel.ts'

const TYPE_NUMBERS: Readonly<Partial<Record<Route['type'], number>>> = {
  unicast: RTN.UNICAST,
  local: RTN.LOCAL,
  unreachable: RTN.UNREACHABLE,
  blackhole: RTN.BLACKHOLE,
}
const AF_INET = 2
const AF_INET6 = 10

/**
 * What `Rtnetlink` stands on. `gate` is asked before each request: throwing is the machine's end.
 */
export function kernelWire(kernel: SimKernel, gate: () => void = () => {}): Kernel {
  const kept = new AnswerCache(kernel)
  return requests => {
    const messages = decodeMessages(requests)
    return messages.flatMap(message => {
      gate() // a process may die between two requests of one datagram
      return READS.has(message.type) ? kept.get(message) : [write(kernel, message)]
    })
  }
}

const READS: ReadonlySet<number> = new Set([RTM.GETROUTE, RTM.GETLINK, RTM.GETADDR, RTM.GETNEIGH, RTM.GETRULE])

function read(kernel: SimKernel, message: Message): Uint8Array[] {
  if ((message.flags & NLM_F.DUMP) === NLM_F.DUMP) return [dump(kernel, message)]
  return message.type === RTM.GETLINK ? getLink(kernel, message) : lookup(kernel, message)
}

function write(kernel: SimKernel, message: Message): Uint8Array {
  switch (message.type) {
    case RTM.NEWROUTE: {
      const mode = (message.flags & NLM_F.REPLACE) !== 0 ? 'replace' : 'add'
      return ack(message, kernel.writeRoute(routeRequest(message.body), mode))
    }
    case RTM.DELROUTE:
      return ack(message, kernel.deleteRoute(routeRequest(message.body)))
    case RTM.NEWNEIGH:
      return ack(message, probe(kernel, message.body))
    default:
      throw new Error(`the simulated kernel does not know request ${message.type}`)
  }
}

/** Answers are the same until something changes; only their sequence is another. */
class AnswerCache {
  readonly #kernel: SimKernel
  readonly #kept = new Map<string, readonly Uint8Array[]>()
  #version = -1
  constructor(kernel: SimKernel) {
    this.#kernel = kernel
  }
  get(message: Message): readonly Uint8Array[] {
    if (this.#version !== this.#kernel.version) this.#kept.clear()
    this.#version = this.#kernel.version
    const { type, flags, body } = message
    const key = `${type} ${flags} ${Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')}`
    let kept = this.#kept.get(key)
    if (kept === undefined) {
      kept = read(this.#kernel, message)
      this.#kept.set(key, kept)
    }
    for (const datagram of kept) restamp(datagram, message.sequence)
    return kept
  }
}

/** Writes the sequence of the request into the messages of a kept answer. */
function restamp(datagram: Uint8Array, sequence: number): void {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  for (let offset = 0; offset + HEADER_LENGTH <= datagram.length; offset = align(offset + view.getUint32(offset, true)))
    view.setUint32(offset + 8, sequence, true)
}

function dump(kernel: SimKernel, { type, body, sequence }: Message): Uint8Array {
  const encoder = new Encoder(4096)
  const family = body[0] ?? 0
  switch (type) {
    case RTM.GETROUTE: {
      const table = new Attributes(body.subarray(12)).u32(RTA.TABLE)
      if (family === AF_INET) {
        for (const route of kernel.routes)
          if (table === undefined || route.table === table)
            put(encoder, RTM.NEWROUTE, sequence, () => encodeRoute(encoder, route))
      }
      break
    }
    case RTM.GETLINK:
      for (const link of kernel.links) put(encoder, RTM.NEWLINK, sequence, () => encodeLink(encoder, link))
      break
    case RTM.GETADDR:
      for (const one of kernel.addresses) put(encoder, RTM.NEWADDR, sequence, () => encodeAddress(encoder, one))
      break
    case RTM.GETNEIGH:
      for (const one of kernel.neighbours) put(encoder, RTM.NEWNEIGH, sequence, () => encodeNeighbour(encoder, one))
      break
    case RTM.GETRULE:
      break
    default:
      throw new Error(`the simulated kernel does not dump ${type}`)
  }
  put(encoder, NLMSG.DONE, sequence, () => encoder.i32(0))
  return encoder.bytes()
}

function put(encoder: Encoder, type: number, sequence: number, body: () => void): void {
  const start = encoder.length
  encoder.u32(0).u16(type).u16(NLM_F.MULTI).u32(sequence).u32(0)
  body()
  encoder.setU16(start, encoder.length - start)
  while (encoder.length < align(encoder.length)) encoder.u8(0)
}

function ack(message: Message, errno: number): Uint8Array {
  const encoder = new Encoder(64)
  put(encoder, NLMSG.ERROR, message.sequence, () => {
    encoder.i32(-errno)
    // the header of the request, which alone is sent back (NETLINK_CAP_ACK)
    encoder.u32(HEADER_LENGTH).u16(message.type).u16(message.flags).u32(message.sequence).u32(0)
  })
  return encoder.bytes()
}

function lookup(kernel: SimKernel, message: Message): Uint8Array[] {
  const { body, sequence } = message
  const family = body[0]
  const bytes = new Attributes(body.subarray(12)).bytes(RTA.DST)
  if (family === AF_INET6 || bytes === undefined) return [ack(message, 101)]
  const found = kernel.lookup(formatAddress(bytes))
  if (typeof found === 'number') return [ack(message, found)]
  const encoder = new Encoder(256)
  put(encoder, RTM.NEWROUTE, sequence, () => encodeRoute(encoder, found))
  return [encoder.bytes(), ack(message, 0)]
}

function getLink(kernel: SimKernel, message: Message): Uint8Array[] {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const index = view.getInt32(4, true)
  const name = new Attributes(message.body.subarray(16)).text(IFLA.IFNAME)
  const link = kernel.links.find(one => (index > 0 ? one.index === index : one.name === name))
  if (link === undefined) return [ack(message, 19)]
  const encoder = new Encoder(256)
  put(encoder, RTM.NEWLINK, message.sequence, () => encodeLink(encoder, link))
  return [encoder.bytes(), ack(message, 0)]
}

function routeRequest(body: Uint8Array): RouteRequest {
  const route = decodeRoute(body)
  if (route === undefined) throw new Error('a route of no family')
  const typeNumber = body[7] ?? 0
  // decodeRoute keeps no ways of what is not unicast, and a deletion may say no type
  const hops = typeNumber === 0 ? (decodeRoute(withType(body, RTN.UNICAST))?.nextHops ?? []) : route.nextHops
  return {
    destination: route.destination,
    table: route.table,
    protocol: route.protocol,
    scope: route.scope,
    type: typeNumber === 0 ? undefined : route.type,
    priority: route.priority,
    nextHops: hops,
  }
}

function withType(body: Uint8Array, type: number): Uint8Array {
  const copy = body.slice()
  copy[7] = type
  return copy
}

function probe(kernel: SimKernel, body: Uint8Array): number {
  const view = new DataView(body.buffer, body.byteOffset)
  const bytes = new Attributes(body.subarray(12)).bytes(NDA.DST)
  if (bytes === undefined || bytes.length !== 4) return 22
  kernel.probe(formatAddress(bytes), view.getInt32(4, true))
  return 0
}

function encodeRoute(encoder: Encoder, route: Route): void {
  const prefix = prefixOf(route.destination)
  const single = route.nextHops.length === 1 ? route.nextHops[0] : undefined
  encoder
    .u8(afOf(prefix.family), prefix.length, 0, 0, route.table, route.protocol, route.scope)
    .u8(TYPE_NUMBERS[route.type] ?? 0)
    .u32(0)
    .u32Attribute(RTA.TABLE, route.table)
  if (prefix.length > 0) encoder.bytesAttribute(RTA.DST, prefix.bytes)
  if (route.priority !== 0) encoder.u32Attribute(RTA.PRIORITY, route.priority)
  if (route.preferredSource !== undefined) encoder.bytesAttribute(RTA.PREFSRC, addressBytes(route.preferredSource))
  if (single !== undefined) encodeHop(encoder, single)
  else if (route.nextHops.length > 1) encodeMultipath(encoder, route.nextHops)
}

function encodeHop(encoder: Encoder, hop: NextHop): void {
  if (hop.gateway !== undefined) encoder.bytesAttribute(RTA.GATEWAY, addressBytes(hop.gateway))
  if (hop.interface !== undefined) encoder.u32Attribute(RTA.OIF, hop.interface)
}

function encodeMultipath(encoder: Encoder, hops: readonly NextHop[]): void {
  encoder.group(RTA.MULTIPATH, () => {
    for (const hop of hops) {
      const start = encoder.length
      encoder
        .u16(0)
        .u8(0, (hop.weight ?? 1) - 1)
        .i32(hop.interface ?? 0)
      if (hop.gateway !== undefined) encoder.bytesAttribute(RTA.GATEWAY, addressBytes(hop.gateway))
      encoder.setU16(start, encoder.length - start)
    }
  })
}

function encodeLink(encoder: Encoder, link: Link): void {
  const flags = (link.up ? IFF.UP : 0) | (link.carrier ? IFF.LOWER_UP : 0) | (link.loopback ? IFF.LOOPBACK : 0)
  encoder.u8(0, 0).u16(0).i32(link.index).u32(flags).u32(0)
  encoder.textAttribute(IFLA.IFNAME, link.name).u32Attribute(IFLA.MTU, link.mtu)
  encoder.bytesAttribute(IFLA.ADDRESS, hardwareAddressBytes(link.address))
  if (link.kind !== '') encoder.nested(IFLA.LINKINFO, () => encoder.textAttribute(IFLA_INFO.KIND, link.kind))
}

function encodeAddress(encoder: Encoder, one: InterfaceAddress): void {
  const bytes = addressBytes(one.address)
  encoder.u8(afOf(familyOf(one.address)), one.prefixLength, one.flags & 0xff, one.scope).u32(one.interface)
  encoder.bytesAttribute(IFA.ADDRESS, bytes).bytesAttribute(IFA.LOCAL, bytes).u32Attribute(IFA.FLAGS, one.flags)
}

function encodeNeighbour(encoder: Encoder, one: Neighbour): void {
  encoder.u8(AF_INET, 0).u16(0).i32(one.interface).u16(one.state).u8(one.flags, 0)
  encoder.bytesAttribute(NDA.DST, addressBytes(one.address))
  if (one.hardwareAddress !== '') encoder.bytesAttribute(NDA.LLADDR, hardwareAddressBytes(one.hardwareAddress))
}
