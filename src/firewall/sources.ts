/**
 * Pods send from their own addresses alone. For IP it is asked whether an answer would go to where
 * the packet came from (the strict check of RFC 3704 section 2.2, which the kernel has for IPv4 as
 * rp_filter, where `all` does not loosen it, and not at all for IPv6): the host has a route to each
 * address of each pod, so nothing has to be written when one starts, and nothing is looked up for
 * packets of others. Of ARP what claims to be no pod of this node is not heard, which bounds the
 * host's table of neighbours.
 *
 * Links are told by their group: the CNI plugin gives pods that may send from any address another
 * one. Pure.
 */
import { familyOf } from '../lib/ip.ts'
import { mergePrefixes } from '../lib/merge-prefixes.ts'
import { POD_GROUP } from '../model/pod-interfaces.ts'
import { OWN_TABLE } from './forward.ts'
import { removal } from './masquerade.ts'
import type { NftFamily } from './nftables-listing.ts'

/** Before connections are tracked (-200) and rules of others look at the packet. */
const PRIORITY = -310

/**
 * The scripts that make the tables whole, in place of any former ones; none while this node has no
 * podCIDR.
 */
export function sourceTables(podCIDRs: readonly string[]): { readonly family: NftFamily; readonly script: string }[] {
  if (podCIDRs.length === 0) return []
  const ipv4 = mergePrefixes(podCIDRs.filter(podCIDR => familyOf(podCIDR) === 'ipv4'))
  // who looks for a duplicate has no address yet (RFC 5227)
  const senders = ['0.0.0.0', ...ipv4].join(', ')
  return [
    table('inet', 'prerouting', PRIORITY, 'fib saddr . iif oif missing'),
    table('arp', 'input', 0, `arp saddr ip != { ${senders} }`),
  ]
}

function table(family: NftFamily, hook: string, priority: number, forged: string) {
  const script = `${removal(family)}table ${family} ${OWN_TABLE} {
  chain pod-sources {
    type filter hook ${hook} priority ${priority}; policy accept;
    iifgroup ${POD_GROUP} ${forged} counter drop
  }
}
`
  return { family, script }
}
