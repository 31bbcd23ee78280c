/**
 * Whether the kernel wraps packets by IPsec: how many associations and policies it has (XFRM,
 * <linux/xfrm.h>), which is all that is asked. Which packets they take, and where to, is not.
 */
import { readFileSync } from 'node:fs'
import { ERRNO, SystemError } from '../lib/errno.ts'
import { Attributes, Encoder } from './attributes.ts'
import { NETLINK_XFRM, NLMSG, XFRM_MSG, XFRMA_SAD_CNT, XFRMA_SPD_INFO } from './constants.ts'
import { decodeError, decodeMessages, encodeMessage, NetlinkError, type Request } from './message.ts'
import { type OpenOptions, RequestSocket } from './socket.ts'

/** Both answers begin with a u32 of flags. */
const FLAGS_LENGTH = 4

/**
 * Whether there is an association or a policy for packets that go out. Throws `SystemError` or
 * `NetlinkError` where the kernel does not say.
 */
export function hasIpsec(options: OpenOptions = {}): boolean {
  const socket = isLoaded() ? open(options) : undefined
  if (socket === undefined) return false
  try {
    const associations = ask(socket, { text: 'count IPsec associations', type: XFRM_MSG.GETSADINFO })
    if ((associations?.u32(XFRMA_SAD_CNT) ?? 0) > 0) return true
    const policies = ask(socket, { text: 'count IPsec policies', type: XFRM_MSG.GETSPDINFO })?.bytes(XFRMA_SPD_INFO)
    // struct xfrmu_spdinfo: incnt, outcnt, …
    return policies !== undefined && new DataView(policies.buffer, policies.byteOffset).getUint32(4, true) > 0
  } finally {
    socket.close()
  }
}

/**
 * Whether the kernel listens there: asking one that does not would have it load a module which
 * nobody on this machine uses.
 */
function isLoaded(): boolean {
  try {
    return listensTo(NETLINK_XFRM, readFileSync('/proc/net/netlink', 'utf8'))
  } catch {
    return true // not every kernel tells
  }
}

/** Whether a list of netlink sockets (`sk Eth Pid …`) has the kernel's own one of a protocol. */
export function listensTo(protocol: number, sockets: string): boolean {
  return sockets.split('\n').some(line => {
    const [, of, port] = line.trim().split(/\s+/)
    return of === String(protocol) && port === '0'
  })
}

/** Undefined where the kernel has no IPsec at all. */
function open(options: OpenOptions): RequestSocket | undefined {
  try {
    return RequestSocket.open({ ...options, protocol: NETLINK_XFRM })
  } catch (error) {
    if (error instanceof SystemError && error.errno === ERRNO.EPROTONOSUPPORT) return undefined
    throw error
  }
}

function ask(socket: RequestSocket, { text, type }: Pick<Request, 'text' | 'type'>): Attributes | undefined {
  const request: Request = { text, type, flags: 0, body: new Uint8Array(FLAGS_LENGTH) }
  const encoder = new Encoder()
  encodeMessage(encoder, request, { sequence: 1, ack: true })
  let answer: Attributes | undefined
  for (const datagram of socket.exchange(encoder.bytes())) {
    for (const message of decodeMessages(datagram)) {
      if (message.type !== NLMSG.ERROR) {
        answer = new Attributes(message.body.slice(FLAGS_LENGTH))
        continue
      }
      const reply = decodeError(message)
      if (reply.errno !== 0) throw new NetlinkError(text, reply)
      return answer
    }
  }
  return answer
}
