/**
 * Kubeconfigs of the lab: one for its own API server, or one derived from that of a real cluster,
 * whose server is replaced by the relay inside the lab while the name that the server's certificate
 * is checked against stays.
 */

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UserError } from '../lib/errors.ts'
import { parseYaml } from '../lib/yaml.ts'

/** A kubeconfig (JSON is YAML) for a server without authentication. */
export function plainKubeconfig(server: string): string {
  return kubeconfig({ server }, {})
}

function kubeconfig(cluster: object, user: object): string {
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
    users: [{ name: 'lab', user }],
    'current-context': 'lab',
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

export interface RealCluster {
  /** Where the host reaches the API server. */
  readonly host: string
  readonly port: number
  /** The kubeconfig for use inside the lab, when the relay listens at `server`. */
  readonly inside: (address: string, port: number) => string
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads the current context of a kubeconfig. Throws a usage error that names the file when it
 * cannot be used.
 */
export function readRealCluster(file: string): RealCluster {
  const path = resolve(file)
  try {
    return decodeRealCluster(readFileSync(path, 'utf8'), dirname(path))
  } catch (cause) {
    throw new UserError(`cannot use the kubeconfig ${path}`, { exitStatus: 2, cause })
  }
}

/** `folder` is what relative paths in the text are relative to. */
export function decodeRealCluster(text: string, folder: string): RealCluster {
  const document = fields(parseYaml(text, 'it'), 'the file')
  const context = named(document, 'contexts', String(document['current-context'] ?? ''), 'context')
  const cluster = named(document, 'clusters', String(context.cluster ?? ''), 'cluster')
  const user = named(document, 'users', String(context.user ?? ''), 'user')
  const server = new URL(String(cluster.server ?? ''))
  if (cluster['proxy-url'] !== undefined)
    throw new Error('its cluster is reached through a proxy, which the lab cannot pass')
  const secure = server.protocol === 'https:'
  const host = server.hostname.replace(/^\[(.*)\]$/, '$1')
  const insideCluster = {
    ...absolute(cluster, ['certificate-authority'], folder),
    ...(secure ? { 'tls-server-name': cluster['tls-server-name'] ?? host } : {}),
  }
  const insideUser = absolute(user, ['client-certificate', 'client-key', 'tokenFile'], folder)
  return {
    host,
    port: server.port === '' ? (secure ? 443 : 80) : Number(server.port),
    inside: (address, port) =>
      kubeconfig(
        { ...insideCluster, server: `${server.protocol}//${address}:${port}${server.pathname.replace(/\/$/, '')}` },
        insideUser,
      ),
  }
}

function fields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is not an object`)
  return { ...value }
}

/** The `cluster` of the entry of `clusters` with that name, and likewise for contexts and users. */
function named(document: Fields, list: string, name: string, key: string): Fields {
  const entries: unknown = document[list]
  const found = (Array.isArray(entries) ? entries : [])
    .map(entry => fields(entry, list))
    .find(entry => entry.name === name)
  if (found === undefined) throw new Error(`it has no ${key} named ${JSON.stringify(name)}`)
  return fields(found[key] ?? {}, key)
}

function absolute(from: Fields, keys: readonly string[], folder: string): Fields {
  const changed = keys.flatMap(key =>
    typeof from[key] === 'string' ? [[key, resolve(folder, from[key])] as const] : [],
  )
  return { ...from, ...Object.fromEntries(changed) }
}
