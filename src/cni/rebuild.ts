/**
 * The attachments as the kernel knows them, for when the file that kept them is damaged: each host
 * end of ours says in its alias whose it is, and the routes to it say its addresses. What the
 * kernel does not know (the path of the namespace, the pod's name, where the round robin stood) is
 * left empty.
 */
import { addressBits, familyOf, hostPrefix } from '../lib/ip.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link, Route, Rule } from '../netlink/types.ts'
import { type AttachmentRecord, type Attachments, NO_ATTACHMENTS } from './attachments.ts'
import { currentBootId } from './boot.ts'
import { parseVethAlias } from './veth-names.ts'

/** In the network namespace of the caller. Throws `NetlinkError`. */
export function rebuiltAttachments(): Attachments {
  const host = Rtnetlink.open()
  try {
    const found = { links: host.dumpLinks(), routes: host.dumpRoutes(), rules: host.dumpRules() }
    return { ...NO_ATTACHMENTS, records: recordsOf({ ...found, bootId: currentBootId() }) }
  } finally {
    host.close()
  }
}

/** Pure. A host end without a route has no address to keep from others. */
export function recordsOf(found: {
  readonly links: readonly Link[]
  /** Of all tables. */
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
  readonly bootId: string
}): AttachmentRecord[] {
  return found.links.flatMap((link): AttachmentRecord[] => {
    const said = link.kind === 'veth' ? parseVethAlias(link.alias) : undefined
    const addresses = found.routes.flatMap(route => hostRouteOver(route, link) ?? [])
    if (said === undefined || addresses.length === 0) return []
    const { containerId, interfaceName, network } = said
    const eni = addresses.map(address => interfaceOf(address, found)).find(name => name !== undefined)
    return [
      {
        attempt: `rebuilt-${link.index}`,
        network,
        containerId,
        interfaceName,
        addresses: [...new Set(addresses)],
        hostInterface: link.name,
        namespacePath: '',
        bootId: found.bootId,
        ...(eni !== undefined && { interface: eni }),
      },
    ]
  })
}

/**
 * The elastic network interface that the rule for an address sends its packets by; its id is not
 * the kernel's to know.
 */
function interfaceOf(
  address: string,
  { rules, routes, links }: Parameters<typeof recordsOf>[0],
): AttachmentRecord['interface'] {
  const rule = rules.find(({ source }) => source === hostPrefix(address))
  if (rule === undefined) return undefined
  const way = routes.find(({ table, type }) => table === rule.table && type === 'unicast')
  const mac = links.find(({ index }) => index === way?.nextHops[0]?.interface)?.address ?? ''
  return { id: mac, mac }
}

/** The address that a route leads to over that link, if it is one to a single address. */
function hostRouteOver({ destination, nextHops, type }: Route, link: Link): string | undefined {
  const [address = '', length] = destination.split('/')
  if (type !== 'unicast' || nextHops.length !== 1 || nextHops[0]?.interface !== link.index) return undefined
  return Number(length) === addressBits(familyOf(address)) ? address : undefined
}
