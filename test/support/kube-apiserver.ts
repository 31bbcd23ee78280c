/**
 * A real etcd and kube-apiserver from KUBEBUILDER_ASSETS for the tests of one file: RBAC on, token
 * users, state in a folder of its own under /tmp. It can be stopped and started again on the same
 * port with the same data, to see what clients make of that.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mendedApiServer } from './mend-kube-apiserver.ts'
import { type CommandResult, run } from './namespaces.ts'

export interface ApiServerOptions {
  /** A network namespace (as `ip netns` names it) to run in; default: this one. */
  readonly namespace?: string
  /** The address to listen on and to be reached at; default 127.0.0.1. */
  readonly address?: string
  readonly port?: number
  /** Whether to install config/crd-*.yaml (default true). */
  readonly crds?: boolean
  /**
   * Whether pods are given the token of their ServiceAccount (default false: pods need no such
   * account).
   */
  readonly serviceAccounts?: boolean
}

export class TestApiServer {
  readonly folder: string
  readonly url: string
  /** The path of a kubeconfig of a cluster administrator. */
  readonly kubeconfig: string
  readonly #options: ApiServerOptions
  readonly #etcdPort: number
  readonly #etcdPeerPort: number
  readonly #processes: { etcd?: Bun.Subprocess; apiserver?: Bun.Subprocess } = {}
  readonly #users = new Map<string, { token: string; groups: string }>()

  /** Starts both and waits until the API server is ready. */
  static async start(options: ApiServerOptions = {}): Promise<TestApiServer> {
    const [etcdPort, etcdPeerPort, port] = await freePorts(3)
    const server = new TestApiServer(options, { etcdPort, etcdPeerPort, port: options.port ?? port })
    try {
      await server.#startAll()
      if (options.crds !== false) server.installCrds()
      return server
    } catch (error) {
      await server.close()
      throw error
    }
  }

  private constructor(options: ApiServerOptions, ports: { etcdPort: number; etcdPeerPort: number; port: number }) {
    this.#options = options
    this.#etcdPort = ports.etcdPort
    this.#etcdPeerPort = ports.etcdPeerPort
    this.folder = mkdtempSync(join(tmpdir(), 'te-kube-'))
    this.url = `https://${options.address ?? '127.0.0.1'}:${ports.port}`
    run(['openssl', 'genrsa', '-out', this.path('sa.key'), '2048'])
    this.#users.set('admin', { token: randomBytes(16).toString('hex'), groups: 'system:masters' })
    // token users are read at start: those that tests may want are there from the beginning
    for (const name of SPARE_USERS) this.#users.set(name, { token: randomBytes(16).toString('hex'), groups: '' })
    writeFileSync(
      this.path('tokens.csv'),
      [...this.#users].map(([name, { token, groups }]) => `${token},${name},${name},"${groups}"\n`).join(''),
    )
    this.kubeconfig = this.userKubeconfig('admin')
  }

  /** The path of a file in the server's folder. */
  path(name: string): string {
    return join(this.folder, name)
  }

  /**
   * The path of a kubeconfig of a user with no rights of its own (`user-1` … `user-4`), or of
   * `admin`.
   */
  userKubeconfig(user: string): string {
    const token = this.#users.get(user)?.token
    if (token === undefined) throw new Error(`no such user: ${user} (there are ${[...this.#users.keys()].join(', ')})`)
    const file = this.path(`${user}.kubeconfig`)
    const cluster = { server: this.url, 'certificate-authority': this.path('certs/apiserver.crt') }
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'test', cluster }],
        users: [{ name: user, user: { token } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user } }],
        'current-context': 'test',
      }),
      { mode: 0o600 },
    )
    return file
  }

  /** The token of a user. */
  token(user = 'admin'): string {
    return this.#users.get(user)?.token ?? ''
  }

  /** Gives `user` a ClusterRole with `rules` (as in RBAC YAML). */
  grant(user: string, rules: readonly object[]): void {
    this.kubectl(['apply', '-f', '-'], {
      stdin: JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'ClusterRole',
            metadata: { name: `test-${user}` },
            rules,
          },
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'ClusterRoleBinding',
            metadata: { name: `test-${user}` },
            roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `test-${user}` },
            subjects: [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }],
          },
        ],
      }),
    })
  }

  /** Runs the real kubectl as administrator. */
  kubectl(words: readonly string[], options: { mayFail?: boolean; stdin?: string } = {}): CommandResult {
    const inside = this.#options.namespace === undefined ? [] : ['ip', 'netns', 'exec', this.#options.namespace]
    return run([...inside, asset('kubectl'), '--kubeconfig', this.kubeconfig, ...words], options)
  }

  /** Applies a manifest given as text. */
  applyYaml(text: string): void {
    this.kubectl(['apply', '-f', '-'], { stdin: text })
  }

  /** Installs config/crd-*.yaml and waits until the API serves them. */
  installCrds(): void {
    const kinds = ['bgppeers', 'routeslices', 'eninodes']
    this.kubectl(['apply', ...kinds.flatMap(kind => ['-f', `config/crd-${kind}.yaml`])])
    const names = kinds.map(kind => `crd/${kind}.network.openyurt.io`)
    this.kubectl(['wait', '--for=condition=Established', '--timeout=20s', ...names])
  }

  /** Kills the API server; etcd and all objects stay. */
  async stopApiServer(): Promise<void> {
    this.#processes.apiserver?.kill('SIGKILL')
    await this.#processes.apiserver?.exited
  }

  /** Starts the API server again on the same address. */
  async startApiServer(): Promise<void> {
    this.#processes.apiserver = this.#spawn('kube-apiserver', [
      ...['--etcd-servers', `http://127.0.0.1:${this.#etcdPort}`],
      ...['--bind-address', new URL(this.url).hostname, '--advertise-address', this.#options.address ?? '127.0.0.1'],
      ...['--secure-port', new URL(this.url).port, '--cert-dir', this.path('certs')],
      ...['--service-cluster-ip-range', '10.96.0.0/16', '--service-account-issuer', 'https://kubernetes.default.svc'],
      ...['--service-account-key-file', this.path('sa.key'), '--service-account-signing-key-file', this.path('sa.key')],
      ...['--api-audiences', 'https://kubernetes.default.svc', '--token-auth-file', this.path('tokens.csv')],
      ...['--authorization-mode', 'RBAC', '--allow-privileged=true'],
      ...(this.#options.serviceAccounts === true ? [] : ['--disable-admission-plugins', 'ServiceAccount']),
    ])
    await this.#ready()
  }

  /** Forgets the history of etcd, so that watches from old resource versions get 410. */
  async compact(): Promise<void> {
    const call = (path: string, body: object) =>
      fetch(`http://127.0.0.1:${this.#etcdPort}${path}`, { method: 'POST', body: JSON.stringify(body), proxy: '' })
    const status = (await (await call('/v3/kv/range', { key: 'AA==' })).json()) as { header: { revision: string } }
    await call('/v3/kv/compaction', { revision: status.header.revision, physical: true })
  }

  /** Stops both and removes their folder. */
  async close(): Promise<void> {
    for (const child of [this.#processes.apiserver, this.#processes.etcd]) {
      child?.kill('SIGKILL')
      await child?.exited
    }
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #startAll(): Promise<void> {
    const listen = `http://127.0.0.1:${this.#etcdPort}`
    const peer = `http://127.0.0.1:${this.#etcdPeerPort}`
    this.#processes.etcd = this.#spawn('etcd', [
      ...['--data-dir', this.path('etcd'), '--unsafe-no-fsync', '--initial-cluster', `default=${peer}`],
      ...['--listen-client-urls', listen, '--advertise-client-urls', listen],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ])
    await this.startApiServer()
  }

  #spawn(program: string, words: readonly string[]): Bun.Subprocess {
    const inside = this.#options.namespace === undefined ? [] : ['ip', 'netns', 'exec', this.#options.namespace]
    return Bun.spawn([...inside, asset(program), ...words], {
      stdin: 'ignore',
      stdout: Bun.file(this.path(`${program}.log`)),
      stderr: Bun.file(this.path(`${program}.log`)),
    })
  }

  async #ready(): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      if (existsSync(this.path('certs/apiserver.crt'))) {
        const answer = this.kubectl(['get', '--raw', '/readyz', '--request-timeout=2s'], { mayFail: true })
        if (answer.stdout === 'ok') return
      }
      const { apiserver } = this.#processes
      if (apiserver?.exitCode !== null) break
      await Bun.sleep(100)
    }
    const lines = readFileSync(this.path('kube-apiserver.log'), 'utf8').trimEnd().split('\n')
    throw new Error(`kube-apiserver did not become ready: ${lines.slice(-3).join(' | ')}`)
  }
}

const SPARE_USERS = ['user-1', 'user-2', 'user-3', 'user-4']

function asset(program: string): string {
  const path = join(process.env.KUBEBUILDER_ASSETS ?? '', program)
  return program === 'kube-apiserver' ? mendedApiServer(path) : path
}

/** Ports that were free just now. */
async function freePorts(count: number): Promise<[number, number, number]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map(server => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return [ports[0] ?? 0, ports[1] ?? 0, ports[2] ?? 0]
}
