/**
 * struct tcp_md5sig (linux/tcp.h): the TCP MD5 key of a peer, as the kernel wants it. The key
 * length is in host order, which is little-endian on x86-64 and arm64. Pure.
 */
import type { Secret } from '../../lib/secret.ts'
import { socketAddress } from '../../lib/socket-address.ts'

/** TCP_MD5SIG_MAXKEYLEN. */
export const MD5_KEY_BYTES = 80

const MD5SIG = { length: 216, keyLengthAt: 130, keyAt: 136 } as const

/**
 * The value of TCP_MD5SIG that sets the key for a peer (RFC 2385), or removes it when there is no
 * password.
 */
export function md5Signature(peerAddress: string, password: Secret | undefined): Uint8Array {
  const result = new Uint8Array(MD5SIG.length)
  result.set(socketAddress(peerAddress, 0))
  if (password === undefined) return result
  const key = Buffer.from(password.reveal())
  new DataView(result.buffer).setUint16(MD5SIG.keyLengthAt, key.length, true)
  result.set(key.subarray(0, MD5_KEY_BYTES), MD5SIG.keyAt)
  return result
}
