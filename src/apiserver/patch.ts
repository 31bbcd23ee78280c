/**
 * The patch formats that are not server-side apply: JSON merge patch (RFC 7396), JSON patch (RFC
 * 6902) and Kubernetes' strategic merge patch, the latter as far as the lab's kinds need it: lists
 * of conditions, addresses, taints and owner references merge by key, all other lists are replaced.
 * Pure.
 */
import { badRequest, type Failure, fail, isFailure } from './failure.ts'
import { equal, isList, isObject, type Json, type JsonObject } from './json.ts'

/** RFC 7396 section 2. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch
  const result: Record<string, Json> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}

/** The key by which a list of that field's name merges. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  conditions: 'type',
  addresses: 'type',
  taints: 'key',
  ownerReferences: 'uid',
}

/**
 * Strategic merge. Of the directives `$patch: delete|replace` and `$deleteFromPrimitiveList` work;
 * orders and `$retainKeys` are ignored.
 */
export function strategicMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch
  if (patch.$patch === 'replace') return dropDirectives(patch)
  const result: Record<string, Json> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice(key.indexOf('/') + 1)
      const items = result[field]
      if (isList(items) && isList(value)) result[field] = items.filter(item => !value.some(gone => equal(gone, item)))
    } else if (key.startsWith('$')) {
      // an order or a union discriminator: of no consequence here
    } else if (value === null) delete result[key]
    else if (isList(value)) result[key] = mergeList(result[key], value, MERGE_KEYS[key])
    else result[key] = strategicMergePatch(result[key], value)
  }
  return result
}

function dropDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith('$')))
}

function mergeList(target: Json | undefined, patch: readonly Json[], key: string | undefined): Json {
  if (key === undefined) return patch
  let items: Json[] = isList(target) ? [...target] : []
  for (const item of patch) {
    if (!isObject(item)) continue
    const matches = (other: Json) => isObject(other) && equal(other[key], item[key])
    if (item.$patch === 'delete') items = items.filter(other => !matches(other))
    else if (items.some(matches))
      items = items.map(other => (matches(other) ? strategicMergePatch(other, item) : other))
    else items.push(dropDirectives(item))
  }
  return items
}

/** RFC 6902. Refused (422) when an operation cannot be applied. */
export function jsonPatch(target: Json, patch: Json): Json | Failure {
  if (!isList(patch)) return badRequest('a JSON patch is a list of operations')
  let document: Json = target
  for (const operation of patch) {
    if (!isObject(operation)) return badRequest('a JSON patch operation is an object')
    const next = applyOperation(document, operation)
    if (isFailure(next)) return next
    document = next
  }
  return document
}

function applyOperation(document: Json, operation: JsonObject): Json | Failure {
  const path = pointer(operation.path)
  if (path === undefined) return badRequest(`not a JSON pointer: ${JSON.stringify(operation.path ?? null)}`)
  const value = operation.value ?? null
  switch (operation.op) {
    case 'add':
      return change(document, path, 'add', value)
    case 'replace':
      return change(document, path, 'replace', value)
    case 'remove':
      return change(document, path, 'remove', null)
    case 'test':
      return equal(find(document, path), value) ? document : unprocessable(`testing value ${operation.path} failed`)
    case 'copy':
    case 'move': {
      const from = pointer(operation.from)
      const moved = from && find(document, from)
      if (from === undefined || moved === undefined) return unprocessable(`nothing at ${operation.from}`)
      const base = operation.op === 'move' ? change(document, from, 'remove', null) : document
      return isFailure(base) ? base : change(base, path, 'add', moved)
    }
    default:
      return badRequest(`unknown JSON patch operation ${JSON.stringify(operation.op ?? null)}`)
  }
}

function unprocessable(message: string): Failure {
  return fail(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`)
}

/** RFC 6901. */
function pointer(text: Json | undefined): readonly string[] | undefined {
  if (text === '') return []
  if (typeof text !== 'string' || !text.startsWith('/')) return undefined
  return text
    .slice(1)
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function find(document: Json | undefined, path: readonly string[]): Json | undefined {
  let current = document
  for (const key of path) {
    if (isList(current)) current = current[Number(key)]
    else if (isObject(current)) current = Object.hasOwn(current, key) ? current[key] : undefined
    else return undefined
  }
  return current
}

type Change = 'add' | 'replace' | 'remove'

function change(document: Json, path: readonly string[], how: Change, value: Json): Json | Failure {
  const [key, ...rest] = path
  if (key === undefined) return how === 'remove' ? null : value
  if (isList(document)) return changeList(document, [key, ...rest], how, value)
  if (!isObject(document)) return unprocessable(`nothing at ${key}`)
  if (rest.length === 0) {
    if (how !== 'add' && !Object.hasOwn(document, key)) return unprocessable(`nothing at ${key}`)
    const { [key]: _old, ...others } = document
    return how === 'remove' ? others : { ...document, [key]: value }
  }
  const child = document[key]
  if (child === undefined) return unprocessable(`nothing at ${key}`)
  const next = change(child, rest, how, value)
  return isFailure(next) ? next : { ...document, [key]: next }
}

function changeList(
  list: readonly Json[],
  [key = '', ...rest]: readonly string[],
  how: Change,
  value: Json,
): Json | Failure {
  const index = key === '-' ? list.length : Number(key)
  const inside = Number.isInteger(index) && index >= 0 && index < list.length
  if (rest.length > 0) {
    const child = list[index]
    if (!inside || child === undefined) return unprocessable(`no item ${key}`)
    const next = change(child, rest, how, value)
    return isFailure(next) ? next : list.with(index, next)
  }
  if (how === 'add' && Number.isInteger(index) && index >= 0 && index <= list.length)
    return list.toSpliced(index, 0, value)
  if (!inside) return unprocessable(`no item ${key}`)
  return how === 'remove' ? list.toSpliced(index, 1) : list.with(index, value)
}
