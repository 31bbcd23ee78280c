/**
 * The attachments as the kernel knows them, for when the file that kept them is damaged: each host end
 * of ours says in its alias whose it is, and the routes to it say its addresses. What the kernel does
 * not know (the path of the namespace, the pod's name, where the round robin stood) is left empty.
 */
import { addressBits, familyOf } from '../lib/ip.ts'
import { RTPROT } from '../netlink/constants.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link, Route } from '../netlink/types.ts'
import { type AttachmentRecord, type Attachments, NO_ATTACHMENTS } from './attachments.ts'
import { currentBootId } from './boot.ts'
import { parseVethAlias } from './veth-names.ts'

/** In the network namespace of the caller. Throws `NetlinkError`. */
export function rebuiltAttachments(): Attachments {
  const host = Rtnetlink.open()
  try {
    const found = { links: host.dumpLinks(), routes: host.dumpRoutes({ protocol: RTPROT.BOOT }) }
    return { ...NO_ATTACHMENTS, records: recordsOf({ ...found, bootId: currentBootId() }) }
  } finally {
    host.close()
  }
}

/** Pure. A host end without a route has no address to keep from others. */
export function recordsOf(found: {
  readonly links: readonly Link[]
  readonly routes: readonly Route[]
  readonly bootId: string
}): AttachmentRecord[] {
  return found.links.flatMap((link): AttachmentRecord[] => {
    const said = link.kind === 'veth' ? parseVethAlias(link.alias) : undefined
    const addresses = found.routes.flatMap(route => hostRouteOver(route, link) ?? [])
    if (said === undefined || addresses.length === 0) return []
    const { containerId, interfaceName, network } = said
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
      },
    ]
  })
}

/** The address that a route leads to over that link, if it is one to a single address. */
function hostRouteOver({ destination, nextHops, type }: Route, link: Link): string | undefined {
  const [address = '', length] = destination.split('/')
  if (type !== 'unicast' || nextHops.length !== 1 || nextHops[0]?.interface !== link.index) return undefined
  return Number(length) === addressBits(familyOf(address)) ? address : undefined
}
