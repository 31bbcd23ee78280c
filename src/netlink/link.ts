/**
 * Links (struct ifinfomsg and IFLA_* of <linux/if_link.h>) as values and as bytes: find, create
 * (veth pairs with the peer born in another namespace, bridges, dummies), change, delete. Indexes
 * belong to one network namespace. Settings that only some kinds of links have (VLAN ids, ports of
 * bonds) are neither read nor written. Pure.
 */
import { invariant } from '../lib/assert.ts'
import { formatAddress } from '../lib/ip.ts'
import { Attributes, type Encoder } from './attributes.ts'
import {
  IFF,
  IFLA,
  IFLA_INFO,
  NLM_F,
  RTEXT_FILTER_SKIP_STATS,
  RTM,
  TUNNEL_REMOTE,
  VETH_INFO_PEER,
} from './constants.ts'
import { checkDecoded, type Request, request, structure } from './message.ts'
import type { Link } from './types.ts'

const IFINFOMSG_LENGTH = 16

/** A link by its index, or by its name. */
export type LinkReference = number | string

/** What can be set on a link. */
export interface LinkSettings {
  readonly name?: string
  readonly up?: boolean
  /** Bytes. */
  readonly mtu?: number
  /** Index of the bridge or bond to make it a port of; 0 for none. */
  readonly master?: number
  readonly alias?: string
  /** Group that rules may name (`ip link set group`). */
  readonly group?: number
  /** Hardware address, `02:00:5e:10:00:00`. */
  readonly address?: string
  /** An open file of the network namespace to put it in. */
  readonly namespaceFd?: number
}

/** What a link can be born with: the kernel sets an alias only afterwards. */
export type NewLink = Omit<LinkSettings, 'alias'> & { readonly name: string }

/**
 * Creates a veth pair. With `peer.namespaceFd` the peer is born in that namespace. Only the near
 * end can be born up: the kernel registers the peer while it has no other end yet (ENOTCONN).
 */
export function addVeth(pair: NewLink & { readonly peer: Omit<NewLink, 'up'> }): Request {
  const text = `add veth pair ${pair.name} and ${pair.peer.name}`
  return request({ text, type: RTM.NEWLINK, flags: NLM_F.CREATE | NLM_F.EXCL }, encoder => {
    encodeHeader(encoder, 0, pair.up)
    encodeSettings(encoder, pair)
    encoder.nested(IFLA.LINKINFO, () => {
      encoder.textAttribute(IFLA_INFO.KIND, 'veth')
      encoder.nested(IFLA_INFO.DATA, () => {
        encoder.nested(VETH_INFO_PEER, () => {
          encodeHeader(encoder, 0, undefined)
          encodeSettings(encoder, pair.peer)
        })
      })
    })
  })
}

/**
 * Changes a link. One that gets a new name must be given by index: the kernel would look for the
 * new name.
 */
export function setLink(link: LinkReference, settings: LinkSettings): Request {
  invariant(typeof link === 'number' || settings.name === undefined, 'a link to rename is given by its index')
  return request({ text: `set ${settingsText(settings)} of link ${link}`, type: RTM.NEWLINK, flags: 0 }, encoder => {
    encodeHeader(encoder, typeof link === 'number' ? link : 0, settings.up)
    if (typeof link === 'string') encoder.textAttribute(IFLA.IFNAME, link)
    encodeSettings(encoder, settings)
  })
}

/** Deletes a link; the other end of a veth goes with it. ENODEV when there is none. */
export function deleteLink(link: LinkReference): Request {
  return linkRequest(`delete link ${link}`, RTM.DELLINK, link)
}

/** Deletes all links of a group, not the group of all others (0). ENODEV when there are none. */
export function deleteLinkGroup(group: number): Request {
  return request({ text: `delete links of group ${group}`, type: RTM.DELLINK, flags: 0 }, encoder => {
    encodeHeader(encoder, 0, undefined)
    encoder.u32Attribute(IFLA.GROUP, group)
  })
}

export function getLinkRequest(link: LinkReference): Request {
  return linkRequest(`get link ${link}`, RTM.GETLINK, link)
}

export function dumpLinksRequest(): Request {
  return request({ text: 'dump links', type: RTM.GETLINK, flags: NLM_F.DUMP }, encoder => {
    encodeHeader(encoder, 0, undefined)
    encoder.u32Attribute(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS)
  })
}

/**
 * The link of an RTM_NEWLINK or RTM_DELLINK body; undefined for what is not one (ports of a
 * bridge's own family).
 */
export function decodeLink(body: Uint8Array): Link | undefined {
  const header = structure('link', body, IFINFOMSG_LENGTH)
  // AF_BRIDGE messages describe a port of a bridge, not a link
  if (header.getUint8(0) !== 0) return undefined
  const attributes = new Attributes(body.subarray(IFINFOMSG_LENGTH))
  const flags = header.getUint32(8, true)
  const info = attributes.nested(IFLA.LINKINFO)
  const kind = info?.text(IFLA_INFO.KIND) ?? ''
  const remote = remoteOf(kind, info)
  const master = attributes.u32(IFLA.MASTER)
  const alias = attributes.text(IFLA.IFALIAS)
  const group = attributes.u32(IFLA.GROUP)
  const other = attributes.u32(IFLA.LINK)
  const peer = kind === 'veth' ? other : undefined
  const peerNamespace = attributes.i32(IFLA.LINK_NETNSID)
  const parent = kind === 'veth' || other === 0 || peerNamespace !== undefined ? undefined : other
  const link: Link = {
    index: header.getInt32(4, true),
    name: attributes.text(IFLA.IFNAME) ?? '',
    kind,
    mtu: attributes.u32(IFLA.MTU) ?? 0,
    up: (flags & IFF.UP) !== 0,
    carrier: (flags & IFF.LOWER_UP) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    address: formatHardwareAddress(attributes.bytes(IFLA.ADDRESS) ?? new Uint8Array()),
    ...(master !== undefined && { master }),
    ...(parent !== undefined && { parent }),
    ...(peer !== undefined && { peer }),
    ...(peer !== undefined && peerNamespace !== undefined && { peerNamespace }),
    ...(alias !== undefined && { alias }),
    ...(group !== undefined && group !== 0 && { group }),
    ...(remote !== undefined && { remote }),
  }
  checkDecoded('link', attributes)
  return link
}

/** A group, or none in particular, is no far end. */
function remoteOf(kind: string, info: Attributes | undefined): string | undefined {
  const types = TUNNEL_REMOTE[kind]
  const data = types === undefined ? undefined : info?.nested(IFLA_INFO.DATA)
  const bytes = types?.map(type => data?.bytes(type)).find(one => one?.length === 4 || one?.length === 16)
  if (bytes === undefined || bytes.every(byte => byte === 0)) return undefined
  const [first = 0] = bytes
  const isGroup = bytes.length === 4 ? first >= 224 : first === 0xff
  return isGroup ? undefined : formatAddress(bytes)
}

/**
 * Links by their hardware address; of several (VLANs on top of an interface have its address) the
 * one that was there first.
 */
export function linksByAddress(links: readonly Link[]): ReadonlyMap<string, Link> {
  return new Map([...links].sort((a, b) => b.index - a.index).map(link => [link.address, link]))
}

/** `02:00:5e:10:00:00`. */
export function formatHardwareAddress(bytes: Uint8Array): string {
  return [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}

/** The bytes of a hardware address. Throws when it is not one. */
export function hardwareAddressBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2})+$/i.test(text)) throw new Error(`not a hardware address: ${JSON.stringify(text)}`)
  return Uint8Array.from(text.split(':'), part => Number.parseInt(part, 16))
}

function linkRequest(text: string, type: number, link: LinkReference): Request {
  return request({ text, type, flags: 0 }, encoder => {
    encodeHeader(encoder, typeof link === 'number' ? link : 0, undefined)
    if (typeof link === 'string') encoder.textAttribute(IFLA.IFNAME, link)
    if (type === RTM.GETLINK) encoder.u32Attribute(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS)
  })
}

/** struct ifinfomsg; `up` undefined leaves the flag as it is. */
function encodeHeader(encoder: Encoder, index: number, up: boolean | undefined): void {
  encoder.u8(AF_UNSPEC, 0).u16(0).i32(index)
  encoder.u32(up === true ? IFF.UP : 0).u32(up === undefined ? 0 : IFF.UP)
}
const AF_UNSPEC = 0

function encodeSettings(encoder: Encoder, settings: LinkSettings): void {
  if (settings.name !== undefined) encoder.textAttribute(IFLA.IFNAME, settings.name)
  if (settings.mtu !== undefined) encoder.u32Attribute(IFLA.MTU, settings.mtu)
  if (settings.master !== undefined) encoder.u32Attribute(IFLA.MASTER, settings.master)
  if (settings.group !== undefined) encoder.u32Attribute(IFLA.GROUP, settings.group)
  if (settings.alias !== undefined) encoder.textAttribute(IFLA.IFALIAS, settings.alias)
  if (settings.address !== undefined) encoder.bytesAttribute(IFLA.ADDRESS, hardwareAddressBytes(settings.address))
  if (settings.namespaceFd !== undefined) encoder.u32Attribute(IFLA.NET_NS_FD, settings.namespaceFd)
}

function settingsText(settings: LinkSettings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}
