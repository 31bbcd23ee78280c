/** Label and field selectors of list and watch (Kubernetes API concepts, "Label selectors" and "Field selectors"). Pure. */
import { badRequest, type Failure, isFailure } from './failure.ts'
import { at, isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts'

export type Matches = (object: JsonObject) => boolean

const everything: Matches = () => true

/** Splits at commas that are not inside parentheses. */
function splitRequirements(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map(part => part.trim())
    .filter(part => part !== '')
}

export function labelSelector(text: string | null): Matches | Failure {
  if (text === null || text.trim() === '') return everything
  const tests: Matches[] = []
  for (const part of splitRequirements(text)) {
    const test = labelRequirement(part)
    if (isFailure(test)) return test
    tests.push(test)
  }
  return object => tests.every(test => test(object))
}

const KEY = '[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?'
const SET_REQUIREMENT = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^)]*)\\)$`)
const EQUALITY_REQUIREMENT = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*([A-Za-z0-9._-]*)$`)
const EXISTENCE_REQUIREMENT = new RegExp(`^(!?)\\s*(${KEY})$`)

function labelRequirement(part: string): Matches | Failure {
  const set = SET_REQUIREMENT.exec(part)
  if (set !== null) {
    const [, key = '', operator, list = ''] = set
    const values = list.split(',').map(value => value.trim())
    const within = (object: JsonObject) => values.includes(textAt(object, 'metadata', 'labels', key))
    const has = (object: JsonObject) => Object.hasOwn(objectAt(object, 'metadata', 'labels'), key)
    return operator === 'in' ? object => has(object) && within(object) : object => !has(object) || !within(object)
  }
  const equality = EQUALITY_REQUIREMENT.exec(part)
  if (equality !== null) {
    const [, key = '', operator, value = ''] = equality
    const label = (object: JsonObject) => at(object, 'metadata', 'labels', key)
    return operator === '!=' ? object => label(object) !== value : object => label(object) === value
  }
  const existence = EXISTENCE_REQUIREMENT.exec(part)
  if (existence === null) return badRequest(`unable to parse requirement: ${JSON.stringify(part)}`)
  const [, not, key = ''] = existence
  return object => Object.hasOwn(objectAt(object, 'metadata', 'labels'), key) !== (not === '!')
}

/** Fields that may be selected besides `metadata.name` and `metadata.namespace`, by kind. */
const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  Event: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  Node: ['spec.unschedulable'],
  Pod: ['spec.nodeName', 'status.phase'],
  Secret: ['type'],
  Namespace: ['status.phase'],
}

/** The selector of a `fieldSelector`, or a refusal when a field of `kind` cannot be selected. */
export function fieldSelector(kind: string, text: string | null): Matches | Failure {
  if (text === null || text.trim() === '') return everything
  const tests: Matches[] = []
  for (const part of text.split(',')) {
    const [, field = '', operator, value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(part.trim()) ?? []
    const known = ['metadata.name', 'metadata.namespace', ...(SELECTABLE[kind] ?? [])]
    if (!known.includes(field)) return badRequest(`field label not supported: ${field || part}`)
    const path = field.split('.')
    tests.push(object => (fieldText(at(object, ...path)) === value) !== (operator === '!='))
  }
  return object => tests.every(test => test(object))
}

function fieldText(value: Json | undefined): string {
  if (isObject(value)) return textAt(value, 'component') // Event.source
  return typeof value === 'boolean' || typeof value === 'number'
    ? String(value)
    : textAt({ value: value ?? '' }, 'value')
}
