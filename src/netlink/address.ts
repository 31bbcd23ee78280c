/**
 * Addresses of interfaces (struct ifaddrmsg and IFA_* of <linux/if_addr.h>) as values and as bytes.
 * Pure.
 */
import { addressBytes, familyOf, formatAddress } from '../lib/ip.ts'
import { Attributes } from './attributes.ts'
import { IFA, NLM_F, RT_SCOPE, RTM } from './constants.ts'
import { checkDecoded, type Request, request, structure } from './message.ts'
import { afOf, familyOfAf } from './route.ts'
import type { InterfaceAddress } from './types.ts'

const IFADDRMSG_LENGTH = 8

/** An address to give to an interface. */
export interface AddressSpec {
  readonly address: string
  readonly prefixLength: number
  /** Interface index. */
  readonly interface: number
  readonly scope?: number
  /** IFA_F_*, such as IFA_F.NODAD. */
  readonly flags?: number
}

/** Adds an address; EEXIST when the interface has it. */
export function addAddress(spec: AddressSpec): Request {
  const text = `add address ${spec.address}/${spec.prefixLength} on interface ${spec.interface}`
  return request({ text, type: RTM.NEWADDR, flags: NLM_F.CREATE | NLM_F.EXCL }, encoder => {
    const bytes = addressBytes(spec.address)
    encoder.u8(afOf(familyOf(spec.address)), spec.prefixLength, 0, spec.scope ?? RT_SCOPE.UNIVERSE).u32(spec.interface)
    encoder.bytesAttribute(IFA.LOCAL, bytes).bytesAttribute(IFA.ADDRESS, bytes)
    if (spec.flags !== undefined) encoder.u32Attribute(IFA.FLAGS, spec.flags)
  })
}

/** Removes an address; EADDRNOTAVAIL when the interface does not have it. */
export function removeAddress(spec: Pick<AddressSpec, 'address' | 'prefixLength' | 'interface'>): Request {
  const text = `remove address ${spec.address}/${spec.prefixLength} of interface ${spec.interface}`
  return request({ text, type: RTM.DELADDR, flags: 0 }, encoder => {
    encoder.u8(afOf(familyOf(spec.address)), spec.prefixLength, 0, 0).u32(spec.interface)
    encoder.bytesAttribute(IFA.LOCAL, addressBytes(spec.address))
  })
}

export function dumpAddressesRequest(): Request {
  return request({ text: 'dump addresses', type: RTM.GETADDR, flags: NLM_F.DUMP }, encoder => {
    encoder.u8(0, 0, 0, 0).u32(0)
  })
}

/** The address of an RTM_NEWADDR or RTM_DELADDR body; undefined for families that are not IP. */
export function decodeAddress(body: Uint8Array): InterfaceAddress | undefined {
  const header = structure('address', body, IFADDRMSG_LENGTH)
  const family = familyOfAf(header.getUint8(0))
  if (family === undefined) return undefined
  const attributes = new Attributes(body.subarray(IFADDRMSG_LENGTH))
  // IFA_LOCAL is the own address; on a point-to-point link IFA_ADDRESS is the other end's. IPv6 has
  // IFA_ADDRESS alone.
  const bytes = attributes.bytesOf(IFA.LOCAL, [4, 16]) ?? attributes.bytesOf(IFA.ADDRESS, [4, 16])
  const flags = attributes.u32(IFA.FLAGS) ?? header.getUint8(2)
  checkDecoded('address', attributes)
  if (bytes === undefined) return undefined
  return {
    family,
    address: formatAddress(bytes),
    prefixLength: header.getUint8(1),
    interface: header.getUint32(4, true),
    scope: header.getUint8(3),
    flags,
  }
}
