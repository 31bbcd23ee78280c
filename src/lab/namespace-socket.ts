/**
 * TCP across network namespaces from one process: a socket belongs for ever to the namespace it was
 * made in. Sockets are made inside, by system calls; Bun takes them over once they listen or are
 * connected. Bytes are passed on in relay.ts, not here.
 */

import { AF } from '../lib/address-family.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { errnoText } from '../lib/errno.ts'
import { familyOf } from '../lib/ip.ts'
import {
  bind,
  close,
  connect,
  getSocketName,
  getSocketOptionInt,
  inNetworkNamespace,
  listen,
  POLL,
  poll,
  SOCK,
  setSocketOptionInt,
  socket,
} from '../lib/libc.ts'
import { parseSocketAddress, socketAddress } from '../lib/socket-address.ts'

const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_ERROR = 4

export interface Endpoint {
  readonly address: string
  readonly port: number
}

function streamSocket(address: string): number {
  return socket(familyOf(address) === 'ipv4' ? AF.INET : AF.INET6, SOCK.STREAM | SOCK.NONBLOCK, 0)
}

/** The local end of a socket. */
export function localEndpoint(fd: number): Endpoint {
  return parseSocketAddress(getSocketName(fd))
}

/**
 * A socket that listens on `address` and `port` in the namespace at `path`. Whoever takes the
 * descriptor owns it.
 */
export function listenIn(path: string, address: string, port: number): number {
  return inNetworkNamespace(path, () => {
    const fd = streamSocket(address)
    try {
      setSocketOptionInt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
      bind(fd, socketAddress(address, port))
      listen(fd, 128)
      return fd
    } catch (error) {
      close(fd)
      throw error
    }
  })
}

/**
 * A socket connected from inside the namespace at `path`. Throws when that fails or takes longer
 * than `milliseconds`.
 */
export async function connectIn(
  path: string,
  { address, port }: Endpoint,
  { clock, milliseconds }: { clock: Clock; milliseconds: number },
): Promise<number> {
  const fd = inNetworkNamespace(path, () => streamSocket(address))
  try {
    connect(fd, socketAddress(address, port))
    const deadline = clock.monotonic() + milliseconds
    while ((poll(fd, POLL.OUT) & (POLL.OUT | POLL.ERR | POLL.HUP)) === 0) {
      if (clock.monotonic() > deadline) throw new Error(`${address} port ${port} does not answer`)
      await sleep(clock, 5)
    }
    const errno = getSocketOptionInt(fd, SOL_SOCKET, SO_ERROR)
    if (errno !== 0) throw new Error(`${address} port ${port}: ${errnoText(errno)}`)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}
