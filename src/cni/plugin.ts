/**
 * The CNI plugin as a function: environment and stdin in, JSON and an exit status out (CNI 1.1.0
 * section 2). Called by `command.ts` in a process of its own and by `server.ts` in one that stays.
 * What the operations do is in their own files; nothing heavy is loaded here.
 */
import { invariant } from '../lib/assert.ts'
import { errorText } from '../lib/errors.ts'
import { add } from './add.ts'
import { AddressStore, StoreBusy, type StoreOptions } from './address-store.ts'
import { decodeRequest, type Environment } from './decode.ts'
import { del } from './del.ts'
import { encodeFailure, encodeResult, encodeVersions } from './encode.ts'
import { failureOf } from './failures.ts'
import { addLoopback, checkLoopback, delLoopback, LOOPBACK_TYPE } from './loopback.ts'
import { check, collect, status } from './operations.ts'
import {
  type AttachRequest,
  CNI_ERROR,
  type CniVersion,
  type DetachRequest,
  type Failure,
  failure,
  NEWEST_VERSION,
  type Request,
  type Result,
} from './protocol.ts'

/** What the process says: nothing but an exit status where the specification has no result. */
export interface Answer {
  readonly exitStatus: 0 | 1
  readonly output?: object
}

/** The answer where stdin could not be read. */
export function unreadable(error: unknown): Answer {
  const unread = failure(CNI_ERROR.ioFailure, `cannot read the network configuration from stdin: ${errorText(error)}`)
  return { exitStatus: 1, output: encodeFailure(unread, NEWEST_VERSION) }
}

/** What a runtime calls the plugin with. */
export interface Call {
  readonly environment: Environment
  readonly stdin: string
}

/** `answerAll` for one request. */
export function answer(environment: Environment, stdin: string, options: StoreOptions = {}): Answer {
  const [only] = answerAll([{ environment, stdin }], options)
  invariant(only !== undefined, 'there are as many answers as calls')
  return only
}

/**
 * Decodes, does and encodes requests, ADDs in one go, and DELs too; whatever fails is in the
 * answers, of which there are as many as calls. Throws only `StoreBusy`, with a `patience` given:
 * then they may be asked again, if they are of one kind.
 */
export function answerAll(calls: readonly Call[], options: StoreOptions = {}): Answer[] {
  const decoded = calls.map(({ environment, stdin }) => decodeRequest(environment, stdin))
  const requests = decoded.flatMap(({ request }) => ('kind' in request ? [] : [request]))
  const together = new Map<Request, Outcome>([
    ...performTogether(requests.filter(isOwnAdd), options, add),
    ...performTogether(requests.filter(isOwnDel), options, detach),
  ])
  return decoded.map(({ version, request }) => {
    if ('kind' in request) return encodeOutcome(request, version)
    return encodeOutcome(together.has(request) ? together.get(request) : perform(request, options), version)
  })
}

/** What becomes of requests that share a store. */
function performTogether<R extends AttachRequest | DetachRequest>(
  requests: readonly R[],
  options: StoreOptions,
  action: (requests: readonly R[], store: AddressStore) => ReadonlyMap<R, Outcome>,
): ReadonlyMap<R, Outcome> {
  const outcomes = new Map<R, Outcome>()
  for (const [stateDir, ofStore] of Map.groupBy(requests, ({ config }) => config.stateDir)) {
    try {
      for (const [request, outcome] of action(ofStore, new AddressStore(stateDir, options)))
        outcomes.set(request, outcome)
    } catch (error) {
      if (error instanceof StoreBusy) throw error
      for (const request of ofStore) outcomes.set(request, failureOf(error, `${request.command} failed`))
    }
  }
  return outcomes
}

function detach(requests: readonly DetachRequest[], store: AddressStore): ReadonlyMap<DetachRequest, Outcome> {
  const errors = del(requests, store)
  return new Map(
    requests.map(request => {
      const error = errors.get(request)
      return [request, error === undefined ? undefined : failureOf(error, 'DEL failed')]
    }),
  )
}

function isOwnAdd(request: Request): request is AttachRequest {
  return request.command === 'ADD' && request.config.type !== LOOPBACK_TYPE
}

function isOwnDel(request: Request): request is DetachRequest {
  return request.command === 'DEL' && request.config.type !== LOOPBACK_TYPE
}

type Outcome = Result | Failure | { readonly versionsAskedWith: string } | undefined

function perform(request: Request, options: StoreOptions): Outcome {
  if (request.command === 'VERSION') return { versionsAskedWith: request.cniVersion }
  try {
    if (request.config.type === LOOPBACK_TYPE) return performLoopback(request)
    return performOwn(request, new AddressStore(request.config.stateDir, options))
  } catch (error) {
    if (error instanceof StoreBusy) throw error
    return failureOf(error, `${request.command} failed`)
  }
}

type ConfiguredRequest = Exclude<Request, { command: 'VERSION' }>

function performOwn(request: ConfiguredRequest, store: AddressStore): Outcome {
  switch (request.command) {
    case 'CHECK':
      return check(request, store)
    case 'GC':
      return collect(request, store)
    case 'STATUS':
      return status(request.config, store)
    case 'ADD':
    case 'DEL':
      throw new Error(`${request.command} is done with others`)
  }
}

function performLoopback(request: ConfiguredRequest): Outcome {
  switch (request.command) {
    case 'ADD':
      return addLoopback(request)
    case 'CHECK':
      return checkLoopback(request)
    case 'DEL':
      return delLoopback(request)
    case 'GC':
    case 'STATUS':
      return undefined
  }
}

function encodeOutcome(outcome: Outcome, version: CniVersion): Answer {
  if (outcome === undefined) return { exitStatus: 0 }
  if ('kind' in outcome) return { exitStatus: 1, output: encodeFailure(outcome, version) }
  if ('versionsAskedWith' in outcome) return { exitStatus: 0, output: encodeVersions(outcome.versionsAskedWith) }
  return { exitStatus: 0, output: encodeResult(outcome, version) }
}
