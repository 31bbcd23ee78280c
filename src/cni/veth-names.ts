/**
 * Names that a container's interface gives its veth pair, the same for ADD and for a DEL that knows
 * nothing else. Pure.
 *
 * Hardware addresses are chosen here and not left to the kernel: both ends then know each other
 * before they exist, and systemd-udevd (MACAddressPolicy=persistent) leaves an address alone that
 * was set, where it would change a random one under the pod's feet.
 */
import type { Attachment } from './protocol.ts'

export interface VethNames {
  /** `te` and 11 hexadecimal digits: 13 of the 15 characters that Linux allows. */
  readonly hostInterface: string
  readonly hostMac: string
  readonly podMac: string
}

/** Begins the alias of every host end we made: what else is called `te…` is not ours. */
const ALIAS_PREFIX = 'terway-edge '

export function vethNames(attachment: Attachment): VethNames {
  const digest = Bun.CryptoHasher.hash('sha256', `${attachment.containerId}\0${attachment.interfaceName}`, 'hex')
  return {
    hostInterface: `te${digest.slice(0, 11)}`,
    hostMac: localMac(digest.slice(16, 28)),
    podMac: localMac(digest.slice(32, 44)),
  }
}

/** The alias of a host end: `terway-edge NETWORK CONTAINER INTERFACE`, for people and for GC. */
export function vethAlias(network: string, attachment: Attachment): string {
  // IFALIASZ
  return `${ALIAS_PREFIX}${network} ${attachment.containerId} ${attachment.interfaceName}`.slice(0, 255)
}

export function isOurAlias(alias: string | undefined): boolean {
  return alias?.startsWith(ALIAS_PREFIX) === true
}

/** What an alias says; undefined when it is not one of ours (or was cut short). */
export function parseVethAlias(alias: string | undefined): (Attachment & { readonly network: string }) | undefined {
  if (alias === undefined || !isOurAlias(alias)) return undefined
  const [network, containerId, interfaceName, ...rest] = alias.slice(ALIAS_PREFIX.length).split(' ')
  if (network === undefined || containerId === undefined || interfaceName === undefined || rest.length > 0)
    return undefined
  return { network, containerId, interfaceName }
}

/**
 * 6 bytes of hexadecimal as a unicast address of local administration (IEEE 802: lowest bits of the
 * first byte 10).
 */
function localMac(hex: string): string {
  const first = ((Number.parseInt(hex.slice(0, 2), 16) & 0xfc) | 0x02).toString(16).padStart(2, '0')
  return [first, ...(hex.slice(2).match(/../g) ?? [])].join(':')
}
