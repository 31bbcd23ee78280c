/**
 * ARP for IPv4 over Ethernet (RFC 826) and the address of a packet socket (struct sockaddr_ll,
 * packet(7)) as bytes: what `doctor` needs to ask who has an address. Pure; arp-probe.ts sends.
 */
import { addressBytes, formatAddress } from '../lib/ip.ts'
import { formatHardwareAddress, hardwareAddressBytes } from '../netlink/link.ts'

export const ETH_P_ARP = 0x0806
const AF_PACKET = 17
const HTYPE_ETHERNET = 1
const PTYPE_IPV4 = 0x0800
const REQUEST = 1
const ARP_LENGTH = 28

export interface ArpQuestion {
  /** IPv4. */
  readonly target: string
  /**
   * The asker's address; 0.0.0.0 in a probe for the target itself (RFC 5227 section 1.1), which
   * changes nobody's ARP cache.
   */
  readonly sender: string
  readonly hardwareAddress: string
}

export function encodeArpRequest({ target, sender, hardwareAddress }: ArpQuestion): Uint8Array {
  const bytes = new Uint8Array(ARP_LENGTH)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, HTYPE_ETHERNET)
  view.setUint16(2, PTYPE_IPV4)
  bytes.set([6, 4], 4)
  view.setUint16(6, REQUEST)
  bytes.set(hardwareAddressBytes(hardwareAddress), 8)
  bytes.set(addressBytes(sender), 14)
  bytes.set(addressBytes(target), 24)
  return bytes
}

/**
 * Who says that it has which address: the sender of a request is as good as that of a reply (RFC
 * 5227 section 2.4).
 */
export function decodeArpSender(bytes: Uint8Array): { address: string; hardwareAddress: string } | undefined {
  if (bytes.length < ARP_LENGTH) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const ethernet = view.getUint16(0) === HTYPE_ETHERNET && view.getUint8(4) === 6
  if (!ethernet || view.getUint16(2) !== PTYPE_IPV4 || view.getUint8(5) !== 4) return undefined
  return {
    address: formatAddress(bytes.slice(14, 18)),
    hardwareAddress: formatHardwareAddress(bytes.subarray(8, 14)),
  }
}

/** ARP on an interface, to all of its link. */
export function arpSocketAddress(interfaceIndex: number): Uint8Array {
  const bytes = new Uint8Array(20)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, ETH_P_ARP)
  view.setInt32(4, interfaceIndex, true)
  bytes[11] = 6
  bytes.fill(0xff, 12, 18)
  return bytes
}
