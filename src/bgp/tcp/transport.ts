/**
 * TCP for BGP: connections with TCP MD5 (RFC 2385), TTL security (RFC 5082), a source, and the
 * listening sockets.
 *
 * Sockets are opened and configured by system calls and handed to Bun when they are connected. From
 * then on Bun owns the file descriptor: it is used for socket options, never closed here. Knows no
 * messages: bytes in, bytes out, back-pressure as events.
 */

import { AF } from '../../lib/address-family.ts'
import type { Clock } from '../../lib/clock.ts'
import { ERRNO, SystemError } from '../../lib/errno.ts'
import { familyOf } from '../../lib/ip.ts'
import * as libc from '../../lib/libc.ts'
import { Secret } from '../../lib/secret.ts'
import { parseSocketAddress, socketAddress } from '../../lib/socket-address.ts'
import { MD5_KEY_BYTES, md5Signature } from './md5-signature.ts'
import { type TcpConnection, tcpHandlers } from './tcp-connection.ts'
import type {
  Connection,
  Endpoint,
  HopLimits,
  Listener,
  ListenOptions,
  Transport,
  TransportProblem,
} from './transport-types.ts'
import { MINIMUM_TTL } from './ttl-trial.ts'

/** Socket options: asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h. */
const SOL = { IP: 0, SOCKET: 1, TCP: 6, IPV6: 41 } as const
const SO = { REUSEADDR: 2, ERROR: 4 } as const
const IP = { TOS: 1, TTL: 2 } as const
const IPV6 = { UNICAST_HOPS: 16, V6ONLY: 26, TCLASS: 67 } as const
const TCP = { NODELAY: 1, MD5SIG: 14 } as const

/** RFC 4271 appendix E: IP precedence Internetwork Control. */
const TOS_NETWORK_CONTROL = 0xc0
const BACKLOG = 128
/**
 * Pauses between looks at a connection that is coming up, in milliseconds: short at first, for
 * peers on the LAN.
 */
const FIRST_POLL = 1
const LAST_POLL = 100

export interface TransportOptions {
  readonly clock: Clock
  /** Runs what opens sockets; for tests, inside a network namespace. */
  readonly within?: <T>(action: () => T) => T
}

export function createTransport({ clock, within = action => action() }: TransportOptions): Transport {
  return {
    connect: (to, done) => connect(clock, within, to, done),
    listen: (options, accepted) => within(() => listen(clock, options, accepted)),
  }
}

type Within = NonNullable<TransportOptions['within']>

function connect(
  clock: Clock,
  within: Within,
  to: Endpoint,
  done: (result: Connection | TransportProblem) => void,
): () => void {
  let fd: number
  try {
    fd = within(() => startConnecting(to))
  } catch (error) {
    const cancel = clock.after(0, () => done(problemOf(error)))
    return cancel
  }
  const deadline = clock.monotonic() + to.timeoutMilliseconds
  let pause = FIRST_POLL
  let cancel = clock.after(0, look)
  let cancelled = false

  function look(): void {
    const events = libc.poll(fd, libc.POLL.OUT)
    if (events === 0 && clock.monotonic() < deadline) {
      cancel = clock.after(pause, look)
      pause = Math.min(pause * 2, LAST_POLL)
      return
    }
    const errno = events === 0 ? ERRNO.ETIMEDOUT : libc.getSocketOptionInt(fd, SOL.SOCKET, SO.ERROR)
    if (errno !== 0) {
      libc.close(fd)
      cancelled = true
      done(problemOf(new SystemError('connect', errno)))
      return
    }
    cancel = () => {}
    handOver()
  }

  function handOver(): void {
    const owned = fd
    const socket = tcpHandlers(clock, connection => {
      if (cancelled) return connection.abort()
      cancelled = true
      done(connection)
    })
    Bun.connect({ fd: owned, socket } as unknown as Bun.TCPSocketConnectOptions<TcpConnection | undefined>).catch(
      (error: unknown) => {
        if (cancelled) return
        cancelled = true
        done(problemOf(error))
      },
    )
    fd = -1
  }

  return () => {
    if (cancelled) return
    cancelled = true
    cancel()
    if (fd >= 0) libc.close(fd)
  }
}

/**
 * A non-blocking socket that is on its way to `to`. Throws `SystemError`, with the socket closed.
 */
function startConnecting(to: Endpoint): number {
  const fd = openSocket(to.address)
  try {
    const ipv6 = familyOf(to.address) === 'ipv6'
    limitHops(fd, ipv6, to)
    if (to.password !== undefined) setKey(fd, to.address, to.password)
    if (to.sourceAddress !== undefined) libc.bind(fd, socketAddress(to.sourceAddress, 0))
    libc.connect(fd, socketAddress(to.address, to.port))
    return fd
  } catch (error) {
    libc.close(fd)
    throw error
  }
}

function openSocket(address: string): number {
  const ipv6 = familyOf(address) === 'ipv6'
  const fd = libc.socket(ipv6 ? AF.INET6 : AF.INET, libc.SOCK.STREAM | libc.SOCK.NONBLOCK, 0)
  if (ipv6) libc.setSocketOptionInt(fd, SOL.IPV6, IPV6.V6ONLY, 1)
  libc.setSocketOptionInt(fd, ipv6 ? SOL.IPV6 : SOL.IP, ipv6 ? IPV6.TCLASS : IP.TOS, TOS_NETWORK_CONTROL)
  libc.setSocketOptionInt(fd, SOL.TCP, TCP.NODELAY, 1)
  return fd
}

function limitHops(fd: number, ipv6: boolean, { ttl, minimumTtl }: HopLimits): void {
  const level = ipv6 ? SOL.IPV6 : SOL.IP
  libc.setSocketOptionInt(fd, level, ipv6 ? IPV6.UNICAST_HOPS : IP.TTL, ttl)
  if (minimumTtl === undefined) return
  const least = ipv6 ? MINIMUM_TTL.ipv6 : MINIMUM_TTL.ipv4
  libc.setSocketOptionInt(fd, least.level, least.option, minimumTtl)
}

/**
 * Says that the kernel has no TCP MD5 (a sandbox, or CONFIG_TCP_MD5SIG off), as distinct from other
 * errors.
 */
class NoMd5Support extends Error {
  override readonly name = 'NoMd5Support'
}

/**
 * Why this kernel cannot sign with TCP MD5; undefined when it can. Tried on a socket that goes
 * nowhere.
 */
export function md5Problem(): TransportProblem | undefined {
  const address = '127.0.0.1'
  try {
    const fd = openSocket(address)
    try {
      setKey(fd, address, new Secret('probe'))
      return undefined
    } finally {
      libc.close(fd)
    }
  } catch (error) {
    return problemOf(error)
  }
}

function setKey(fd: number, peerAddress: string, password: Secret | undefined): void {
  try {
    libc.setSocketOption(fd, SOL.TCP, TCP.MD5SIG, md5Signature(peerAddress, password))
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    if (error.errno === ERRNO.ENOPROTOOPT || error.errno === ERRNO.EOPNOTSUPP) {
      throw new NoMd5Support('this kernel has no TCP MD5 signatures (CONFIG_TCP_MD5SIG)', { cause: error })
    }
    throw error
  }
}

function listen(clock: Clock, options: ListenOptions, accepted: (connection: Connection) => void): Listener {
  const sockets: { readonly fd: number; readonly ipv6: boolean; stop(): void }[] = []
  const close = () => {
    for (const socket of sockets.splice(0)) socket.stop()
  }
  try {
    for (const address of options.addresses ?? ['0.0.0.0', '::']) {
      const fd = listeningSocket(address, options.port, options.addresses === undefined)
      if (fd === undefined) continue
      const socket = tcpHandlers(clock, connection => {
        connection.limitWith(limits => limitHops(connection.fd, familyOf(address) === 'ipv6', limits))
        accepted(connection)
      })
      const server = Bun.listen({ fd, socket } as unknown as Bun.TCPSocketListenOptions<TcpConnection | undefined>)
      sockets.push({ fd, ipv6: familyOf(address) === 'ipv6', stop: () => server.stop(false) })
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    setKey(peerAddress, password) {
      const ipv6 = familyOf(peerAddress) === 'ipv6'
      if (password !== undefined && Buffer.byteLength(password.reveal()) > MD5_KEY_BYTES) {
        return { kind: 'local-problem', detail: `the password is longer than ${MD5_KEY_BYTES} bytes` }
      }
      for (const socket of sockets) {
        if (socket.ipv6 !== ipv6) continue
        try {
          setKey(socket.fd, peerAddress, password)
        } catch (error) {
          // Removing a key that is not there is fine.
          if (password === undefined) continue
          return problemOf(error)
        }
      }
      return undefined
    },
    close,
  }
}

/**
 * A bound, listening socket; undefined when the kernel has no IPv6 and nobody asked for it by
 * address.
 */
function listeningSocket(address: string, port: number, wildcard: boolean): number | undefined {
  let fd: number
  try {
    fd = openSocket(address)
  } catch (error) {
    const absent = error instanceof SystemError && error.errno === ERRNO.EAFNOSUPPORT
    if (wildcard && absent && familyOf(address) === 'ipv6') return undefined
    throw error
  }
  try {
    libc.setSocketOptionInt(fd, SOL.SOCKET, SO.REUSEADDR, 1)
    // A peer with TTL security drops a SYN-ACK of less than 255 (RFC 5082 section 3).
    limitHops(fd, familyOf(address) === 'ipv6', { ttl: 255 })
    libc.bind(fd, socketAddress(address, port))
    libc.listen(fd, BACKLOG)
    return fd
  } catch (error) {
    libc.close(fd)
    const absent = error instanceof SystemError && error.errno === ERRNO.EADDRNOTAVAIL
    if (wildcard && absent && familyOf(address) === 'ipv6') return undefined
    throw error
  }
}

const KIND_OF_ERRNO: Readonly<Record<number, TransportProblem['kind']>> = {
  [ERRNO.ECONNREFUSED]: 'refused',
  [ERRNO.ETIMEDOUT]: 'timed-out',
  [ERRNO.EHOSTUNREACH]: 'unreachable',
  [ERRNO.ENETUNREACH]: 'unreachable',
  [ERRNO.ENETDOWN]: 'unreachable',
  [ERRNO.ECONNRESET]: 'reset',
}

/** The problem that an error of a system call, or of Bun's socket, is. */
export function problemOf(error: unknown): TransportProblem {
  if (error instanceof NoMd5Support) return { kind: 'no-md5-support', detail: error.message }
  if (error instanceof SystemError) {
    return { kind: KIND_OF_ERRNO[error.errno] ?? 'local-problem', detail: error.message }
  }
  return { kind: 'local-problem', detail: error instanceof Error ? error.message : String(error) }
}

/** The port that a listening or connected socket has: for a test that listens on port 0. */
export function localPort(fd: number): number {
  return parseSocketAddress(libc.getSocketName(fd)).port
}
