/**
 * The status of a BGPPeer as far as it can be read. A server checks what is written to it, not what
 * it has: a status from under another CustomResourceDefinition of that name comes as it is, and
 * must not stop who reads the rest. Pure.
 */
import type { BGPPeerObject, BGPPeerStatus } from './bgp-peer.ts'
import { isFields } from './spec-reader.ts'

/** The object itself where all of its status can be read, else one without what cannot. */
export function withReadableStatus(object: BGPPeerObject): BGPPeerObject {
  const found: unknown = object.status
  if (found === undefined) return object
  const { status: _unread, ...rest } = object
  if (!isFields(found)) return rest
  const { conditions, speakers, selectedNodes, sessions, prefixes } = found
  const status = {
    ...listOf('conditions', conditions, isCondition),
    ...listOf('speakers', speakers, isSpeaker),
    ...listOf('selectedNodes', selectedNodes, isText),
    ...(isText(sessions) && { sessions }),
    ...(typeof prefixes === 'number' && { prefixes }),
  } as BGPPeerStatus
  return Bun.deepEquals(status, found) ? object : { ...rest, status }
}

function listOf(name: string, value: unknown, isReadable: (item: unknown) => boolean): object {
  return Array.isArray(value) ? { [name]: value.filter(isReadable) } : {}
}

function isCondition(item: unknown): boolean {
  if (!isFields(item) || !isPlain(item)) return false
  return [item.type, item.status, item.reason, item.message, item.lastTransitionTime].every(isText)
}

function isSpeaker(item: unknown): boolean {
  return isFields(item) && isPlain(item) && isText(item.node) // the rest others may have left away
}

/** Whether a field is no object, or lists are of such: any text can be made of it. */
function isPlain(item: Readonly<Record<string, unknown>>): boolean {
  return Object.values(item).every(value => (Array.isArray(value) ? value.every(isScalar) : isScalar(value)))
}

function isScalar(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
