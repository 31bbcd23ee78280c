/**
 * What of a BGPPeer was changed that closes a session to come into force, in words: if the switch
 * does not do the same, the session does not come back, and its operator wants to know why. Pure.
 */
import type { PeerConfig } from '../bgp/speaker-types.ts'
import { fieldsOf } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import { SESSION_SETTINGS } from '../model/session-settings.ts'

/** Undefined where nothing was. `now` in milliseconds. */
export function changeText(before: PeerConfig, after: PeerConfig, now: number): string | undefined {
  const settings = fieldsOf(SESSION_SETTINGS, 'reopen')
    .filter(field => !Bun.deepEquals(before[field], after[field]))
    .map(field => `${field} (${shown(before[field])} before)`)
  const password =
    before.password === undefined ? after.password !== undefined : !before.password.equals(after.password)
  const changed = [...settings, ...(password ? ['authPassword'] : [])]
  if (changed.length === 0) return undefined
  return `it was up until ${changed.join(' and ')} of the BGPPeer was changed at ${timestamp(now)}: change the switch alike, or undo it`
}

function shown(value: unknown): string {
  return value === undefined ? 'not set' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
