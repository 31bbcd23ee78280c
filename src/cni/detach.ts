/**
 * Takes pods' host ends away, and so all of their wiring: many of them at once. The kernel waits
 * for all readers of its tables (RCU) before a link is gone, some 15 ms, and for the links that one
 * request deletes it waits once. Such a request names a group of links, so those that are to go are
 * put into one of their own first; it is a new one each time, for what another process is about to
 * delete, or somebody else has grouped, is not ours to delete here.
 *
 * What a killed process left in such a group is a host end as before, and its DEL comes again.
 */
import { ERRNO } from '../lib/errno.ts'
import { deleteLink, deleteLinkGroup, setLink } from '../netlink/link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link } from '../netlink/types.ts'
import { LinkNameTaken } from './errors.ts'
import { isOurAlias } from './veth-names.ts'

/** What became of a host end: it is gone, there was none, or why it is still there. */
export type Detached = 'gone' | 'absent' | { readonly error: unknown }

/**
 * Deletes host ends, in the network namespace of the caller; one that cannot be deleted stops no
 * other. Throws `SystemError` where the kernel cannot be asked.
 */
export function detachPods(hostInterfaces: readonly string[]): ReadonlyMap<string, Detached> {
  const host = Rtnetlink.open()
  try {
    return deleteHostEnds(host, hostInterfaces)
  } finally {
    host.close()
  }
}

/** `detachPods` by way of a conversation that is open. */
export function deleteHostEnds(host: Rtnetlink, hostInterfaces: readonly string[]): ReadonlyMap<string, Detached> {
  const outcomes = new Map<string, Detached>()
  const links: Link[] = []
  for (const name of new Set(hostInterfaces)) {
    try {
      const link = ownHostEnd(host, name)
      if (link === undefined) outcomes.set(name, 'absent')
      else links.push(link)
    } catch (error) {
      outcomes.set(name, { error })
    }
  }
  const refusals = deleteTogether(
    host,
    links.map(({ index }) => index),
  )
  for (const { name, index } of links) {
    const error = refusals.get(index)
    outcomes.set(name, error === undefined ? 'gone' : { error })
  }
  return outcomes
}

/** Deletes a host end by its index, which no later link can have. Throws `NetlinkError`. */
export function detachLink(host: Rtnetlink, hostIndex: number): void {
  const error = deleteTogether(host, [hostIndex]).get(hostIndex)
  if (error !== undefined) throw error
}

/** The host end of that name, if there is one. Throws `LinkNameTaken` where it is not ours. */
function ownHostEnd(host: Rtnetlink, name: string): Link | undefined {
  const link = host.getLink(name)
  if (link === undefined) return undefined
  // Without an alias it is the half of an attempt that was killed: the name alone is a hash that
  // nobody else comes upon.
  if (link.kind === 'veth' && (link.alias === undefined || isOurAlias(link.alias))) return link
  throw new LinkNameTaken(`the host has an interface ${name} that is not ours (${link.alias ?? link.kind})`)
}

/**
 * Deletes links by their indexes, which no later link can have. Returns why some are still there.
 * What the group did not take (a link that left it meanwhile, a kernel that has not the request) is
 * deleted by itself, which is what is answered for.
 */
function deleteTogether(host: Rtnetlink, indexes: readonly number[]): ReadonlyMap<number, Error> {
  const group = newGroup()
  const together =
    indexes.length < 2 ? [] : [...indexes.map(index => setLink(index, { group })), deleteLinkGroup(group)]
  const outcomes = host.execute([...together, ...indexes.map(deleteLink)]).slice(together.length)
  return new Map(
    outcomes.flatMap(({ error }, at) =>
      error === undefined || error.errno === ERRNO.ENODEV ? [] : [[indexes[at] ?? 0, error]],
    ),
  )
}

/** A group that nobody else has: 30 random bits, and above all numbers that people choose. */
function newGroup(): number {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1))
  return 0x4000_0000 + (random >>> 2)
}
