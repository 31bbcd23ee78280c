/**
 * Signature version 3 (ACS3-HMAC-SHA256), checked from the documentation of the OpenAPI: what is
 * signed is method, path, sorted query, the signed headers and the hash of the body. Written
 * against the description, not against the library that signs. Pure.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { demand } from './refusal.ts'
import type { SimAccessKey } from './types.ts'

export interface SignedRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Headers
  readonly body: string
}

/** RFC 3339 times of a request may differ by this much from ours. */
const SKEW_MILLISECONDS = 15 * 60_000

/**
 * The key that signed the request; throws the refusal of what is wrong. `now`: Clock.now()
 * milliseconds.
 */
export function signer(request: SignedRequest, keys: readonly SimAccessKey[], now: number): SimAccessKey {
  const { headers } = request
  const parsed = /^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})$/.exec(
    headers.get('authorization') ?? '',
  )
  demand(parsed !== null, 'IncompleteSignature', 400)
  const [, id = '', names = '', signature = ''] = parsed
  const key = keys.find(item => item.id === id)
  demand(key !== undefined, 'InvalidAccessKeyId.NotFound', 404)
  const token = headers.get('x-acs-security-token') ?? undefined
  demand(
    token === key.securityToken,
    token === undefined ? 'MissingSecurityToken' : 'InvalidSecurityToken.Expired',
    400,
  )
  const date = Date.parse(headers.get('x-acs-date') ?? '')
  demand(Math.abs(date - now) <= SKEW_MILLISECONDS, 'InvalidTimeStamp.Expired', 400)
  const bodyHash = sha256(request.body)
  demand(headers.get('x-acs-content-sha256') === bodyHash, 'SignatureDoesNotMatch', 400)
  const signed = names.split(';')
  for (const name of [
    'host',
    'x-acs-action',
    'x-acs-version',
    'x-acs-date',
    'x-acs-signature-nonce',
    'x-acs-content-sha256',
  ])
    demand(signed.includes(name), 'SignatureDoesNotMatch', 400, `${name} is not signed`)
  if (token !== undefined) demand(signed.includes('x-acs-security-token'), 'SignatureDoesNotMatch', 400)
  const canonical = [
    request.method,
    request.path,
    [...request.query]
      .sort(([a], [b]) => (a < b ? -1 : 1)) // by name: `List.1` before `List.10`
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .join('&'),
    signed.map(name => `${name}:${(headers.get(name) ?? '').trim()}\n`).join(''),
    names,
    bodyHash,
  ].join('\n')
  const expected = createHmac('sha256', key.secret)
    .update(`ACS3-HMAC-SHA256\n${sha256(canonical)}`)
    .digest()
  demand(timingSafeEqual(expected, Buffer.from(signature, 'hex')), 'SignatureDoesNotMatch', 400)
  return key
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
