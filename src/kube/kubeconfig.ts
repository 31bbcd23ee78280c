/**
 * Where the API server is and how to prove who we are: a kubeconfig file, or the service account of
 * the pod. @kubernetes/client-node parses the file and runs the authenticators (client
 * certificates, exec plugins, OIDC); what it lacks is added here: `tokenFile`, plain http servers,
 * and re-reading what rotates (bound tokens, certificates, the file itself).
 *
 * Does not read $KUBECONFIG: a daemon takes the file it is told to take. Problems are `UserError`s
 * of one line, exit status 2.
 */

import { readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { type Cluster, KubeConfig, type User } from '@kubernetes/client-node'
import { errorCode, errorText, UserError } from '../lib/errors.ts'
import { parseYaml } from '../lib/yaml.ts'
import { kubeconfigShapeProblem } from './kubeconfig-shape.ts'
import { replaces } from './token.ts'

/** What a request must carry. Asked for anew for each one: tokens and certificates rotate. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>
  readonly tls?: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly serverName?: string
    readonly rejectUnauthorized: boolean
  }
  readonly proxy?: string
}

export interface Kubeconfig {
  /** Base URL of the API server, without a slash at its end. */
  readonly server: string
  /** Where this comes from, for messages: a path, or `the service account of this pod`. */
  readonly origin: string
  /** Re-reads what changed on disk. Throws when an authenticator fails. */
  credentials(): Promise<Credentials>
  /** Forgets cached credentials: after a 401. */
  refresh(): void
}

const TOKEN_FILE_PROVIDER = 'terway-edge-token-file'

/**
 * Reads `file`, or without one the pod's service account. Throws `UserError` (status 2) when that
 * cannot work. `renewed`: where a younger token of the same account may be (`token-renewal.ts`).
 */
export function loadKubeconfig(file: string | undefined, renewed?: string): Kubeconfig {
  return file === undefined
    ? new LoadedConfig('the service account of this pod', loadInCluster)
    : fromFile(file, renewed)
}

function fromFile(file: string, renewed: string | undefined): Kubeconfig {
  const path = resolve(file)
  return new LoadedConfig(path, () => loadFile(path), { file: path, ...(renewed !== undefined && { renewed }) })
}

/** One loaded configuration; loads again when its file has changed and the new one is good. */
class LoadedConfig implements Kubeconfig {
  readonly origin: string
  readonly #load: () => KubeConfig
  readonly #file: string | undefined
  readonly #renewed: (() => string) | undefined
  #config: KubeConfig
  #stamp: string

  constructor(origin: string, load: () => KubeConfig, { file, renewed }: { file?: string; renewed?: string } = {}) {
    this.origin = origin
    this.#load = load
    this.#file = file
    this.#renewed = renewed === undefined ? undefined : tokenOfFile(renewed)
    this.#config = load()
    this.#stamp = this.#stampNow()
  }
  get server(): string {
    return this.#config.getCurrentCluster()?.server ?? ''
  }
  async credentials(): Promise<Credentials> {
    const stamp = this.#stampNow()
    if (stamp !== this.#stamp) {
      this.#stamp = stamp
      this.refresh()
    }
    return this.#withRenewed(await credentialsOf(this.#config))
  }
  #withRenewed(credentials: Credentials): Credentials {
    const token = this.#renewed?.() ?? ''
    const original = /^Bearer (.+)$/.exec(credentials.headers.Authorization ?? '')?.[1]
    if (original === undefined || !replaces(token, original)) return credentials
    return { ...credentials, headers: { ...credentials.headers, Authorization: `Bearer ${token}` } }
  }
  refresh(): void {
    try {
      this.#config = this.#load()
    } catch {
      // half written or gone for a moment: what we have may still work, and if not the request says
      // so
    }
  }
  #stampNow(): string {
    if (this.#file === undefined) return ''
    try {
      const { mtimeMs, size, ino } = statSync(this.#file)
      return `${mtimeMs} ${size} ${ino}`
    } catch {
      return this.#stamp
    }
  }
}

async function credentialsOf(config: KubeConfig): Promise<Credentials> {
  const options: {
    headers: Record<string, string>
    auth?: string
    ca?: unknown
    cert?: unknown
    key?: unknown
    servername?: string
    rejectUnauthorized?: boolean
  } = { headers: {} }
  // Not its own agent: Bun's fetch takes neither agents nor dispatchers, but needs what they would
  // be made of.
  try {
    await config.applyToHTTPSOptions(options as Parameters<KubeConfig['applyToHTTPSOptions']>[0])
  } catch (cause) {
    const command: unknown = config.getCurrentUser()?.exec?.command
    const what = typeof command === 'string' ? `the program ${command} gives no credentials` : 'no credentials'
    throw new Error(what, { cause })
  }
  if (options.auth !== undefined) {
    options.headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`
  }
  const cluster = config.getCurrentCluster()
  const proxy = cluster?.proxyUrl
  const secure = cluster?.server.startsWith('https:') === true
  return {
    headers: options.headers,
    ...(proxy ? { proxy } : {}),
    ...(secure
      ? {
          tls: {
            rejectUnauthorized: options.rejectUnauthorized ?? true,
            ...(options.ca ? { ca: String(options.ca) } : {}),
            ...(options.cert ? { cert: String(options.cert) } : {}),
            ...(options.key ? { key: String(options.key) } : {}),
            ...(options.servername ? { serverName: options.servername } : {}),
          },
        }
      : {}),
  }
}

/** A `KubeConfig` that also knows token files. */
function emptyConfig(): KubeConfig {
  const config = new KubeConfig()
  const read = tokenFileReader()
  config.addAuthenticator({
    isAuthProvider: (user: User) => user.authProvider?.name === TOKEN_FILE_PROVIDER,
    applyAuthentication: async (user: User, options) => {
      const token = read(String(user.authProvider.config.path))
      options.headers = { ...options.headers, Authorization: `Bearer ${token}` }
    },
  })
  return config
}

/**
 * Reads a token whenever its file has changed. A projected token is a symbolic link that is
 * swapped: stat follows it.
 */
function tokenFileReader(): (path: string) => string {
  let stamp = ''
  let token = ''
  return path => {
    const { mtimeMs, size, ino } = statSync(path)
    const now = `${path} ${mtimeMs} ${size} ${ino}`
    if (now !== stamp) {
      token = readFileSync(path, 'utf8').trim()
      stamp = now
    }
    return token
  }
}

/** The token that may be in a file; empty when it is not there or cannot be read. */
function tokenOfFile(path: string): () => string {
  const read = tokenFileReader()
  return () => {
    try {
      return read(path)
    } catch {
      return ''
    }
  }
}

function loadInCluster(): KubeConfig {
  const config = emptyConfig()
  config.loadFromCluster()
  const cluster = config.getCurrentCluster()
  const tokenFile = config.getCurrentUser()?.authProvider?.config?.tokenFile
  const complete = cluster !== null && !cluster.server.includes('undefined') && typeof tokenFile === 'string'
  if (!complete || !isFile(tokenFile)) {
    throw new UserError(
      'no API server: this is not a pod with a service account; name a kubeconfig with --kubeconfig FILE',
      {
        exitStatus: 2,
      },
    )
  }
  config.users = [withTokenFile({ name: 'inClusterUser' }, tokenFile)]
  checkFiles('the service account of this pod', config)
  return config
}

function loadFile(path: string): KubeConfig {
  const fail = (what: string, cause?: unknown): never => {
    throw new UserError(`kubeconfig ${path}: ${what}${cause === undefined ? '' : `: ${oneLine(errorText(cause))}`}`, {
      exitStatus: 2,
    })
  }
  const document = kubeconfigDocument(path, readText(path, fail), fail)
  const malformed = kubeconfigShapeProblem(document)
  if (malformed !== undefined) fail(`it is malformed: ${malformed}`)
  const config = emptyConfig()
  try {
    config.loadFromString(JSON.stringify(document))
  } catch (error) {
    fail('it is not complete', error)
  }
  config.makePathsAbsolute(dirname(path))
  const name = config.getCurrentContext()
  if (!name) fail('it has no current-context; set one with kubectl config use-context')
  const context =
    config.getContextObject(name) ?? fail(`its current-context ${JSON.stringify(name)} is not among its contexts`)
  const cluster: Cluster =
    config.getCluster(context.cluster) ??
    fail(`context ${name} names the cluster ${JSON.stringify(context.cluster)}, which it does not have`)
  if (context.user && config.getUser(context.user) === null) {
    fail(`context ${name} names the user ${JSON.stringify(context.user)}, which it does not have`)
  }
  checkServer(cluster, fail)
  // client-node gives up the CA of a cluster without a user, and plain http servers without
  // skipTLSVerify
  if (!context.user) {
    config.contexts = config.contexts.map(other => (other === context ? { ...other, user: ANONYMOUS } : other))
    config.users = [...config.users, { name: ANONYMOUS }]
  }
  if (cluster.server.startsWith('http:')) {
    config.clusters = config.clusters.map(other => (other === cluster ? { ...other, skipTLSVerify: true } : other))
  }
  config.users = config.users.map(user => tokenFileUser(user, document, dirname(path)))
  checkFiles(`kubeconfig ${path}`, config)
  return config
}

const ANONYMOUS = 'terway-edge-anonymous'
type Fail = (what: string, cause?: unknown) => never

function readText(path: string, fail: Fail): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return fail(
      errorCode(error) === 'ENOENT' ? 'there is no such file' : 'cannot be read',
      errorCode(error) === 'ENOENT' ? undefined : error,
    )
  }
}

function kubeconfigDocument(path: string, text: string, fail: Fail): Record<string, unknown> {
  let document: unknown
  try {
    document = parseYaml(text, 'it')
  } catch (error) {
    fail(errorText(error))
  }
  if (!isRecord(document) || (document.kind !== undefined && document.kind !== 'Config')) {
    return fail(
      `it is not a kubeconfig (expected kind: Config${isRecord(document) ? `, found ${String(document.kind)}` : ''}); is ${path} the right file?`,
    )
  }
  return document
}

function checkServer(cluster: Cluster, fail: Fail): void {
  const url = URL.canParse(cluster.server) ? new URL(cluster.server) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    fail(`the server of cluster ${cluster.name}, ${JSON.stringify(cluster.server)}, is not an http(s) URL`)
  }
  if (cluster.proxyUrl && !/^https?:/.test(cluster.proxyUrl)) {
    fail(`the proxy-url of cluster ${cluster.name} is not an http(s) URL; SOCKS proxies are not supported`)
  }
}

/**
 * A user with the `tokenFile` that the document gives it. A token file wins over a token, as in
 * client-go.
 */
function tokenFileUser(user: User, document: Record<string, unknown>, folder: string): User {
  const users: readonly unknown[] = Array.isArray(document.users) ? document.users : []
  const entry = users.find(other => isRecord(other) && other.name === user.name)
  const tokenFile = isRecord(entry) && isRecord(entry.user) ? entry.user.tokenFile : undefined
  if (typeof tokenFile !== 'string' || tokenFile === '') return user
  return withTokenFile(user, isAbsolute(tokenFile) ? tokenFile : resolve(folder, tokenFile))
}

function withTokenFile(user: User, path: string): User {
  const { token: _, ...rest } = user
  return { ...rest, authProvider: { name: TOKEN_FILE_PROVIDER, config: { path } } }
}

/**
 * Every file that the current context needs must be there: a later request would only say that it
 * failed.
 */
function checkFiles(origin: string, config: KubeConfig): void {
  const cluster = config.getCurrentCluster()
  const user = config.getCurrentUser()
  const needed: [string, unknown][] = [
    ['certificate-authority', cluster?.caData ? undefined : cluster?.caFile],
    ['client-certificate', user?.certData ? undefined : user?.certFile],
    ['client-key', user?.keyData ? undefined : user?.keyFile],
    ['tokenFile', user?.authProvider?.name === TOKEN_FILE_PROVIDER ? user.authProvider.config.path : undefined],
  ]
  for (const [what, path] of needed) {
    if (typeof path !== 'string') continue
    try {
      readFileSync(path)
    } catch (error) {
      const why = errorCode(error) === 'ENOENT' ? 'there is no such file' : oneLine(errorText(error))
      throw new UserError(`${origin}: its ${what} ${path} cannot be read: ${why}`, { exitStatus: 2 })
    }
  }
  for (const [what, text] of [
    ['certificate-authority-data', cluster?.caData],
    ['client-certificate-data', user?.certData],
    ['client-key-data', user?.keyData],
  ] as const) {
    if (text && !Buffer.from(text, 'base64').toString('latin1').includes('-----BEGIN ')) {
      throw new UserError(`${origin}: its ${what} is not the base64 of a PEM file`, { exitStatus: 2 })
    }
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
