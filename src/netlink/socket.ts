/**
 * The netlink socket: THE ONLY SYSTEM CALLS of this room. Open in this namespace or in another,
 * send, receive, join multicast groups.
 *
 * A socket belongs for good to the namespace it was opened in, so nothing here ever stays in a
 * foreign one. Messages are not looked at.
 */
import { AF } from '../lib/address-family.ts'
import { ERRNO, SystemError } from '../lib/errno.ts'
import {
  bind,
  close,
  inNetworkNamespace,
  receive,
  SOCK,
  send,
  setSocketOption,
  setSocketOptionInt,
  socket,
} from '../lib/libc.ts'
import { NETLINK_OPTION, NETLINK_ROUTE, SOCKET_OPTION, SOL_NETLINK, SOL_SOCKET } from './constants.ts'

/**
 * An exchange with the kernel: the answers to a datagram of requests, datagram by datagram, for as
 * long as the caller takes them.
 */
export type Kernel = (requests: Uint8Array) => Iterable<Uint8Array>

/** The largest datagram of a dump is 32 KiB; acknowledgements are much smaller. */
const RECEIVE_BYTES = 64 * 1024
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
/** The kernel answers while it is asked; silence for this long means it never will. */
const ANSWER_TIMEOUT_SECONDS = 10

export interface OpenOptions {
  /** Path of a network namespace (`/run/netns/x`, `/proc/PID/ns/net`); absent: this one. */
  readonly netns?: string
}

/**
 * A socket for requests. Answers are read into one buffer: a datagram is valid until the next is
 * taken.
 */
export class RequestSocket {
  readonly #fd: number
  readonly #buffer = new Uint8Array(RECEIVE_BYTES)
  #open = true

  private constructor(fd: number) {
    this.#fd = fd
  }

  /**
   * Of rtnetlink, or of another netlink `protocol`. Throws `SystemError` (ENOENT: no such
   * namespace, EPERM: CAP_SYS_ADMIN is needed to enter one).
   */
  static open(options: OpenOptions & { readonly protocol?: number } = {}): RequestSocket {
    const fd = openIn(options, () => openSocket(0, RECEIVE_BUFFER_BYTES, options.protocol))
    try {
      const timeout = new Uint8Array(16)
      new DataView(timeout.buffer).setBigInt64(0, BigInt(ANSWER_TIMEOUT_SECONDS), true)
      setSocketOption(fd, SOL_SOCKET, SOCKET_OPTION.RCVTIMEO, timeout)
      for (const option of [NETLINK_OPTION.CAP_ACK, NETLINK_OPTION.EXT_ACK, NETLINK_OPTION.GET_STRICT_CHK]) {
        setSocketOptionInt(fd, SOL_NETLINK, option, 1)
      }
      return new RequestSocket(fd)
    } catch (error) {
      close(fd)
      throw error
    }
  }

  *exchange(requests: Uint8Array): Generator<Uint8Array> {
    send(this.#fd, requests)
    for (;;) yield this.#buffer.subarray(0, receiveAgain(this.#fd, this.#buffer))
  }

  close(): void {
    if (this.#open) close(this.#fd)
    this.#open = false
  }
}

/**
 * A non-blocking socket that is a member of multicast `groups`: RTNLGRP_*, or those of another
 * netlink `protocol`. Who takes the fd closes it.
 */
export function openMulticast(
  groups: readonly number[],
  options: OpenOptions & { readonly receiveBytes?: number; readonly protocol?: number } = {},
): number {
  const { receiveBytes, protocol } = options
  const fd = openIn(options, () => openSocket(SOCK.NONBLOCK, receiveBytes, protocol))
  try {
    for (const group of groups) setSocketOptionInt(fd, SOL_NETLINK, NETLINK_OPTION.ADD_MEMBERSHIP, group)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

function openIn<T>(options: OpenOptions, action: () => T): T {
  return options.netns === undefined ? action() : inNetworkNamespace(options.netns, action)
}

function openSocket(
  flags: number,
  receiveBytes: number = RECEIVE_BUFFER_BYTES,
  protocol: number = NETLINK_ROUTE,
): number {
  const fd = socket(AF.NETLINK, SOCK.RAW | flags, protocol)
  try {
    setReceiveBuffer(fd, receiveBytes)
    const address = new Uint8Array(12) // struct sockaddr_nl: the kernel chooses the port id
    new DataView(address.buffer).setUint16(0, AF.NETLINK, true)
    bind(fd, address)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

/**
 * More than net.core.rmem_max takes CAP_NET_ADMIN of the first user namespace; without it the limit
 * has to do.
 */
function setReceiveBuffer(fd: number, bytes: number): void {
  try {
    setSocketOptionInt(fd, SOL_SOCKET, SOCKET_OPTION.RCVBUFFORCE, bytes)
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === ERRNO.EPERM)) throw error
    setSocketOptionInt(fd, SOL_SOCKET, SOCKET_OPTION.RCVBUF, bytes)
  }
}

function receiveAgain(fd: number, buffer: Uint8Array): number {
  for (;;) {
    try {
      return receive(fd, buffer)
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === ERRNO.EINTR)) throw error
    }
  }
}
