/**
 * UDP for single-hop BFD (RFC 5881 sections 3 to 6): a receiving socket per family on port 3784, a
 * sending socket per session with a source port of its own, TTL 255 and the session's interface
 * both ways. Knows no state of a session: bytes in, bytes out.
 */

import { AF } from '../lib/address-family.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { ERRNO, SystemError } from '../lib/errno.ts'
import { errorText } from '../lib/errors.ts'
import { canonicalAddress, FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import * as libc from '../lib/libc.ts'
import { socketAddress } from '../lib/socket-address.ts'
import { dropEverything, type HeardPath, receiveFilter } from './filter.ts'
import { BFD_PORT, BFD_TTL, SOURCE_PORTS } from './registry.ts'
import type { Endpoint, Hearing, Sender, Transport, TransportEvents } from './transport-types.ts'

/** Socket options: asm-generic/socket.h, linux/in.h, linux/in6.h. */
const SOL = { IP: 0, SOCKET: 1, IPV6: 41 } as const
const SO = { DONTROUTE: 5, BINDTODEVICE: 25 } as const
const IP = { TOS: 1, TTL: 2 } as const
const IPV6 = { UNICAST_HOPS: 16, V6ONLY: 26, TCLASS: 67 } as const

/** Class selector 6, as routing protocols have it. */
const TOS_NETWORK_CONTROL = 0xc0

const LISTEN_RETRY_MILLISECONDS = 10_000
const PORT_TRIES = 50

export interface UdpTransportOptions extends TransportEvents {
  readonly clock: Clock
  /** The namespace to open sockets in (`/run/netns/x`); absent: this process's own. */
  readonly networkNamespace?: string
}

export function createUdpTransport(options: UdpTransportOptions): Transport {
  const { networkNamespace } = options
  const within = <T>(action: () => T): T =>
    networkNamespace === undefined ? action() : libc.inNetworkNamespace(networkNamespace, action)
  const receivers = new Map<Family, Receiver>()
  const ports = new Set<number>()
  return {
    sender: endpoint => new UdpSender(endpoint, { clock: options.clock, within, ports }),
    listen(ends) {
      for (const family of FAMILIES) {
        const own = ends.filter(({ peerAddress }) => familyOf(peerAddress) === family)
        if (own.length === 0) {
          receivers.get(family)?.close()
          receivers.delete(family)
          continue
        }
        const receiver = receivers.get(family) ?? new Receiver(family, options, within)
        receivers.set(family, receiver)
        receiver.listen(within(() => own.flatMap(heardPath)))
      }
    },
    close() {
      for (const receiver of receivers.values()) receiver.close()
      receivers.clear()
    },
  }
}

/** None while there is no such interface: `listen` is called again when interfaces change. */
function heardPath({ interface: name, peerAddress, discriminator }: Hearing): HeardPath[] {
  const interfaceIndex = name === undefined ? undefined : libc.interfaceIndex(name)
  return interfaceIndex === undefined ? [] : [{ interfaceIndex, peerAddress, discriminator }]
}

type Within = <T>(action: () => T) => T

interface SenderOptions {
  readonly clock: Clock
  readonly within: Within
  /** The source ports of all sessions. */
  readonly ports: Set<number>
}

/**
 * Opens its socket when there is something to send, and again after an error: addresses and
 * interfaces come and go.
 */
class UdpSender implements Sender {
  readonly #endpoint: Endpoint
  readonly #options: SenderOptions
  readonly #target: Uint8Array
  #interface: string | undefined
  #fd: number | undefined
  #port: number | undefined

  constructor(endpoint: Endpoint, options: SenderOptions) {
    this.#endpoint = endpoint
    this.#options = options
    this.#interface = endpoint.interface
    this.#target = socketAddress(endpoint.peerAddress, BFD_PORT)
  }

  move(interfaceName: string | undefined): void {
    this.#shut()
    this.#interface = interfaceName
  }

  send(bytes: Uint8Array): string | undefined {
    if (this.#interface === undefined) return `${this.#endpoint.peerAddress} is on no link of this node`
    try {
      this.#fd ??= this.#open(this.#interface)
      libc.sendTo(this.#fd, bytes, this.#target, libc.MSG.DONTWAIT)
      return undefined
    } catch (error) {
      this.#shut()
      return errorText(error)
    }
  }

  close(): void {
    this.#shut()
    if (this.#port !== undefined) this.#options.ports.delete(this.#port)
    this.#port = undefined
  }

  #shut(): void {
    if (this.#fd !== undefined) libc.close(this.#fd)
    this.#fd = undefined
  }

  #open(interfaceName: string): number {
    const fd = this.#options.within(() => openSender(this.#endpoint, interfaceName))
    try {
      this.#bind(fd)
    } catch (error) {
      libc.close(fd)
      throw error
    }
    return fd
  }

  /**
   * RFC 5881 section 4: a port of 49152 to 65535 that no other session has, the same for the
   * session's life.
   */
  #bind(fd: number): void {
    const { peerAddress, localAddress } = this.#endpoint
    const address = localAddress ?? (familyOf(peerAddress) === 'ipv4' ? '0.0.0.0' : '::')
    for (let left = PORT_TRIES; ; left--) {
      const port = this.#port ?? this.#freePort()
      try {
        libc.bind(fd, socketAddress(address, port))
        this.#port = port
        this.#options.ports.add(port)
        return
      } catch (error) {
        const taken = error instanceof SystemError && error.errno === ERRNO.EADDRINUSE
        if (left === 0 || !taken) throw error
        if (this.#port !== undefined) this.#options.ports.delete(this.#port)
        this.#port = undefined
      }
    }
  }

  /** One of ours is never chosen twice; that it is free for the kernel as well, bind says. */
  #freePort(): number {
    const { clock, ports } = this.#options
    const count = SOURCE_PORTS.last - SOURCE_PORTS.first + 1
    for (let offset = Math.floor(clock.random() * count), tried = 0; tried < count; offset++, tried++) {
      const port = SOURCE_PORTS.first + (offset % count)
      if (!ports.has(port)) return port
    }
    throw new Error('all source ports for BFD are in use')
  }
}

/**
 * Packets leave by the interface or not at all, and to the peer itself: through no router (RFC 5881
 * section 6).
 */
function openSender({ peerAddress }: Endpoint, interfaceName: string): number {
  const family = familyOf(peerAddress)
  const fd = libc.socket(family === 'ipv4' ? AF.INET : AF.INET6, libc.SOCK.DGRAM, 0)
  try {
    libc.attachFilter(fd, dropEverything())
    libc.setSocketOption(fd, SOL.SOCKET, SO.BINDTODEVICE, Buffer.from(`${interfaceName}\0`))
    libc.setSocketOptionInt(fd, SOL.SOCKET, SO.DONTROUTE, 1)
    if (family === 'ipv4') {
      libc.setSocketOptionInt(fd, SOL.IP, IP.TTL, BFD_TTL)
      libc.setSocketOptionInt(fd, SOL.IP, IP.TOS, TOS_NETWORK_CONTROL)
    } else {
      libc.setSocketOptionInt(fd, SOL.IPV6, IPV6.UNICAST_HOPS, BFD_TTL)
      libc.setSocketOptionInt(fd, SOL.IPV6, IPV6.TCLASS, TOS_NETWORK_CONTROL)
      libc.setSocketOptionInt(fd, SOL.IPV6, IPV6.V6ONLY, 1)
    }
    return fd
  } catch (error) {
    libc.close(fd)
    throw error
  }
}

type ReceivingSocket = Bun.udp.Socket<'buffer'>

/**
 * uSockets' LIBUS_SOCKET_IPV6_ONLY, which Bun passes on; that it had its effect is checked on the
 * socket.
 */
const FLAG_IPV6_ONLY = 8

/** The socket on port 3784 of one family. A port that another daemon holds is tried again. */
class Receiver {
  readonly #family: Family
  readonly #options: UdpTransportOptions
  readonly #within: Within
  #socket: ReceivingSocket | undefined
  #opening = false
  #cancelRetry: Cancel = () => {}
  #closed = false
  #paths: readonly HeardPath[] = []

  constructor(family: Family, options: UdpTransportOptions, within: Within) {
    this.#family = family
    this.#options = options
    this.#within = within
  }

  listen(paths: readonly HeardPath[]): void {
    this.#paths = paths
    if (this.#socket !== undefined) libc.attachFilter(descriptor(this.#socket), receiveFilter(this.#family, paths))
    else if (!this.#opening) void this.#open()
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry()
    this.#socket?.close()
    this.#socket = undefined
  }

  async #open(): Promise<void> {
    this.#opening = true
    this.#cancelRetry()
    let socket: ReceivingSocket | undefined
    try {
      const settings = {
        hostname: this.#family === 'ipv4' ? '0.0.0.0' : '::',
        port: BFD_PORT,
        flags: this.#family === 'ipv4' ? 0 : FLAG_IPV6_ONLY,
        socket: {
          data: (_: ReceivingSocket, bytes: Uint8Array, _port: number, address: string) => this.#data(bytes, address),
          error: (_: ReceivingSocket, error: Error) => this.#options.problem(errorText(error)),
        },
      }
      // the socket is made before the promise is returned
      const opened = this.#within(() => Bun.udpSocket(settings))
      socket = await opened
      if (this.#closed) return socket.close()
      this.#secure(socket)
      this.#socket = socket
      this.#options.problem(undefined)
    } catch (error) {
      socket?.close()
      this.#options.problem(errorText(error))
      if (!this.#closed)
        this.#cancelRetry = this.#options.clock.after(LISTEN_RETRY_MILLISECONDS, () => void this.#open())
    } finally {
      this.#opening = false
    }
  }

  /** Filters what comes from now on, and throws away what came before. */
  #secure(socket: ReceivingSocket): void {
    const fd = descriptor(socket)
    if (this.#family === 'ipv6' && libc.getSocketOptionInt(fd, SOL.IPV6, IPV6.V6ONLY) !== 1) {
      throw new Error('the socket for IPv6 is one for IPv4 too')
    }
    libc.attachFilter(fd, receiveFilter(this.#family, this.#paths))
    const buffer = new Uint8Array(64)
    for (;;) {
      try {
        libc.receive(fd, buffer, libc.MSG.DONTWAIT)
      } catch (error) {
        if (error instanceof SystemError && error.errno === ERRNO.EAGAIN) return
        throw error
      }
    }
  }

  #data(bytes: Uint8Array, address: string): void {
    const canonical = canonicalAddress(address.split('%')[0] ?? address)
    if (canonical !== undefined) this.#options.received(bytes, canonical)
  }
}

function descriptor(socket: ReceivingSocket): number {
  if ('fd' in socket && typeof socket.fd === 'number') return socket.fd
  throw new Error('the UDP socket does not tell its file descriptor')
}
