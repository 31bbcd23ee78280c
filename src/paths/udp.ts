/**
 * One UDP socket of probes. Its address is a probe address, which is on no interface: IPV6_FREEBIND
 * and IP_FREEBIND (ip(7)) let it be bound all the same. It sets DF, and neither believes nor
 * changes what the kernel knows of a path's MTU (IP_PMTUDISC_PROBE), so that a packet that is too
 * large is lost and not cut.
 */

import { AF } from '../lib/address-family.ts'
import { ERRNO } from '../lib/errno.ts'
import { familyOf } from '../lib/ip.ts'
import * as libc from '../lib/libc.ts'
import { socketAddress } from '../lib/socket-address.ts'

/** asm-generic/socket.h; linux/in.h; linux/in6.h. */
const SO_MARK = { level: 1, option: 36 } as const
const OPTIONS = {
  ipv4: { freebind: { level: 0, option: 15 }, mtuDiscover: { level: 0, option: 10 } },
  ipv6: { freebind: { level: 41, option: 78 }, mtuDiscover: { level: 41, option: 23 } },
} as const
const PMTUDISC_PROBE = 3

export interface UdpSocket {
  readonly port: number
  /** Throws `SystemError` when the kernel refuses. */
  send(bytes: Uint8Array, to: { readonly address: string; readonly port: number }): void
  close(): void
}

export interface UdpSocketOptions {
  readonly address: string
  /** 0: any free one. */
  readonly port: number
  /** SO_MARK; 0: none. */
  readonly mark: number
  readonly onData: (bytes: Uint8Array) => void
}

/** Throws `SystemError` when the port is taken or a right is missing. */
export async function openUdpSocket({ address, port, mark, onData }: UdpSocketOptions): Promise<UdpSocket> {
  const fd = openDescriptor(address, port, mark)
  const bound = new DataView(libc.getSocketName(fd).buffer).getUint16(2)
  const options = { fd, socket: { data: (_: unknown, bytes: Uint8Array) => onData(bytes), close() {}, error() {} } }
  // Bun's types do not know `fd` yet; from here on Bun owns it
  const socket = await Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<undefined>)
  let open = true
  return {
    port: bound,
    send: (bytes, to) => {
      if (open) libc.sendTo(fd, bytes, socketAddress(to.address, to.port), libc.MSG.DONTWAIT)
    },
    close: () => {
      open = false
      socket.terminate()
    },
  }
}

/** A datagram of its own beside a question. */
export interface Witness {
  /**
   * Whether the kernel there said that nobody listens (ICMP port unreachable, RFC 1122 section
   * 3.2.2.1): a packet went there and one came back.
   */
  refused(): boolean
  close(): void
}

const SO_ERROR = { level: 1, option: 4 } as const

/**
 * Sends one octet from a connected socket, as only such a one is told of ICMP errors
 * (udp(7)). A process that listens there takes it for nothing. Throws `SystemError` when the kernel
 * refuses.
 */
export function askKernel({
  address,
  mark,
  to,
}: Pick<UdpSocketOptions, 'address' | 'mark'> & { readonly to: { address: string; port: number } }): Witness {
  const fd = openDescriptor(address, 0, mark)
  let open = true
  const close = () => {
    if (open) libc.close(fd)
    open = false
  }
  try {
    libc.connect(fd, socketAddress(to.address, to.port))
    libc.send(fd, new Uint8Array(1), libc.MSG.DONTWAIT)
  } catch (error) {
    close()
    throw error
  }
  const { level, option } = SO_ERROR
  return { refused: () => open && libc.getSocketOptionInt(fd, level, option) === ERRNO.ECONNREFUSED, close }
}

function openDescriptor(address: string, port: number, mark: number): number {
  const family = familyOf(address)
  const fd = libc.socket(family === 'ipv4' ? AF.INET : AF.INET6, libc.SOCK.DGRAM | libc.SOCK.NONBLOCK, 0)
  try {
    const { freebind, mtuDiscover } = OPTIONS[family]
    libc.setSocketOptionInt(fd, freebind.level, freebind.option, 1)
    libc.setSocketOptionInt(fd, mtuDiscover.level, mtuDiscover.option, PMTUDISC_PROBE)
    if (mark !== 0) libc.setSocketOptionInt(fd, SO_MARK.level, SO_MARK.option, mark)
    libc.bind(fd, socketAddress(address, port))
    return fd
  } catch (error) {
    libc.close(fd)
    throw error
  }
}
