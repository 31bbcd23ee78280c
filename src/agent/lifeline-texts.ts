/**
 * Where a machine says what it lives by, as texts: name servers (resolv.conf(5)) and the sockets of
 * /proc/net/tcp and tcp6 (proc(5)). Pure.
 */
import { addressBytes, familyOf, formatAddress, parseAddress } from '../lib/ip.ts'

/** The name servers that a resolv.conf names, without those of this machine itself. */
export function nameServersOf(resolvConf: string): string[] {
  return resolvConf.split('\n').flatMap(line => {
    const [keyword, value = ''] = line.trim().split(/\s+/)
    const address = keyword === 'nameserver' ? plainAddress(value.split('%')[0] ?? '') : undefined
    return address === undefined || isLoopback(address) ? [] : [address]
  })
}

/** The canonical text of an address, of IPv4 in the form of IPv6 that of IPv4: so it is sent. */
export function plainAddress(text: string): string | undefined {
  const bytes = parseAddress(text)
  return bytes && unmapped(bytes)
}

function isLoopback(address: string): boolean {
  return address === '::1' || (familyOf(address) === 'ipv4' && addressBytes(address)[0] === 127)
}

/** A connection of /proc/net/tcp or tcp6. */
export interface TcpConnection {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly inode: string
}

/**
 * Connections that are established (state 01), of a little-endian machine: each group of four bytes
 * is reversed.
 */
export function tcpConnectionsOf(text: string): TcpConnection[] {
  return text.split('\n').flatMap(line => {
    const [, , remote = '', state, , , , , , inode] = line.trim().split(/\s+/)
    const [hex = '', port = ''] = remote.split(':')
    if (state !== '01' || inode === undefined || (hex.length !== 8 && hex.length !== 32)) return []
    const bytes = Buffer.from(hex, 'hex')
    for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse()
    return [{ remoteAddress: unmapped(bytes), remotePort: Number.parseInt(port, 16), inode }]
  })
}

/** An IPv4 address of a socket of both families (RFC 4291 section 2.5.5.2) as itself. */
function unmapped(bytes: Uint8Array): string {
  const mapped = bytes.length === 16 && bytes.subarray(0, 10).every(byte => byte === 0) && bytes[10] === 0xff
  return formatAddress(mapped ? bytes.subarray(12) : bytes)
}
