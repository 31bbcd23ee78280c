/** Names for who writes what by server-side apply: a field manager for each node and part. Pure. */
import { createHash } from 'node:crypto'

/** The API server takes at most so many characters. */
const MAXIMUM_LENGTH = 128
const HASH_LENGTH = 16

/** The field manager of a part of one node (`speaker`, `eni`): unique, whatever the node's name. */
export function fieldManagerOf(part: string, node: string): string {
  const whole = `terway-edge-${part}-${node}`
  if (whole.length <= MAXIMUM_LENGTH) return whole
  const hash = createHash('sha256').update(node).digest('hex').slice(0, HASH_LENGTH)
  return `${whole.slice(0, MAXIMUM_LENGTH - HASH_LENGTH - 1)}-${hash}`
}
