/**
 * ARP and ND entries (struct ndmsg and NDA_* of <linux/neighbour.h>) as values and as bytes:
 * permanent entries and proxies. Pure.
 */
import { addressBytes, familyOf, formatAddress } from '../lib/ip.ts'
import { Attributes } from './attributes.ts'
import { NDA, NLM_F, NTF, NUD, RTM } from './constants.ts'
import { formatHardwareAddress, hardwareAddressBytes } from './link.ts'
import { checkDecoded, type Request, request, structure } from './message.ts'
import { afOf, familyOfAf } from './route.ts'
import type { Neighbour } from './types.ts'

const NDMSG_LENGTH = 12

export interface NeighbourSpec {
  readonly address: string
  /** Interface index. */
  readonly interface: number
  /** Absent for a proxy entry. */
  readonly hardwareAddress?: string
}

/** Writes a permanent entry, in place of what is there. */
export function replaceNeighbour(spec: NeighbourSpec & { readonly hardwareAddress: string }): Request {
  return writeNeighbour('replace neighbour', spec)
}

/** Makes this machine answer ARP or ND for an address on that interface. */
export function addProxy(spec: Omit<NeighbourSpec, 'hardwareAddress'>): Request {
  return writeNeighbour('add proxy', spec)
}

/** Dumps entries, not proxies. */
export function dumpNeighboursRequest(): Request {
  return request({ text: 'dump neighbours', type: RTM.GETNEIGH, flags: NLM_F.DUMP }, encoder => {
    encoder.u8(0, 0).u16(0).i32(0).u16(0).u8(0, 0)
  })
}

/**
 * The entry of an RTM_NEWNEIGH or RTM_DELNEIGH body; undefined for families that are not IP (bridge
 * ports).
 */
export function decodeNeighbour(body: Uint8Array): Neighbour | undefined {
  const header = structure('neighbour', body, NDMSG_LENGTH)
  const family = familyOfAf(header.getUint8(0))
  const attributes = new Attributes(body.subarray(NDMSG_LENGTH))
  const bytes = family && attributes.bytesOf(NDA.DST, [4, 16])
  if (family === undefined || bytes === undefined) return undefined
  checkDecoded('neighbour', attributes)
  return {
    family,
    address: formatAddress(bytes),
    interface: header.getInt32(4, true),
    hardwareAddress: formatHardwareAddress(attributes.bytes(NDA.LLADDR) ?? new Uint8Array()),
    state: header.getUint16(8, true),
    flags: header.getUint8(10),
  }
}

function writeNeighbour(verb: string, spec: NeighbourSpec): Request {
  const proxy = spec.hardwareAddress === undefined
  return neighbourRequest(verb, spec, { state: proxy ? 0 : NUD.PERMANENT, flags: proxy ? NTF.PROXY : 0 })
}

/**
 * Has the kernel ask now whether somebody answers there: an entry that is there is probed (after
 * three tries without an answer it is FAILED), one that is missing is resolved.
 */
export function probeNeighbour(spec: NeighbourSpec): Request {
  const known = spec.hardwareAddress !== undefined
  return neighbourRequest('probe neighbour', spec, { state: known ? NUD.PROBE : 0, flags: known ? 0 : NTF.USE })
}

function neighbourRequest(
  verb: string,
  spec: NeighbourSpec,
  { state, flags }: { readonly state: number; readonly flags: number },
): Request {
  const text = `${verb} ${spec.address} on interface ${spec.interface}`
  return request({ text, type: RTM.NEWNEIGH, flags: NLM_F.CREATE | NLM_F.REPLACE }, encoder => {
    encoder
      .u8(afOf(familyOf(spec.address)), 0)
      .u16(0)
      .i32(spec.interface)
    encoder.u16(state).u8(flags, 0)
    encoder.bytesAttribute(NDA.DST, addressBytes(spec.address))
    if (spec.hardwareAddress !== undefined) {
      encoder.bytesAttribute(NDA.LLADDR, hardwareAddressBytes(spec.hardwareAddress))
    }
  })
}
