/**
 * `CloudApi` on @alicloud/openapi-core, which signs and sends; what that library does otherwise
 * than one would think is undone here and nowhere else: its default export is another thing in an
 * executable than from source; without options it gives up after 3 s; its "connect" timeout means
 * silence, also after the request was received; an answer that is not JSON loses its status; it
 * makes the runtime warn of what it calls.
 *
 * A call is made once. Everything that is not a clear answer is `unknown`: whoever called reads
 * back.
 */
import * as core from '@alicloud/openapi-core'
import type { Clock } from '../lib/clock.ts'
import { errorCode, errorText } from '../lib/errors.ts'
import { actionFacts, type Product } from './actions.ts'
import type { CloudAnswer, CloudApi, CloudCall } from './cloud-api.ts'
import {
  type CloudCredentials,
  type CredentialChoice,
  type CredentialSource,
  classOf,
  createCredentialSource,
} from './credentials.ts'
import { type EndpointConfig, endpointOf, stsEndpointOf } from './endpoints.ts'

export interface DoorOptions {
  readonly credentials: CredentialChoice
  readonly endpoints: EndpointConfig
  readonly clock: Clock
  /** PEM of a CA to trust in place of the usual ones. */
  readonly ca?: string
  readonly timeoutMilliseconds?: number
}

const TIMEOUT_MILLISECONDS = 15_000

// the library calls url.parse() for every request, and a warning of that would stand in the log of
// the controller
process.noDeprecation = true

export function createCloudApi(options: DoorOptions): CloudApi {
  return new Door(options)
}

interface Client {
  callApi(params: unknown, request: unknown, runtime: unknown): Promise<{ body?: unknown; statusCode?: unknown }>
}

interface Library {
  readonly default: unknown
  readonly $OpenApiUtil: {
    readonly Params: new (fields: object) => unknown
    readonly OpenApiRequest: new (fields: object) => unknown
    readonly Config: new (fields: object) => unknown
  }
}

class Door implements CloudApi {
  readonly #options: DoorOptions
  /** By where they are got. */
  readonly #sources = new Map<string, CredentialSource>()
  readonly #library = core as unknown as Library
  readonly #clients = new Map<string, Client>()
  #credentials: CloudCredentials | undefined

  constructor(options: DoorOptions) {
    this.#options = options
  }

  async call({ action, regionID, parameters, token }: CloudCall): Promise<CloudAnswer> {
    const { product, name, version } = actionFacts(action)
    try {
      this.#credentials = await this.#sourceFor(product, regionID).get()
    } catch (error) {
      return { kind: 'not-sent', reason: `no credentials: ${withoutSecrets(errorText(error))}` }
    }
    const { Params, OpenApiRequest } = this.#library.$OpenApiUtil
    const [, scheme = 'https', endpoint = ''] =
      /^(?:(https?):\/\/)?(.*)$/.exec(endpointOf(product, regionID, this.#options.endpoints)) ?? []
    const params = new Params({
      action: name,
      version,
      protocol: scheme === 'http' ? 'HTTP' : 'HTTPS',
      pathname: '/',
      method: 'POST',
      authType: 'AK',
      style: 'RPC',
      reqBodyType: 'formData',
      bodyType: 'json',
    })
    const query = token === '' ? parameters : { ...parameters, ClientToken: token }
    const request = new OpenApiRequest({ query: { ...query } })
    const timeout = this.#options.timeoutMilliseconds ?? TIMEOUT_MILLISECONDS
    // both the same: the one for connecting is in truth one for silence
    const runtime = { readTimeout: timeout, connectTimeout: timeout, autoretry: false, maxAttempts: 1 }
    try {
      const answer = await this.#client(endpoint).callApi(params, request, runtime)
      return readBody(answer.body)
    } catch (error) {
      return readFailure(error)
    }
  }

  close(): void {
    this.#clients.clear()
  }

  #sourceFor(product: Product, regionID: string): CredentialSource {
    const { credentials, endpoints, clock } = this.#options
    const stsEndpoint =
      credentials.from === 'oidc' ? (credentials.stsEndpoint ?? stsEndpointOf(product, regionID, endpoints)) : ''
    const known = this.#sources.get(stsEndpoint)
    if (known !== undefined) return known
    const choice = credentials.from === 'oidc' ? { ...credentials, stsEndpoint } : credentials
    const source = createCredentialSource(choice, clock)
    this.#sources.set(stsEndpoint, source)
    return source
  }

  #client(endpoint: string): Client {
    const known = this.#clients.get(endpoint)
    if (known !== undefined) return known
    const credential = {
      // asked for a moment ago
      getCredential: async () => {
        if (this.#credentials === undefined) throw new Error('no credentials were asked for')
        const { accessKeyID, accessKeySecret, securityToken } = this.#credentials
        return {
          accessKeyId: accessKeyID,
          accessKeySecret: accessKeySecret.reveal(),
          ...(securityToken === undefined ? {} : { securityToken: securityToken.reveal() }),
          type: securityToken === undefined ? 'access_key' : 'sts',
        }
      },
    }
    const { ca } = this.#options
    const config = new this.#library.$OpenApiUtil.Config({ endpoint, credential, ...(ca === undefined ? {} : { ca }) })
    const OpenApi = classOf<new (config: unknown) => Client>(this.#library.default)
    const client = new OpenApi(config)
    this.#clients.set(endpoint, client)
    return client
  }
}

function readBody(body: unknown): CloudAnswer {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return { kind: 'unknown', reason: 'the answer is not an object' }
  const { RequestId } = body as { RequestId?: unknown }
  return { kind: 'ok', body, requestID: typeof RequestId === 'string' ? RequestId : '' }
}

/** Whether the cloud refused, or the effect is not known. */
function readFailure(error: unknown): CloudAnswer {
  const fields = typeof error === 'object' && error !== null ? (error as Readonly<Record<string, unknown>>) : {}
  const { statusCode, requestId, retryAfter, data } = fields
  const body = typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {}
  const code = typeof body.Code === 'string' ? body.Code : undefined
  if (typeof statusCode === 'number' && code !== undefined) {
    return {
      kind: 'refused',
      code,
      httpStatus: statusCode,
      message: typeof body.Message === 'string' ? body.Message : '',
      requestID: typeof requestId === 'string' ? requestId : '',
      // milliseconds in the library, seconds here
      retryAfterSeconds: typeof retryAfter === 'number' && retryAfter > 0 ? Math.ceil(retryAfter / 1000) : undefined,
    }
  }
  if (typeof statusCode === 'number') return { kind: 'unknown', reason: `HTTP status ${statusCode} without a code` }
  if (error instanceof SyntaxError) return { kind: 'unknown', reason: 'the answer is not JSON' }
  const system = errorCode(error)
  if (system !== undefined && NEVER_LEFT.has(system))
    return { kind: 'not-sent', reason: withoutSecrets(errorText(error)) }
  return { kind: 'unknown', reason: withoutSecrets(errorText(error)) }
}

/** Errors before anything was sent. */
const NEVER_LEFT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ConnectionRefused', 'FailedToOpenSocket'])

/**
 * An error of the library may show the URL with its query, headers with the signature, and an
 * answer that it could not read, with what was in it.
 */
function withoutSecrets(text: string): string {
  return text
    .replaceAll(/(https?:\/\/[^\s?]+)\?\S*/g, '$1')
    .replaceAll(/(Signature=|SecurityToken=|x-acs-security-token:?\s*)\S+/gi, '$1…')
    .replaceAll(/("?(?:AccessKeySecret|SecurityToken|OIDCToken)"?\s*[:=]\s*"?)[^\s",}]+/gi, '$1…')
    .slice(0, 300)
}
