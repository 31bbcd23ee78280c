/**
 * The CNI plugin as a process: environment and stdin in, one JSON object on stdout and the exit status out (CNI 1.1.0 section 2). What
 * the operations do is in their own files; nothing heavy is loaded here, for a runtime waits for this on every start of a pod.
 */
import { writeSync } from 'node:fs'
import { errorCode, errorText } from '../lib/errors.ts'
import { add } from './add.ts'
import { decodeRequest, type Environment } from './decode.ts'
import { encodeFailure, encodeResult, encodeVersions } from './encode.ts'
import { failureOf } from './failures.ts'
import { addLoopback, checkLoopback, delLoopback, LOOPBACK_TYPE } from './loopback.ts'
import { check, collect, del, status } from './operations.ts'
import {
  CNI_ERROR,
  type CniVersion,
  COMMANDS,
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

/** The subcommand `cni`, and what runs when CNI_COMMAND is set. Takes no arguments. Returns the exit status. */
export async function cniCommand(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    console.error(
      'terway-edge cni takes no arguments: a container runtime calls it with CNI_COMMAND set and the configuration on stdin',
    )
    return 2
  }
  const { exitStatus, output } = await answerProcess(process.env)
  if (output !== undefined) writeAll(`${JSON.stringify(output)}\n`)
  return exitStatus
}

async function answerProcess(environment: Environment): Promise<Answer> {
  // Someone at a terminal, without a command, is told so and not kept waiting for input.
  if (!COMMANDS.some(command => command === environment.CNI_COMMAND)) return answer(environment, '')
  let stdin: string
  try {
    stdin = await Bun.stdin.text()
  } catch (error) {
    const unread = failure(CNI_ERROR.ioFailure, `cannot read the network configuration from stdin: ${errorText(error)}`)
    return { exitStatus: 1, output: encodeFailure(unread, NEWEST_VERSION) }
  }
  return answer(environment, stdin)
}

/** Decodes, does and encodes one request; whatever fails is in the answer. */
export function answer(environment: Environment, stdin: string): Answer {
  const { version, request } = decodeRequest(environment, stdin)
  const outcome = 'kind' in request ? request : perform(request)
  return encodeOutcome(outcome, version)
}

type Outcome = Result | Failure | { readonly versionsAskedWith: string } | undefined

function perform(request: Request): Outcome {
  if (request.command === 'VERSION') return { versionsAskedWith: request.cniVersion }
  try {
    return request.config.type === LOOPBACK_TYPE ? performLoopback(request) : performOwn(request)
  } catch (error) {
    return failureOf(error, `${request.command} failed`)
  }
}

type ConfiguredRequest = Exclude<Request, { command: 'VERSION' }>

function performOwn(request: ConfiguredRequest): Outcome {
  switch (request.command) {
    case 'ADD':
      return add(request)
    case 'CHECK':
      return check(request)
    case 'DEL':
      return del(request)
    case 'GC':
      return collect(request)
    case 'STATUS':
      return status(request.config)
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

/** Synchronous, so that the answer is out before the process ends; a runtime's pipe may be non-blocking. */
function writeAll(text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written)
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error
      Bun.sleepSync(1)
    }
  }
}
