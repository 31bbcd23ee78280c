/** The addresses of this machine from which packets to podCIDRs go: those of the controller. */
import { AF } from '../lib/address-family.ts'
import { FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import * as libc from '../lib/libc.ts'
import { parseSocketAddress, socketAddress } from '../lib/socket-address.ts'
import { probeAddress } from './probe-address.ts'

/** One of each family that there is a way for, sorted; none of loopback. */
export function sourceAddresses(podCIDRs: readonly string[]): string[] {
  return FAMILIES.flatMap(family => {
    const address = sourceTo(podCIDRs, family)
    return address === undefined || address === '::1' || address.startsWith('127.') ? [] : [address]
  }).sort()
}

/** Of thousands the first that has a probe address is enough. */
function sourceTo(podCIDRs: readonly string[], family: Family): string | undefined {
  for (const podCIDR of podCIDRs) {
    const to = familyOf(podCIDR) === family ? probeAddress(podCIDR) : undefined
    if (to !== undefined) return sourceAddress(to)
  }
  return undefined
}

/** A datagram socket that is connected sends nothing, and has the address to send from. */
function sourceAddress(to: string): string | undefined {
  const fd = libc.socket(familyOf(to) === 'ipv4' ? AF.INET : AF.INET6, libc.SOCK.DGRAM, 0)
  try {
    libc.connect(fd, socketAddress(to, 1))
    return parseSocketAddress(libc.getSocketName(fd)).address
  } catch {
    return undefined // there is no way there
  } finally {
    libc.close(fd)
  }
}
