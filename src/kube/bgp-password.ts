/**
 * The password of a BGPPeer out of its Secret in kube-system. Problems are texts for a condition,
 * an Event or a log line; the password itself is only ever inside a `Secret`. Pure.
 */
import { canonicalAddress } from '../lib/ip.ts'
import { Secret } from '../lib/secret.ts'
import type { KubeSecret } from './resources.ts'

/** Where Secrets with BGP passwords lie. */
export const PASSWORD_NAMESPACE = 'kube-system'
/** TCP_MD5SIG_MAXKEYLEN of linux/tcp.h. */
const MAXIMUM_BYTES = 80

/**
 * On a Secret: the addresses of the devices that its passwords are for, joined by commas. The
 * signature of the first packet to a host of one's own would let one try passwords against it (RFC
 * 2385); who may write BGPPeers but not this Secret cannot do that then. Without it any peerIP will
 * do (and, on Kubernetes 1.30 or newer, an admission policy asks whether the BGPPeer's author may
 * read the Secret).
 */
const PEER_IPS = 'network.openyurt.io/peer-ips'

export type DecodedPassword = { readonly password: Secret } | { readonly problem: string }

/**
 * The password that `reference` names; `secret` is undefined when there is no such object. A line
 * feed at the end, which `echo` and editors leave, is no part of it: no switch can be given one.
 * `peerIP` (canonical) is the device it is to be used with.
 */
export function decodePassword(
  secret: KubeSecret | undefined,
  reference: { readonly name: string; readonly key: string },
  peerIP?: string,
): DecodedPassword {
  const where = `Secret ${PASSWORD_NAMESPACE}/${reference.name}`
  if (secret === undefined) return { problem: `${where} does not exist; create it, or remove spec.authPassword` }
  const only = secret.metadata.annotations?.[PEER_IPS]?.split(',').map(address => canonicalAddress(address.trim()))
  if (only !== undefined && peerIP !== undefined && !only.includes(peerIP)) {
    return { problem: `${where} is not for ${peerIP}: its annotation ${PEER_IPS} names the devices that it is for` }
  }
  const data = secret.data ?? {}
  const encoded = Object.hasOwn(data, reference.key) ? data[reference.key] : undefined
  if (typeof encoded !== 'string') {
    const keys = Object.keys(data)
    return {
      problem: `${where} has no key ${reference.key} (it has ${keys.length === 0 ? 'none' : keys.sort().join(', ')})`,
    }
  }
  const text = Buffer.from(encoded, 'base64')
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (text === '') return { problem: `the key ${reference.key} of ${where} is empty` }
  if (Buffer.byteLength(text) > MAXIMUM_BYTES) {
    return {
      problem: `the key ${reference.key} of ${where} is longer than the ${MAXIMUM_BYTES} bytes that TCP MD5 allows`,
    }
  }
  return { password: new Secret(text) }
}
