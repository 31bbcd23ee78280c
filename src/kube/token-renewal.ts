/**
 * Keeps this node's access alive: asks for the next token of its ServiceAccount long before the one
 * in use expires (TokenRequest, authentication.k8s.io/v1), and keeps it in the state folder, for
 * the kubeconfig is read-only to the service. `loadKubeconfig` uses it from there.
 *
 * Whoever comes with a client certificate or a token that does not expire is left alone.
 */
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { writeFileWhole } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { Kubeconfig } from './kubeconfig.ts'
import { claimsOf, renewalDue, type TokenClaims } from './token.ts'
import { Transport } from './transport.ts'

const LOOK_MILLISECONDS = 3_600_000

/** Where the renewed token is. */
export function renewedTokenFile(stateDir: string): string {
  return join(stateDir, 'token')
}

export interface TokenRenewal {
  readonly kubeconfig: Kubeconfig
  readonly stateDir: string
  readonly clock: Clock
  readonly log: Log
}

/**
 * Looks at once, and then every hour; a failure is tried again with patience. `close` ends a
 * request that is under way.
 */
export function keepTokenFresh(options: TokenRenewal): { close(): Promise<void> } {
  const { kubeconfig, clock, log, stateDir } = options
  const transport = new Transport(kubeconfig)
  let failing = false
  const loop = new Loop({
    clock,
    everyMilliseconds: LOOK_MILLISECONDS,
    run: async () => {
      const token = bearerOf((await kubeconfig.credentials()).headers)
      const claims = token === undefined ? undefined : claimsOf(token)
      if (claims === undefined || !renewalDue(claims, clock.now() / 1000)) return
      writeFileWhole(renewedTokenFile(stateDir), await request(transport, claims))
      failing = false
      log.info({ name: claims.account }, 'the token of this node is renewed')
    },
    onError: error => {
      if (!failing) log.warn({ detail: errorText(error) }, 'the token of this node cannot be renewed yet')
      failing = true
    },
  })
  loop.wake()
  return {
    close: () => {
      transport.close()
      return loop.close()
    },
  }
}

function bearerOf(headers: Readonly<Record<string, string>>): string | undefined {
  return /^Bearer (.+)$/.exec(headers.Authorization ?? '')?.[1]
}

/** A token of the same account, for as long as the former was made for. */
async function request(transport: Transport, claims: TokenClaims): Promise<string> {
  const { namespace, account, issuedAt, expiresAt } = claims
  return requestToken(transport, { namespace, account, seconds: expiresAt - issuedAt })
}

export interface TokenRequest {
  readonly namespace: string
  readonly account: string
  /** How long it shall live; the API server may make it shorter. */
  readonly seconds: number
}

/** Throws `ApiError`, or when the answer bears no token. */
export async function requestToken(
  transport: Transport,
  { namespace, account, seconds }: TokenRequest,
): Promise<string> {
  const answer = await transport.request({
    method: 'POST',
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(account)}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name: account, namespace },
      spec: { expirationSeconds: Math.round(seconds) },
    },
  })
  const token = field(field(answer, 'status'), 'token')
  if (typeof token === 'string' && claimsOf(token) !== undefined) return token
  throw new Error(`the API server gave no token for ${namespace}/${account}`)
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}
