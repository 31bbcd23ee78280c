/**
 * What an HTTP request asks of the API server: its path, query and headers taken apart (Kubernetes
 * API concepts). Pure.
 *
 * Does not know which resources there are.
 */

export interface Target {
  readonly group: string
  readonly version: string
  readonly plural: string
  /** Empty: all namespaces, or a resource without. */
  readonly namespace: string
  /** Empty: the collection. */
  readonly name: string
  readonly subresource: string
}

/** The resource that a path names, or undefined when it names none. */
export function decodePath(path: string): Target | undefined {
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent)
  const [root, ...afterRoot] = parts
  if (root !== 'api' && root !== 'apis') return undefined
  const group = root === 'api' ? '' : (afterRoot[0] ?? '')
  const [version, ...rest] = root === 'api' ? afterRoot : afterRoot.slice(1)
  if (version === undefined || rest.length === 0) return undefined
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize'
  const namespace = inNamespace ? (rest[1] ?? '') : ''
  const [plural = '', name = '', subresource = '', ...more] = inNamespace ? rest.slice(2) : rest
  return more.length > 0 ? undefined : { group, version, plural, namespace, name, subresource }
}

/** How the answer is to look. */
export type Rendering = 'object' | 'table' | 'metadata'

/**
 * The first rendering of an Accept header that this server has; undefined when it has none of them.
 */
export function decodeAccept(header: string | null): Rendering | undefined {
  if (header === null || header.trim() === '') return 'object'
  for (const range of header.split(',')) {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim())
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue
    const as = parameters.find(parameter => parameter.startsWith('as='))?.slice(3)
    if (as === undefined) return 'object'
    if (as === 'Table') return 'table'
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata'
  }
  return undefined
}

/** The patch formats, by media type. */
export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

export function decodePatchType(header: string | null): PatchType | undefined {
  switch (header?.split(';')[0]?.trim()) {
    case 'application/json-patch+json':
      return 'json'
    case 'application/merge-patch+json':
      return 'merge'
    case 'application/strategic-merge-patch+json':
      return 'strategic'
    case 'application/apply-patch+yaml':
    case 'application/apply-patch+json':
      return 'apply'
    default:
      return undefined
  }
}

/** The field manager of a write: named in the query, else the program of the User-Agent. */
export function fieldManager(query: URLSearchParams, userAgent: string | null): string {
  return query.get('fieldManager') || (userAgent ?? '').split('/')[0] || 'unknown'
}

/** Where a paged list goes on. */
export interface ContinueToken {
  readonly revision: number
  /** The key of the last object that was given. */
  readonly after: string
}

export function encodeContinue(token: ContinueToken): string {
  return btoa(JSON.stringify([token.revision, token.after]))
}

export function decodeContinue(text: string): ContinueToken | undefined {
  try {
    const value: unknown = JSON.parse(atob(text))
    if (!Array.isArray(value)) return undefined
    const [revision, after]: readonly unknown[] = value
    return typeof revision === 'number' && typeof after === 'string' ? { revision, after } : undefined
  } catch {
    return undefined
  }
}
