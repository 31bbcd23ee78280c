/**
 * A message of a session in the words of `bgp decode`, with its time and direction. Nothing in
 * BGP's messages is a secret (the TCP MD5 key is in none); what is not understood is shown as
 * octets, cut where it is long. Pure.
 */
import { reportMessage } from '../bgp/report/decode-report.ts'
import type { TracedMessage } from '../bgp/speaker-types.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { TraceLine } from '../model/session.ts'

export function traceLine({ at, direction, bytes, context }: TracedMessage): TraceLine {
  return { time: timestamp(at), direction, ...reportMessage(bytes, { ...context, orf: false, keepAs4: true }) }
}
