/**
 * The simulated cloud: calls in, answers out, with rights, throttling, ClientTokens, faults and an
 * account of every call. For the lab and for tests, never for production. `perform` takes a call
 * that is known to be signed; `fetch` is the HTTP server's side, with signatures.
 *
 * Time comes from the clock alone, and passes when somebody calls.
 */
import { randomUUID } from 'node:crypto'
import { ECS_ACTIONS, type Handler, VPC_ACTIONS } from './ecs.ts'
import { ENS_ACTIONS } from './ens.ts'
import { Parameters } from './parameters.ts'
import { Refusal } from './refusal.ts'
import { signer } from './signature.ts'
import { SimWorld } from './state.ts'
import type { Fault, SimAccessKey, SimCall, SimOptions, SimProduct } from './types.ts'

export interface SimAnswer {
  readonly httpStatus: number
  readonly body: Record<string, unknown>
  readonly retryAfter?: number
}

const ACTIONS: Readonly<Record<SimProduct, Readonly<Record<string, Handler>>>> = {
  ecs: ECS_ACTIONS,
  vpc: VPC_ACTIONS,
  ens: ENS_ACTIONS,
}
const VERSIONS: Readonly<Record<string, SimProduct>> = { '2014-05-26': 'ecs', '2016-04-28': 'vpc', '2017-11-10': 'ens' }
const WITH_TOKEN = new Set(['CreateNetworkInterface', 'AssignPrivateIpAddresses', 'AssignIpv6Addresses'])

/** Whether an action changes something. */
export function changes(action: string): boolean {
  return !action.startsWith('Describe')
}

export class CloudSimulator {
  readonly world: SimWorld
  readonly calls: SimCall[] = []
  readonly #options: SimOptions
  readonly #tokens = new Map<string, { readonly parameters: string; readonly answer: SimAnswer; readonly at: number }>()
  readonly #minutes = new Map<string, number>()
  #number = 0
  /** Called with each call before anything of it is done. */
  onCall: (call: SimCall) => void = () => {}
  /** Replaces the fault of the options. */
  fault: (call: SimCall) => Fault | undefined

  constructor(options: SimOptions) {
    this.#options = options
    this.world = new SimWorld(options)
    this.fault = options.fault ?? (() => undefined)
  }

  /** Makes one call; undefined: there is no answer. */
  perform(
    product: SimProduct,
    action: string,
    flat: Readonly<Record<string, string>>,
    key?: SimAccessKey,
  ): SimAnswer | { readonly html: true } | undefined {
    const { ClientToken: token = '', ...parameters } = flat
    const now = this.#options.clock.now()
    const call: SimCall = {
      number: ++this.#number,
      at: now,
      product,
      action,
      parameters,
      token,
      outcome: '',
      effect: false,
    }
    this.calls.push(call)
    this.onCall(call)
    const fault = this.fault(call)
    if (fault?.kind === 'refuse') {
      call.outcome = fault.code
      return failure(new Refusal(fault.code, fault.httpStatus, fault.code, fault.retryAfter))
    }
    if (fault !== undefined && !fault.effect) {
      call.outcome = 'no answer'
      return fault.kind === 'html' ? { html: true } : undefined
    }
    const answer = this.#answer(call, key)
    if (fault === undefined) return answer
    call.outcome = 'no answer'
    return fault.kind === 'html' ? { html: true } : undefined
  }

  #answer(call: SimCall, key: SimAccessKey | undefined): SimAnswer {
    try {
      this.world.settle()
      this.#throttle(call)
      if (key?.allowed !== undefined && !key.allowed.has(`${call.product}:${call.action}`))
        throw new Refusal(call.product === 'ens' ? 'NoPermission' : 'Forbidden.RAM', call.product === 'ens' ? 400 : 403)
      const known = this.#remembered(call)
      if (known !== undefined) {
        call.outcome = 'ok'
        return known
      }
      const handler = ACTIONS[call.product][call.action]
      if (handler === undefined) throw new Refusal('InvalidAction.NotFound', 404)
      const body = handler(this.world, new Parameters(call.parameters))
      call.outcome = 'ok'
      call.effect = changes(call.action)
      if (call.effect) this.world.remember()
      const answer: SimAnswer = { httpStatus: 200, body: { RequestId: randomUUID(), ...body } }
      this.#remember(call, answer)
      return answer
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      call.outcome = error.code
      return failure(error)
    }
  }

  /**
   * Quotas are per action and minute: what is too much in one minute is taken again in the next.
   */
  #throttle({ product, action, at }: SimCall): void {
    const { perMinute, questions } = this.#options
    const limit =
      perMinute?.[action] ?? perMinute?.default ?? (product === 'ens' ? questions?.ensPerMinute : undefined) ?? 100_000
    const minute = `${product}/${action}/${Math.floor(at / 60_000)}`
    const made = (this.#minutes.get(minute) ?? 0) + 1
    this.#minutes.set(minute, made)
    if (made > limit) throw new Refusal('Throttling.User', 400, 'Request was denied due to user flow control.')
  }

  /** The answer of an earlier call with the same ClientToken. */
  #remembered({ product, action, token, parameters, at }: SimCall): SimAnswer | undefined {
    if (token === '') return undefined
    if (product !== 'ecs' || !WITH_TOKEN.has(action)) throw new Refusal('InvalidParameter.ClientToken', 400)
    if (!/^[\x20-\x7e]{1,64}$/.test(token)) throw new Refusal('InvalidParameter.ClientToken', 400)
    const known = this.#tokens.get(`${action}/${token}`)
    const lifetime = (this.#options.questions?.tokenSeconds ?? 86_400) * 1000
    if (known === undefined || at - known.at > lifetime) return undefined
    if (known.parameters !== canonical(parameters)) throw new Refusal('IdempotentParameterMismatch', 400)
    return known.answer
  }

  #remember({ action, token, parameters, at }: SimCall, answer: SimAnswer): void {
    if (token !== '') this.#tokens.set(`${action}/${token}`, { parameters: canonical(parameters), answer, at })
  }

  /** The HTTP side: signed RPC requests. */
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const body = await request.text()
    const { headers } = request
    try {
      const signed = { method: request.method, path: url.pathname, query: url.searchParams, headers, body }
      const key = signer(signed, this.#options.accessKeys, this.#options.clock.now())
      const product = VERSIONS[headers.get('x-acs-version') ?? '']
      const action = headers.get('x-acs-action') ?? ''
      if (product === undefined) throw new Refusal('InvalidVersion', 400)
      if (request.method !== 'POST' || url.pathname !== '/') throw new Refusal('UnsupportedHTTPMethod', 400)
      const answer = this.perform(product, action, Object.fromEntries(url.searchParams), key)
      // the server cuts the connection
      if (answer === undefined) return new Response(null, { status: 599 })
      if ('html' in answer)
        return new Response('<html><h1>502 Bad Gateway</h1></html>', {
          status: 502,
          headers: { 'content-type': 'text/html' },
        })
      return response(answer)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return response(failure(error))
    }
  }
}

function failure(error: Refusal): SimAnswer {
  return {
    httpStatus: error.httpStatus,
    body: { RequestId: randomUUID(), HostId: 'simulated', Code: error.code, Message: error.message, Recommend: '' },
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
  }
}

function response({ httpStatus, body, retryAfter }: SimAnswer): Response {
  const headers = retryAfter === undefined ? undefined : { 'x-acs-retry-after': String(retryAfter) }
  return Response.json(body, { status: httpStatus, ...(headers === undefined ? {} : { headers }) })
}

function canonical(parameters: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1)))
}
