/**
 * Structural schemas of CustomResourceDefinitions: defaults, pruning of unknown fields, and
 * validation. The keywords that the project's CRDs and common ones use; CEL rules
 * (`x-kubernetes-validations`) are not evaluated, as on Kubernetes before 1.25. Pure.
 */
import { canonicalAddress, familyOf, networkOf } from '../lib/ip.ts'
import type { FieldProblem } from './failure.ts'
import { equal, isList, isObject, type Json, type JsonObject, listAt, objectAt } from './json.ts'

/** The value with defaults filled in and fields the schema does not know removed. */
export function conform(value: Json, schema: Json | undefined): Json {
  if (!isObject(schema)) return value
  if (isList(value)) return value.map(item => conform(item, schema.items))
  if (!isObject(value)) return value
  const properties = objectAt(schema, 'properties')
  const rest = schema.additionalProperties
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true || rest === true
  const result: Record<string, Json> = {}
  for (const [key, child] of Object.entries(value)) {
    if (Object.hasOwn(properties, key)) {
      const nullable = objectAt(properties, key).nullable === true
      if (child !== null || nullable) result[key] = conform(child, properties[key])
    } else if (isObject(rest)) result[key] = conform(child, rest)
    else if (keepsUnknown) result[key] = child
  }
  for (const [key, property] of Object.entries(properties)) {
    const fallback = isObject(property) ? property.default : undefined
    if (!Object.hasOwn(result, key) && fallback !== undefined) result[key] = conform(fallback, property)
  }
  return result
}

/** The paths of fields that `conform` would remove: what `fieldValidation` warns of or refuses. */
export function unknownFields(value: Json, schema: Json | undefined, path = ''): readonly string[] {
  if (!isObject(schema)) return []
  if (isList(value)) return value.flatMap((item, index) => unknownFields(item, schema.items, `${path}[${index}]`))
  if (!isObject(value)) return []
  const properties = objectAt(schema, 'properties')
  const rest = schema.additionalProperties
  return Object.entries(value).flatMap(([key, child]) => {
    const itsPath = path === '' ? key : `${path}.${key}`
    if (Object.hasOwn(properties, key)) return unknownFields(child, properties[key], itsPath)
    if (isObject(rest)) return unknownFields(child, rest, itsPath)
    return schema['x-kubernetes-preserve-unknown-fields'] === true || rest === true ? [] : [itsPath]
  })
}

/** Everything in `value` that the schema forbids. */
export function validate(value: Json, schema: Json | undefined, path = ''): readonly FieldProblem[] {
  if (!isObject(schema)) return []
  const field = path === '' ? '<root>' : path
  const wrongType = typeProblem(value, schema)
  if (wrongType !== undefined) return [{ field, message: wrongType }]
  const own = [...ownProblems(value, schema), ...combinedProblems(value, schema)]
  const problems = own.map(message => ({ field, message }))
  if (isList(value)) return [...problems, ...listProblems(value, schema, field)]
  return isObject(value) ? [...problems, ...objectProblems(value, schema, path)] : problems
}

function ownProblems(value: Json, schema: JsonObject): string[] {
  return [...enumProblems(value, schema), ...numberProblems(value, schema), ...textProblems(value, schema)]
}

/** `not`, `anyOf`, `allOf`: in structural schemas they hold checks of the value and no types. */
function combinedProblems(value: Json, schema: JsonObject): string[] {
  const passes = (part: Json) => validate(value, part).length === 0
  const problems: string[] = []
  if (schema.not !== undefined && passes(schema.not))
    problems.push(invalidValue(value, 'must not validate the schema (not)'))
  const any = listAt(schema, 'anyOf')
  if (any.length > 0 && !any.some(passes)) {
    const formats = any.flatMap(part => (isObject(part) && typeof part.format === 'string' ? [part.format] : []))
    const wanted =
      formats.length > 0 ? `must be of type ${formats.join(' or ')}` : 'must validate one of the schemas (anyOf)'
    problems.push(invalidValue(value, wanted))
  }
  if (!listAt(schema, 'allOf').every(passes))
    problems.push(invalidValue(value, 'must validate all the schemas (allOf)'))
  return problems
}

function typeProblem(value: Json, schema: JsonObject): string | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return typeof value === 'string' || Number.isInteger(value)
      ? undefined
      : invalidValue(value, 'must be an integer or a string')
  }
  const actual = typeName(value)
  const wanted = schema.type
  if (wanted === undefined || actual === wanted || (wanted === 'number' && actual === 'integer')) return undefined
  if (value === null && schema.nullable === true) return undefined
  return `Invalid value: "${actual}": must be of type ${wanted}: "${actual}"`
}

function typeName(value: Json): string {
  if (value === null) return 'null'
  if (isList(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function invalidValue(value: Json, why: string): string {
  return `Invalid value: ${JSON.stringify(value)}: ${why}`
}

function enumProblems(value: Json, schema: JsonObject): string[] {
  const allowed = listAt(schema, 'enum')
  if (allowed.length === 0 || allowed.some(item => equal(item, value))) return []
  const list = allowed.map(item => JSON.stringify(item)).join(', ')
  return [`Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`]
}

function numberProblems(value: Json, schema: JsonObject): string[] {
  if (typeof value !== 'number') return []
  const { minimum, maximum } = schema
  const problems: string[] = []
  if (typeof minimum === 'number' && value < minimum)
    problems.push(invalidValue(value, `should be greater than or equal to ${minimum}`))
  if (typeof maximum === 'number' && value > maximum)
    problems.push(invalidValue(value, `should be less than or equal to ${maximum}`))
  return problems
}

function textProblems(value: Json, schema: JsonObject): string[] {
  if (typeof value !== 'string') return []
  const { minLength, maxLength, pattern } = schema
  const problems: string[] = []
  if (typeof minLength === 'number' && value.length < minLength)
    problems.push(invalidValue(value, `should be at least ${minLength} chars long`))
  if (typeof maxLength === 'number' && value.length > maxLength)
    problems.push(invalidValue(value, `may not be longer than ${maxLength}`))
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value))
    problems.push(invalidValue(value, `should match '${pattern}'`))
  const format = typeof schema.format === 'string' && Object.hasOwn(FORMATS, schema.format) ? schema.format : undefined
  if (format !== undefined && FORMATS[format]?.(value) === false)
    problems.push(invalidValue(value, `must be of type ${format}`))
  return problems
}

/**
 * Formats that are checked; others are remarks, as on the real server those that it does not know
 * are.
 */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  ipv4: text => isAddress(text, 'ipv4'),
  ipv6: text => isAddress(text, 'ipv6'),
  cidr: text => networkOf(text) !== undefined,
  'date-time': text => !Number.isNaN(Date.parse(text)),
}

function isAddress(text: string, family: 'ipv4' | 'ipv6'): boolean {
  const address = canonicalAddress(text)
  return address !== undefined && familyOf(address) === family
}

function listProblems(value: readonly Json[], schema: JsonObject, field: string): readonly FieldProblem[] {
  const { minItems, maxItems } = schema
  const problems: FieldProblem[] = []
  if (typeof minItems === 'number' && value.length < minItems)
    problems.push({ field, message: invalidValue(value.length, `should have at least ${minItems} items`) })
  if (typeof maxItems === 'number' && value.length > maxItems)
    problems.push({ field, message: `Too many: ${value.length}: must have at most ${maxItems} items` })
  if (
    schema['x-kubernetes-list-type'] === 'set' &&
    new Set(value.map(item => JSON.stringify(item))).size < value.length
  )
    problems.push({ field, message: 'Duplicate value' })
  return [...problems, ...value.flatMap((item, index) => validate(item, schema.items, `${field}[${index}]`))]
}

function objectProblems(value: JsonObject, schema: JsonObject, path: string): readonly FieldProblem[] {
  const inside = (key: string) => (path === '' ? key : `${path}.${key}`)
  const properties = objectAt(schema, 'properties')
  const missing = listAt(schema, 'required')
    .filter(key => typeof key === 'string')
    .filter(key => !Object.hasOwn(value, key))
    .map(key => ({ field: inside(key), message: 'Required value' }))
  const children = Object.entries(value).flatMap(([key, child]) => {
    const property = Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties
    return validate(child, property, inside(key))
  })
  return [...missing, ...children]
}
