/**
 * Tokens of ServiceAccounts (JSON Web Tokens, RFC 7519): whose they are and for how long. Only for
 * deciding when to ask for the next one; whether a token is genuine is for the API server to say.
 * Pure.
 */

export interface TokenClaims {
  readonly namespace: string
  readonly account: string
  /** Seconds since 1970. */
  readonly issuedAt: number
  readonly expiresAt: number
}

/** Undefined for what is no token of a ServiceAccount that expires: a legacy one never does. */
export function claimsOf(token: string): TokenClaims | undefined {
  const claims = payloadOf(token)
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(String(claims.get('sub'))) ?? []
  const [issuedAt, expiresAt] = [claims.get('iat'), claims.get('exp')]
  if (namespace === undefined || account === undefined) return undefined
  if (typeof issuedAt !== 'number' || typeof expiresAt !== 'number') return undefined
  return { namespace, account, issuedAt, expiresAt }
}

function payloadOf(token: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : new Map()
  } catch {
    return new Map()
  }
}

/**
 * Whether the next token should be asked for, at `now` in seconds: when a fifth of the life is
 * over, so that a node which was out of reach for long has most of a life left.
 */
export function renewalDue({ issuedAt, expiresAt }: TokenClaims, now: number): boolean {
  return now >= issuedAt + (expiresAt - issuedAt) / 5
}

/**
 * Whether `renewed` is to be used in place of the token that the kubeconfig holds: it is the same
 * account's, and not older. A kubeconfig that an operator has made anew wins over what was renewed
 * before.
 */
export function replaces(renewed: string, original: string): boolean {
  const [next, first] = [claimsOf(renewed), claimsOf(original)]
  if (next === undefined || first === undefined) return false
  return next.namespace === first.namespace && next.account === first.account && next.issuedAt >= first.issuedAt
}
