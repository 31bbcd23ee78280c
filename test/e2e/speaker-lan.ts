/**
 * The user document's LAN for tests: a switch that runs BIRD, three nodes of which two run the real
 * `terway-edge node`, and a real API server with the real controller; each in a network namespace,
 * all on 172.16.0.0/16.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'

const SWITCH = '172.16.0.1'
const API = '172.16.0.100'
const NODES = { 'node-1': '172.16.0.11', 'node-2': '172.16.0.12', 'node-3': '172.16.0.13' } as const
export type NodeName = keyof typeof NODES
const SPEAKERS = ['node-1', 'node-2'] as const
export type SpeakerName = (typeof SPEAKERS)[number]

export interface SwitchConfig {
  /** One for all speakers, or one each. */
  readonly password: string | Readonly<Record<SpeakerName, string>>
  readonly localAs: number
}

export class SpeakerLan {
  readonly folder = mkdtempSync(join(tmpdir(), 'te-speaker-'))
  readonly network = new TestNetwork()
  readonly #processes = new Map<string, Bun.Subprocess>()
  readonly #namespaces = new Map<string, string>()
  #server: TestApiServer | undefined

  /** Everything but BIRD and the BGPPeer. */
  static async start(): Promise<SpeakerLan> {
    const lan = new SpeakerLan()
    try {
      await lan.#start()
      return lan
    } catch (error) {
      await lan.close()
      throw error
    }
  }

  get server(): TestApiServer {
    if (this.#server === undefined) throw new Error('the API server has not been started')
    return this.#server
  }

  async #start(): Promise<void> {
    const bridge = this.network.namespace('lan')
    this.network.ip(bridge, 'link add br0 type bridge')
    this.network.ip(bridge, 'link set br0 up')
    for (const [name, address] of Object.entries({ switch: SWITCH, api: API, ...NODES })) {
      const namespace = this.network.namespace(name)
      this.#namespaces.set(name, namespace)
      const port = `to-${name}`
      const end = { namespace, interface: 'eth0', addresses: [`${address}/16`] }
      this.network.connect(end, { namespace: bridge, interface: port })
      this.network.ip(bridge, `link set ${port} master br0`)
      if (name in NODES) this.network.ip(namespace, `route add default via ${SWITCH}`)
    }
    this.#server = await TestApiServer.start({ namespace: this.namespace('api'), address: API })
    this.#bindRoles()
    for (const name of Object.keys(NODES)) this.server.applyYaml(nodeYaml(name as NodeName))
    this.#startController()
    for (const name of SPEAKERS) this.startNode(name)
    await eventually('every node has a pod CIDR', () => Object.keys(this.podCIDRs()).length === 3)
  }

  namespace(name: string): string {
    const namespace = this.#namespaces.get(name)
    if (namespace === undefined) throw new Error(`no namespace ${name}`)
    return namespace
  }

  /** The roles as they are shipped, given to the token users of the test API server. */
  #bindRoles(): void {
    const readers = ['--part', 'rbac', '--bgp-secret', 'bgp-secret=node-1,node-2']
    this.server.applyYaml(run([process.execPath, 'src/main.ts', 'manifests', ...readers]).stdout)
    const bind = (user: string, role: string, namespaces: Readonly<Record<string, string>>) => {
      const to = ['--user', user]
      this.server.kubectl(['create', 'clusterrolebinding', `${role}-${user}`, '--clusterrole', role, ...to])
      for (const [namespace, name] of Object.entries(namespaces)) {
        const inside = ['--namespace', namespace, '--role', name, ...to]
        this.server.kubectl(['create', 'rolebinding', `${name}-${user}`, ...inside])
      }
    }
    const controller = 'terway-edge-controller'
    bind('user-3', controller, { 'kube-system': controller, 'terway-edge-nodes': controller })
    const password = ['create', 'rolebinding', 'password-user-3', '--role', 'terway-edge-password-bgp-secret']
    this.server.kubectl([...password, '--namespace', 'kube-system', '--user', 'user-3'])
    for (const user of ['user-1', 'user-2'])
      bind(user, 'terway-edge-node', { default: 'terway-edge-node', 'kube-system': 'terway-edge-password-bgp-secret' })
  }

  #startController(): void {
    const config = this.#write('controller/config.yaml', {
      kubeconfig: this.server.userKubeconfig('user-3'),
      // no node had a podCIDR before
      network: {
        edgeNodes: 'all()',
        podCIDRs: ['10.0.0.0/8'],
        dataCenterCIDRs: ['172.16.0.0/16'],
        rememberSeconds: 0,
      },
      status: { listen: '127.0.0.1:0' },
    })
    this.#spawn('controller', 'api', [process.execPath, 'src/main.ts', 'controller', '--config', config])
  }

  startNode(name: SpeakerName): void {
    const config = this.#write(`${name}/config.yaml`, {
      node: name,
      kubeconfig: this.server.userKubeconfig(name === 'node-1' ? 'user-1' : 'user-2'),
      state: join(this.folder, name, 'state'),
      status: { listen: '127.0.0.1:0' },
      cni: { confDir: join(this.folder, name, 'cni'), binDir: join(this.folder, name, 'bin') },
    })
    this.#spawn(name, name, [process.execPath, 'src/main.ts', 'node', '--config', config])
  }

  /**
   * Ends a program as the service manager does, or as a power cut does, and waits until it is gone.
   */
  async stop(name: string, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#processes.get(name)
    child?.kill(signal)
    await child?.exited
    this.#processes.delete(name)
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.#processes.get(name)?.kill(signal)
  }

  /** What BIRD logged since it was first started: a line per NOTIFICATION among others. */
  switchLog(): string {
    return readFileSync(this.#path('bird-messages.log'), 'utf8')
  }

  log(name: string): string {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8')
  }

  /** Starts BIRD as the LAN's switch. It routes what it learns into the kernel of its namespace. */
  startSwitch(config: SwitchConfig): void {
    this.#writeSwitch(config)
    const bird = programPath('bird') ?? 'bird'
    const files = ['-c', this.#path('bird.conf'), '-s', this.#path('bird.ctl'), '-P', this.#path('bird.pid')]
    this.#spawn('bird', 'switch', [bird, '-f', ...files])
  }

  /** Gives the running BIRD another configuration. */
  configureSwitch(config: SwitchConfig): void {
    this.#writeSwitch(config)
    this.birdc('configure')
  }

  birdc(words: string): string {
    const birdc = programPath('birdc') ?? 'birdc'
    return run([birdc, '-s', this.#path('bird.ctl'), ...words.split(' ')], { mayFail: true }).stdout
  }

  #writeSwitch({ password, localAs }: SwitchConfig): void {
    const peers = SPEAKERS.map(name => {
      const key = typeof password === 'string' ? password : password[name]
      const title = name.replace('-', '_')
      return `protocol bgp ${title} from node { neighbor ${NODES[name]} as 65010; password "${key}"; }`
    })
    writeFileSync(
      this.#path('bird.conf'),
      `router id ${SWITCH};
log "${this.#path('bird-messages.log')}" all;
protocol device { }
protocol kernel { ipv4 { import none; export all; }; }
template bgp node {
  local ${SWITCH} as ${localAs};
  graceful restart on;
  connect delay time 1; connect retry time 5;
  error wait time 2, 5;
  ipv4 { import all; export none; };
}
${peers.join('\n')}
`,
    )
  }

  /** The pod CIDR of each node that has one, by node name. */
  podCIDRs(): Record<string, string> {
    const path = '{range .items[*]}{.metadata.name}={.spec.podCIDR}{"\\n"}{end}'
    const lines = this.server
      .kubectl(['get', 'nodes', '-o', `jsonpath=${path}`])
      .stdout.trim()
      .split('\n')
    return Object.fromEntries(lines.map(line => line.split('=')).filter(([, podCIDR]) => podCIDR))
  }

  /**
   * What the switch's kernel should hold: each pod CIDR via the address of the node that owns it.
   */
  wantedRoutes(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.podCIDRs()).map(([name, podCIDR]) => [podCIDR, NODES[name as NodeName]]),
    )
  }

  /** The routes that BIRD put into the switch's kernel: destination to gateway. */
  switchRoutes(): Record<string, string> {
    const lines = this.network.ip(this.namespace('switch'), '-4 route show proto bird').trim().split('\n')
    return Object.fromEntries(
      lines.filter(Boolean).map(line => [line.split(' ')[0], /via (\S+)/.exec(line)?.[1] ?? 'none']),
    )
  }

  /** `ip monitor route` in the switch: every change of its kernel's routes from now on. */
  watchSwitchRoutes(): { deletions: () => string[]; stop: () => Promise<void> } {
    const name = `monitor-${this.#processes.size}`
    this.#spawn(name, 'switch', ['ip', '-4', 'monitor', 'route'])
    return {
      deletions: () =>
        this.log(name)
          .split('\n')
          .filter(line => line.startsWith('Deleted 10.')),
      stop: () => this.stop(name),
    }
  }

  describe(): string {
    return this.server.kubectl(['describe', 'bgppeers', 'peer']).stdout
  }

  /** The messages of the Events of one reason on the BGPPeer. */
  events(reason: string): { message: string; count: number; type: string }[] {
    const selector = `involvedObject.name=peer,involvedObject.kind=BGPPeer,reason=${reason}`
    const { stdout } = this.server.kubectl(['get', 'events', '-A', '--field-selector', selector, '-o', 'json'])
    return (JSON.parse(stdout) as { items: { message: string; count: number; type: string }[] }).items
  }

  speakers(): Record<string, { state: string; lastError?: string; advertisedPrefixes: number; since: string }> {
    const { stdout } = this.server.kubectl(['get', 'bgppeer', 'peer', '-o', 'json'])
    const object = JSON.parse(stdout) as {
      status?: { speakers?: { node: string; state: string; advertisedPrefixes: number; since: string }[] }
    }
    return Object.fromEntries((object.status?.speakers ?? []).map(speaker => [speaker.node, speaker]))
  }

  /**
   * Resolves once the switch has both sessions and holds each pod CIDR via its owner, and both
   * speakers report Established: what they report may be of a moment ago.
   */
  async established(seconds = 60): Promise<void> {
    const wanted = JSON.stringify(sorted(this.wantedRoutes()))
    await eventually(
      'the switch holds every route',
      () => JSON.stringify(sorted(this.switchRoutes())) === wanted,
      seconds,
    )
    const sessions = () => this.birdc('show protocols').match(/BGP.*Established/g)?.length === SPEAKERS.length
    await eventually('the switch has both sessions', sessions, seconds)
    const up = () => SPEAKERS.every(name => this.speakers()[name]?.state === 'Established')
    await eventually('both speakers report Established', up, seconds)
  }

  async close(): Promise<void> {
    for (const name of [...this.#processes.keys()]) await this.stop(name, 'SIGKILL')
    await this.#server?.close()
    await this.network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #spawn(name: string, namespace: string, command: readonly string[]): void {
    const log = openSync(join(this.folder, `${name}.log`), 'a')
    const inside = ['ip', 'netns', 'exec', this.namespace(namespace), ...command]
    this.#processes.set(name, Bun.spawn(inside, { stdin: 'ignore', stdout: log, stderr: log }))
    closeSync(log)
  }

  #path(name: string): string {
    return join(this.folder, name)
  }

  #write(name: string, value: object): string {
    const path = this.#path(name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, JSON.stringify(value))
    return path
  }
}

function nodeYaml(name: NodeName): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'alibabacloud.com/nodepool-id': 'npxxx' } },
    status: { addresses: [{ type: 'InternalIP', address: NODES[name] }] },
  })
}

function sorted(record: Record<string, string>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
}
