/**
 * Where the status interface listens: the text `ADDR:PORT` taken apart, and whether that is
 * loopback. Pure.
 *
 * It resolves no names: a name may mean another address tomorrow, and then data would be open to a
 * network that nobody asked for.
 */
import { canonicalAddress, covers } from '../lib/ip.ts'

export interface ListenAddress {
  /** Canonical, without brackets. */
  readonly address: string
  /** 0 takes a free one. */
  readonly port: number
}

/**
 * `127.0.0.1:9179`, `[::1]:9179`, `localhost:9179` or `:9179` (loopback). Undefined when `text` is
 * none of these.
 */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  const host = match[1] ?? match[2] ?? ''
  const address = host === '' || host.toLowerCase() === 'localhost' ? '127.0.0.1' : canonicalAddress(host)
  if (address === undefined || port > 65535 || (match[1] !== undefined && !address.includes(':'))) return undefined
  return { address, port }
}

/** `127.0.0.1:9179`, `[::1]:9179`. */
export function formatListen({ address, port }: ListenAddress): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** 127.0.0.0/8 (RFC 1122 section 3.2.1.3), the same written as IPv6, and ::1. */
export function isLoopback(address: string): boolean {
  return covers('127.0.0.0/8', address) || covers('::ffff:7f00:0/104', address) || covers('::1/128', address)
}

/** Whether `address` means every address of this machine. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
