/**
 * The simulated security token service (STS 2015-04-01): AssumeRoleWithOIDC, by which the token of
 * a service account becomes a temporary key. A token is believed when it is the one that is told
 * beforehand, as the real service believes the issuer. For tests, never for production.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { timestamp } from '../lib/timestamp.ts'
import { demand, Refusal } from './refusal.ts'
import type { SimAccessKey } from './types.ts'

export interface StsOptions {
  readonly clock: Clock
  readonly roleArn: string
  readonly oidcProviderArn: string
  /** The token that is good now. */
  readonly token: () => string
  /** Told of each key that is given; the OpenAPI should know it from then on. */
  readonly onKey: (key: SimAccessKey) => void
}

export class SecurityTokenService {
  readonly #options: StsOptions
  /** How each question ended: `ok`, or a code. */
  readonly outcomes: string[] = []

  constructor(options: StsOptions) {
    this.#options = options
  }

  async fetch(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    try {
      const credentials = this.#assume(new URL(request.url).searchParams, form)
      this.outcomes.push('ok')
      return Response.json({ RequestId: randomUUID(), Credentials: credentials })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.outcomes.push(error.code)
      const body = { RequestId: randomUUID(), Code: error.code, Message: error.message }
      return Response.json(body, { status: error.httpStatus })
    }
  }

  #assume(query: URLSearchParams, form: URLSearchParams): Record<string, string> {
    const { clock, roleArn, oidcProviderArn, token, onKey } = this.#options
    const called = query.get('Action') === 'AssumeRoleWithOIDC' && query.get('Version') === '2015-04-01'
    demand(called, 'InvalidAction.NotFound', 404)
    demand(form.get('OIDCProviderArn') === oidcProviderArn, 'AuthenticationFail.NoPermission', 403)
    demand(form.get('RoleArn') === roleArn, 'EntityNotExist.Role', 404)
    demand(form.get('OIDCToken') === token(), 'AuthenticationFail.OIDCToken.Expired', 400)
    const seconds = Number(form.get('DurationSeconds'))
    demand(seconds >= 900 && seconds <= 43_200, 'InvalidParameter.DurationSeconds', 400)
    demand((form.get('RoleSessionName') ?? '').length >= 2, 'InvalidParameter.RoleSessionName', 400)
    const [id, secret, securityToken] = [`STS.${randomBytes(8).toString('hex')}`, secretText(), secretText()]
    onKey({ id, secret, securityToken })
    const expiration = timestamp(clock.now() + seconds * 1000)
    return { AccessKeyId: id, AccessKeySecret: secret, SecurityToken: securityToken, Expiration: expiration }
  }
}

function secretText(): string {
  return randomBytes(24).toString('base64')
}
