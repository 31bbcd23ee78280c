/**
 * The kernel's struct sockaddr_in and sockaddr_in6 (linux/in.h, in6.h) as bytes. The family is in
 * host order, which is little-endian on x86-64 and arm64. Pure.
 */
import { AF } from './address-family.ts'
import { addressBytes, formatAddress } from './ip.ts'

/** The struct sockaddr of an address, IPv6 without scope: a link-local address is no peer. */
export function socketAddress(address: string, port: number): Uint8Array {
  const bytes = addressBytes(address)
  const result = new Uint8Array(bytes.length === 4 ? 16 : 28)
  const view = new DataView(result.buffer)
  view.setUint16(0, bytes.length === 4 ? AF.INET : AF.INET6, true)
  view.setUint16(2, port)
  result.set(bytes, bytes.length === 4 ? 4 : 8)
  return result
}

/** The address and port of a struct sockaddr; an IPv4-mapped IPv6 address is given as IPv4. */
export function parseSocketAddress(bytes: Uint8Array): { address: string; port: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const port = view.getUint16(2)
  if (view.getUint16(0, true) === AF.INET) return { address: formatAddress(bytes.slice(4, 8)), port }
  const mapped = bytes.slice(8, 18).every(byte => byte === 0) && bytes[18] === 0xff && bytes[19] === 0xff
  return { address: formatAddress(mapped ? bytes.slice(20, 24) : bytes.slice(8, 24)), port }
}
