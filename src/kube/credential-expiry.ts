/**
 * Until when this machine's access to the API server is good: the client certificate and the CA of
 * the kubeconfig (RFC 5280), and a token of a ServiceAccount. What does not expire, or cannot be
 * read, is not among them.
 */
import { X509Certificate } from 'node:crypto'
import { timestamp } from '../lib/timestamp.ts'
import type { Expiry } from '../model/snapshot.ts'
import type { Kubeconfig } from './kubeconfig.ts'
import { claimsOf } from './token.ts'

/** Warned of when less than this is left, or a tenth of its whole life if that is shorter. */
const WARN_MILLISECONDS = 14 * 86_400_000
const LIFE_SHARE = 0.1

/** Throws when the credentials cannot be had at all. */
export async function credentialExpiries(kubeconfig: Kubeconfig): Promise<Expiry[]> {
  const { headers, tls } = await kubeconfig.credentials()
  const token = /^Bearer (.+)$/.exec(headers.Authorization ?? '')?.[1]
  const claims = token === undefined ? undefined : claimsOf(token)
  return [
    ...certificateExpiry('client certificate of the kubeconfig', tls?.cert),
    ...certificateExpiry('CA certificate of the kubeconfig', tls?.ca),
    ...(claims === undefined
      ? []
      : [expiryOf('token of the kubeconfig', { from: claims.issuedAt * 1000, to: claims.expiresAt * 1000 })]),
  ]
}

/** Of the first certificate in a PEM text. */
export function certificateExpiry(what: string, pem: string | undefined): Expiry[] {
  if (pem === undefined) return []
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem)
    return [expiryOf(what, { from: validFromDate.getTime(), to: validToDate.getTime() })]
  } catch {
    return []
  }
}

function expiryOf(what: string, { from, to }: { from: number; to: number }): Expiry {
  const warn = Math.min(WARN_MILLISECONDS, (to - from) * LIFE_SHARE)
  return { what, at: timestamp(to), warnFrom: timestamp(to - warn) }
}
