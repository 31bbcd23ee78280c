/**
 * Settings of single interfaces under /proc/sys/net, of the network namespace that the calling
 * thread is in. Only those of links that this room made are written; the node's own are the
 * agent's.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { errorCode } from '../lib/errors.ts'
import type { Family } from '../lib/ip.ts'

/**
 * Sets keys of `net.ipv4.conf.IFACE` or `net.ipv6.conf.IFACE` that differ. A kernel without the key
 * (no IPv6) has nothing to set.
 */
export function setInterfaceSysctls(
  family: Family,
  interfaceName: string,
  settings: Readonly<Record<string, number>>,
): void {
  for (const [key, value] of Object.entries(settings)) {
    const path = `/proc/sys/net/${family}/conf/${interfaceName}/${key}`
    try {
      // Reading takes no lock; some of these writes take the kernel's one lock of all links.
      if (Number(readFileSync(path, 'latin1')) !== value) writeFileSync(path, String(value))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') continue
      throw new Error(`cannot set ${path} to ${value}`, { cause: error })
    }
  }
}

/**
 * Whether the namespace forwards packets of a family at all; true when the kernel does not have it.
 */
export function forwardingEnabled(family: Family): boolean {
  const path = family === 'ipv4' ? '/proc/sys/net/ipv4/ip_forward' : '/proc/sys/net/ipv6/conf/all/forwarding'
  try {
    return readFileSync(path, 'latin1').trim() !== '0'
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return true
    throw new Error(`cannot read ${path}`, { cause: error })
  }
}
