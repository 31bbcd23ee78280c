/**
 * The files that the current context of a kubeconfig names (certificates, keys, tokens): a copy of
 * the kubeconfig does not bring them along. Pure.
 */
import { parseYaml } from '../lib/yaml.ts'

export interface NamedFile {
  /** The key that names it, such as `certificate-authority`. */
  readonly key: string
  /** As written: relative to the kubeconfig, or absolute. */
  readonly path: string
}

/** Empty for what is no kubeconfig at all: `loadKubeconfig` says what is wrong with that. */
export function namedFiles(text: string): NamedFile[] {
  const document = read(() => parseYaml(text, 'it'))
  const context = find(document, 'contexts', textOf(document, 'current-context'), 'context')
  const cluster = find(document, 'clusters', textOf(context, 'cluster'), 'cluster')
  const user = find(document, 'users', textOf(context, 'user'), 'user')
  return [
    ...fileOf(cluster, 'certificate-authority'),
    ...fileOf(user, 'client-certificate'),
    ...fileOf(user, 'client-key'),
    ...fileOf(user, 'tokenFile'),
  ]
}

function fileOf(of: unknown, key: string): NamedFile[] {
  const path = textOf(of, key)
  return path === undefined || path === '' || textOf(of, `${key}-data`) !== undefined ? [] : [{ key, path }]
}

/** The entry called `name` of one of the lists, without its wrapping. */
function find(document: unknown, list: string, name: string | undefined, inner: string): unknown {
  const entries = field(document, list)
  if (!Array.isArray(entries)) return undefined
  return field(
    entries.find((entry: unknown) => textOf(entry, 'name') === name),
    inner,
  )
}

function textOf(value: unknown, key: string): string | undefined {
  const found = field(value, key)
  return typeof found === 'string' ? found : undefined
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}

function read(parse: () => unknown): unknown {
  try {
    return parse()
  } catch {
    return undefined
  }
}
