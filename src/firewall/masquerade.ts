/**
 * The rules that translate the addresses of this node's pods for destinations outside of the
 * cluster (ipMasq), as a table of our own per family. Never translated: what goes to pods, nodes,
 * Services, the VPC, data centers, `nonMasqueradeCIDRs`, links and multicast groups, for there the
 * pod's address is routed. Pure.
 */
import { FAMILIES, type Family, familyOf, hostPrefix } from '../lib/ip.ts'
import { mergePrefixes } from '../lib/merge-prefixes.ts'
import { OWN_TABLE } from './forward.ts'
import type { NftFamily } from './nftables-listing.ts'

export const NFT_FAMILY = { ipv4: 'ip', ipv6: 'ip6' } as const satisfies Record<Family, NftFamily>

/**
 * Links and multicast groups (RFC 3927, 5771, 4291) and the limited broadcast: not a way out of the
 * LAN.
 */
const NEVER_OUTSIDE: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32'],
  ipv6: ['fe80::/10', 'ff00::/8'],
}

export interface MasqueradeInput {
  /** This node's own: only their packets are translated. */
  readonly podCIDRs: readonly string[]
  /** Prefixes and addresses where pods are known by their own address. */
  readonly keep: readonly string[]
}

/** The script that makes the table of a family whole, in place of any former one. */
export function masqueradeScript(family: Family, { podCIDRs, keep }: MasqueradeInput): string {
  const [own, kept] = [podCIDRs, keep.map(asPrefix)].map(list => list.filter(text => familyOf(text) === family))
  const name = `${NFT_FAMILY[family]} ${OWN_TABLE}`
  const ip = NFT_FAMILY[family]
  const exceptions = mergePrefixes([...(own ?? []), ...(kept ?? []), ...NEVER_OUTSIDE[family]])
  return `${removeTableScript(family)}table ${name} {
  set never-translated {
    type ${family}_addr
    flags interval
    elements = { ${exceptions.join(', ')} }
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ${ip} saddr { ${mergePrefixes(own ?? []).join(', ')} } ${ip} daddr != @never-translated counter masquerade fully-random
  }
}
`
}

/** Removes the table of a family, whether or not there is one. */
export function removeTableScript(family: Family): string {
  return removal(NFT_FAMILY[family])
}

/** Removes our table of an nftables family, whether or not there is one. */
export function removal(family: NftFamily): string {
  return `add table ${family} ${OWN_TABLE}\ndelete table ${family} ${OWN_TABLE}\n`
}

/** The families whose pods are to be translated. */
export function masqueradedFamilies(podCIDRs: readonly string[]): Family[] {
  return FAMILIES.filter(family => podCIDRs.some(podCIDR => familyOf(podCIDR) === family))
}

function asPrefix(text: string): string {
  return text.includes('/') ? text : hostPrefix(text)
}
