/**
 * The CNI plugin as a function: environment and stdin in, JSON and an exit status out (CNI 1.1.0
 * section 2). Called by `command.ts` in a process of its own and by `server.ts` in one that stays.
 * What the operations do is in their own files; nothing heavy is loaded here.
 */
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

/**
 * Decodes, does and encodes one request; whatever fails is in the answer. Throws only `StoreBusy`,
 * with a `patience` given.
 */
export function answer(environment: Environment, stdin: string, options: StoreOptions = {}): Answer {
  const { version, request } = decodeRequest(environment, stdin)
  const outcome = 'kind' in request ? request : perform(request, options)
  return encodeOutcome(outcome, version)
}

/** What a runtime calls the plugin with. */
export interface Call {
  readonly environment: Environment
  readonly stdin: string
}

/** `answer` to many DELs, which are done in one go (`del.ts`). As many answers as calls. */
export function answerDels(calls: readonly Call[], options: StoreOptions = {}): Answer[] {
  const decoded = calls.map(({ environment, stdin }) => decodeRequest(environment, stdin))
  const failures = performDels(
    decoded.flatMap(({ request }) => (isOwnDel(request) ? [request] : [])),
    options,
  )
  return decoded.map(({ version, request }) => {
    if ('kind' in request) return encodeOutcome(request, version)
    return encodeOutcome(isOwnDel(request) ? failures.get(request) : perform(request, options), version)
  })
}

function performDels(requests: readonly DetachRequest[], options: StoreOptions): ReadonlyMap<DetachRequest, Failure> {
  const failures = new Map<DetachRequest, Failure>()
  const failed = (request: DetachRequest, error: unknown) => failures.set(request, failureOf(error, 'DEL failed'))
  for (const [stateDir, together] of Map.groupBy(requests, ({ config }) => config.stateDir)) {
    try {
      const errors = del(together, new AddressStore(stateDir, options))
      for (const [request, error] of errors) failed(request, error)
    } catch (error) {
      if (error instanceof StoreBusy) throw error
      for (const request of together) failed(request, error)
    }
  }
  return failures
}

function isOwnDel(request: Request | Failure): request is DetachRequest {
  return 'command' in request && request.command === 'DEL' && request.config.type !== LOOPBACK_TYPE
}

type Outcome = Result | Failure | { readonly versionsAskedWith: string } | undefined

function perform(request: Request, options: StoreOptions): Outcome {
  if (request.command === 'VERSION') return { versionsAskedWith: request.cniVersion }
  try {
    if (request.config.type === LOOPBACK_TYPE) return performLoopback(request)
    if (request.command === 'DEL') return performDels([request], options).get(request)
    return performOwn(request, new AddressStore(request.config.stateDir, options))
  } catch (error) {
    if (error instanceof StoreBusy) throw error
    return failureOf(error, `${request.command} failed`)
  }
}

type ConfiguredRequest = Exclude<Request, { command: 'VERSION' }>

function performOwn(request: Exclude<ConfiguredRequest, DetachRequest>, store: AddressStore): Outcome {
  switch (request.command) {
    case 'ADD':
      return add(request, store)
    case 'CHECK':
      return check(request, store)
    case 'GC':
      return collect(request, store)
    case 'STATUS':
      return status(request.config, store)
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
