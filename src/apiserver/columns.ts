/**
 * Columns and cells of kubectl's tables: those of the built-in kinds, and those that a
 * CustomResourceDefinition names by JSONPath. Pure.
 *
 * Of JSONPath only what printer columns use: fields, indexes, [*], and filters by equality.
 */
import { formatAge } from '../lib/table.ts'
import { at, isList, isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts'
import type { Column } from './resource.ts'

/** How long ago `since` (RFC 3339) was, as kubectl prints ages. */
export function age(since: string, now: number): string {
  return formatAge(now - Date.parse(since))
}

type Cell = (object: JsonObject, now: number) => Json

function column(name: string, cell: Cell, options: Partial<Pick<Column, 'priority' | 'type' | 'format'>> = {}): Column {
  return { name, type: 'string', priority: 0, description: '', cell, ...options }
}

const NAME_COLUMN = column('Name', object => textAt(object, 'metadata', 'name'), { format: 'name' })
const wide = { priority: 1 } as const

const AGE_COLUMN = column('Age', (object, now) => age(textAt(object, 'metadata', 'creationTimestamp'), now))

export const DEFAULT_COLUMNS: readonly Column[] = [NAME_COLUMN, AGE_COLUMN]

function nodeStatus(node: JsonObject): string {
  const ready = listAt(node, 'status', 'conditions').find(condition => at(condition, 'type') === 'Ready')
  const words = [ready === undefined ? 'Unknown' : at(ready, 'status') === 'True' ? 'Ready' : 'NotReady']
  if (at(node, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled')
  return words.join(',')
}

function nodeRoles(node: JsonObject): string {
  const prefix = 'node-role.kubernetes.io/'
  const roles = Object.keys(objectAt(node, 'metadata', 'labels')).filter(label => label.startsWith(prefix))
  return roles.length === 0 ? '<none>' : roles.map(label => label.slice(prefix.length)).join(',')
}

function nodeAddress(type: string): Cell {
  return node => {
    const found = listAt(node, 'status', 'addresses').find(address => at(address, 'type') === type)
    return textAt(found, 'address') || '<none>'
  }
}

function nodeInfo(field: string): Cell {
  return node => textAt(node, 'status', 'nodeInfo', field) || '<unknown>'
}

export const NODE_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Status', nodeStatus),
  column('Roles', nodeRoles),
  AGE_COLUMN,
  column('Version', node => textAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
  column('Internal-IP', nodeAddress('InternalIP'), wide),
  column('External-IP', nodeAddress('ExternalIP'), wide),
  column('OS-Image', nodeInfo('osImage'), wide),
  column('Kernel-Version', nodeInfo('kernelVersion'), wide),
  column('Container-Runtime', nodeInfo('containerRuntimeVersion'), wide),
]

export const SECRET_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Type', secret => textAt(secret, 'type')),
  column('Data', secret => Object.keys(objectAt(secret, 'data')).length, { type: 'integer' }),
  AGE_COLUMN,
]

export const CONFIG_MAP_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Data', map => Object.keys(objectAt(map, 'data')).length, { type: 'integer' }),
  AGE_COLUMN,
]

export const NAMESPACE_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Status', namespace => textAt(namespace, 'status', 'phase')),
  AGE_COLUMN,
]

export const LEASE_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Holder', lease => textAt(lease, 'spec', 'holderIdentity')),
  AGE_COLUMN,
]

export const CRD_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  column('Created At', crd => textAt(crd, 'metadata', 'creationTimestamp'), { type: 'date' }),
]

function lastSeen(event: JsonObject, now: number): string {
  const time =
    textAt(event, 'series', 'lastObservedTime') ||
    textAt(event, 'lastTimestamp') ||
    textAt(event, 'eventTime') ||
    textAt(event, 'metadata', 'creationTimestamp')
  return age(time, now)
}

function eventObject(event: JsonObject): string {
  return `${textAt(event, 'involvedObject', 'kind').toLowerCase()}/${textAt(event, 'involvedObject', 'name')}`
}

export const EVENT_COLUMNS: readonly Column[] = [
  column('Last Seen', lastSeen),
  column('Type', event => textAt(event, 'type')),
  column('Reason', event => textAt(event, 'reason')),
  column('Object', eventObject),
  column('Subobject', event => textAt(event, 'involvedObject', 'fieldPath'), wide),
  column('Source', event => textAt(event, 'source', 'component') || textAt(event, 'reportingComponent'), wide),
  column('Message', event => textAt(event, 'message').trim()),
  column('First Seen', (event, now) => age(textAt(event, 'firstTimestamp') || textAt(event, 'eventTime'), now), wide),
  column('Count', event => at(event, 'count') ?? 1, { ...wide, type: 'integer' }),
  column('Name', event => textAt(event, 'metadata', 'name'), { ...wide, format: 'name' }),
]

const COLUMN_TYPES = ['string', 'integer', 'number', 'boolean', 'date'] as const

/** The columns of `additionalPrinterColumns`, after the name; an age where none are named. */
export function printerColumns(columns: readonly Json[]): readonly Column[] {
  if (columns.length === 0) return DEFAULT_COLUMNS
  return [NAME_COLUMN, ...columns.filter(isObject).map(printerColumn)]
}

function printerColumn(entry: JsonObject): Column {
  const type = COLUMN_TYPES.find(name => name === entry.type) ?? 'string'
  const path = textAt(entry, 'jsonPath')
  const priority = typeof entry.priority === 'number' ? entry.priority : 0
  const description = textAt(entry, 'description')
  return {
    name: textAt(entry, 'name'),
    type,
    priority,
    description,
    ...(typeof entry.format === 'string' ? { format: entry.format } : {}),
    cell: (object, now) => printerCell(jsonPath(object, path), type, now),
  }
}

function printerCell(found: readonly Json[], type: Column['type'], now: number): Json {
  const [value] = found
  if (value === undefined) return null
  if (type === 'date') return typeof value === 'string' ? age(value, now) : null
  if (type === 'string') return typeof value === 'string' ? value : JSON.stringify(value)
  return value
}

/**
 * The values at a simple JSONPath: `.spec.x`, `.status.conditions[?(@.type=="Ready")].status`,
 * `.spec.list[0]`, `[*]`.
 */
export function jsonPath(object: Json, path: string): readonly Json[] {
  const steps = path.matchAll(
    /\.([\w-]+)|\['([^']+)'\]|\[(\d+)\]|\[(\*)\]|\[\?\(@\.([\w.]+)\s*==\s*["']([^"']*)["']\)\]/g,
  )
  let found: readonly Json[] = [object]
  for (const [, dotted, quoted, index, star, filterPath, filterValue] of steps) {
    found = found.flatMap(value => {
      const key = dotted ?? quoted
      if (key !== undefined) return isObject(value) ? present(value[key]) : []
      if (!isList(value)) return []
      if (index !== undefined) return present(value[Number(index)])
      if (star !== undefined) return value
      return value.filter(item => at(item, ...(filterPath ?? '').split('.')) === filterValue)
    })
  }
  return found
}

function present(value: Json | undefined): readonly Json[] {
  return value === undefined || value === null ? [] : [value]
}
