/**
 * Refusals of the lab's API server as values: metav1.Status with its HTTP code, reason and causes
 * (Kubernetes API conventions, "Response Status Kind"), in the words that kubectl's users know.
 * Never thrown. Pure.
 */
import { isObject, type Json, type JsonObject } from './json.ts'

export interface Failure {
  readonly failure: true
  readonly code: number
  readonly reason: string
  readonly message: string
  readonly details?: JsonObject
}

export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'failure' in value && value.failure === true
}

export function fail(code: number, reason: string, message: string, details?: JsonObject): Failure {
  return { failure: true, code, reason, message, ...(details === undefined ? {} : { details }) }
}

interface Named {
  readonly group: string
  readonly plural: string
}

function qualified({ group, plural }: Named): string {
  return group === '' ? plural : `${plural}.${group}`
}

function details({ group, plural }: Named, name: string): JsonObject {
  return { name, group, kind: plural }
}

export function notFound(resource: Named, name: string): Failure {
  return fail(404, 'NotFound', `${qualified(resource)} "${name}" not found`, details(resource, name))
}

export function alreadyExists(resource: Named, name: string): Failure {
  return fail(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, details(resource, name))
}

export function conflict(resource: Named, name: string, why: string): Failure {
  return fail(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`,
    details(resource, name),
  )
}

export interface FieldProblem {
  readonly field: string
  readonly message: string
}

/** 422 with one cause per field. */
export function invalid(
  resource: { readonly group: string; readonly kind: string },
  name: string,
  problems: readonly FieldProblem[],
): Failure {
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`
  const texts = problems.map(({ field, message }) => `${field}: ${message}`)
  const text = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  return fail(422, 'Invalid', `${kind} "${name}" is invalid: ${text}`, {
    name,
    group: resource.group,
    kind: resource.kind,
    causes: problems.map(({ field, message }) => ({ reason: 'FieldValueInvalid', field, message })),
  })
}

export function badRequest(message: string): Failure {
  return fail(400, 'BadRequest', message)
}

/** The list or watch asks for a resourceVersion that is no longer kept. */
export function expired(): Failure {
  return fail(410, 'Expired', 'too old resource version: it is no longer kept; list again')
}

/** The metav1.Status of a refusal. */
export function statusOf(failure: Failure): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: failure.message,
    reason: failure.reason,
    ...(failure.details === undefined ? {} : { details: failure.details }),
    code: failure.code,
  }
}

/** An object, or the refusal of anything else. */
export function requireObject(value: Json | undefined, what: string): JsonObject | Failure {
  return isObject(value) ? value : badRequest(`${what} must be a JSON object`)
}
