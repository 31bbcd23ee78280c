/**
 * How the API server answers, as the status interface of both roles shows it. Pure.
 */
import { present } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { ApiContact } from '../model/snapshot.ts'

export function apiContact(
  contact: {
    readonly server: string
    readonly connected: boolean
    readonly lastContact: number | undefined
    readonly problem: string | undefined
  },
  counts: Pick<ApiContact, 'clockAheadSeconds' | 'requests' | 'failures'> = {},
): ApiContact {
  return present<ApiContact>({
    clockAheadSeconds: counts.clockAheadSeconds,
    requests: counts.requests,
    failures: counts.failures,
    server: contact.server,
    connected: contact.connected,
    lastContact: contact.lastContact === undefined ? undefined : timestamp(contact.lastContact),
    problem: contact.problem,
  })
}
