/**
 * What the log says of an UPDATE that is not as it should be: the prefixes that it is about
 * (RFC 7606 section 6). Pure.
 */
import type { Message } from '../codec/message-types.ts'
import { prefixTexts } from '../codec/nlri.ts'

/** Told one by one; the message itself, whole, is beside them. */
const TOLD = 20

/**
 * The prefixes of an UPDATE as far as they could be read, announced and withdrawn; undefined when
 * there are none.
 */
export function involvedPrefixes(message: Message | undefined): string | undefined {
  if (message?.type !== 'UPDATE') return undefined
  const { withdrawn, nlri, attributes } = message
  const blocks = [nlri, attributes.MP_REACH_NLRI?.nlri, withdrawn, attributes.MP_UNREACH_NLRI]
  const count = blocks.reduce((sum, block) => sum + (block?.count ?? 0), 0)
  const told: string[] = []
  for (const block of blocks) {
    if (block === undefined) continue
    for (const prefix of prefixTexts(block)) {
      if (told.length === TOLD) break
      told.push(prefix)
    }
  }
  if (count === 0) return undefined
  return count > told.length ? `${told.join(', ')} and ${count - told.length} more` : told.join(', ')
}
