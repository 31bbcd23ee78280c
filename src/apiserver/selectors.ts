/**
 * Label and field selectors of list and watch (Kubernetes API concepts, "Label selectors" and
 * "Field selectors"). Pure.
 *
 * Fields that may be selected are those of the real server for the built-in kinds; custom resources
 * have name and namespace.
 */
import { parseNodeSelector, selects } from '../lib/node-selector.ts'
import { badRequest, type Failure } from './failure.ts'
import { at, isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts'

export type Matches = (object: JsonObject) => boolean

const everything: Matches = () => true

export function labelSelector(text: string | null): Matches | Failure {
  if (text === null || text.trim() === '') return everything
  const parsed = parseNodeSelector(text)
  if ('problem' in parsed)
    return badRequest(`unable to parse the label selector ${JSON.stringify(text)}: ${parsed.problem}`)
  const { selector } = parsed
  // that is BGPPeer's own
  if (selector.kind === 'all') return badRequest('unable to parse the label selector "all()"')
  return object => selects(selector, textsOf(objectAt(object, 'metadata', 'labels')))
}

function textsOf(labels: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]))
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
