/**
 * A site for `archive.test.ts`: a LAN with a switch that runs BIRD, a real API server with the
 * controller beside it, and two nodes, machines with a systemd of their own. Of this project there
 * is nothing but what `archives` were unpacked to: every program of it runs in an empty
 * environment, in its own folder.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import { SystemdMachine } from '../support/systemd-machine.ts'

export const NODES = { 'node-1': '172.16.0.11', 'node-2': '172.16.0.12' } as const
export type NodeName = keyof typeof NODES
export const NAMES = Object.keys(NODES) as NodeName[]
const SWITCH = '172.16.0.1'
const API = '172.16.0.100'
/** Where archives are unpacked on a node. */
const BROUGHT = '/root'

export class ArchiveSite {
  readonly folder = mkdtempSync(join(tmpdir(), 'te-site-'))
  readonly network = new TestNetwork()
  readonly #machines = new Map<NodeName, SystemdMachine>()
  readonly #archives: Readonly<Record<string, string>>
  #server: TestApiServer | undefined
  #desk = ''
  readonly switchNamespace = this.network.namespace('switch')

  /** `archives`: files of a release, by the name of the folder that they are unpacked to. */
  static async start(archives: Readonly<Record<string, string>>): Promise<ArchiveSite> {
    const site = new ArchiveSite(archives)
    try {
      await site.#start()
      return site
    } catch (error) {
      await site.close()
      throw error
    }
  }

  private constructor(archives: Readonly<Record<string, string>>) {
    this.#archives = archives
  }

  async #start(): Promise<void> {
    const { network, switchNamespace } = this
    network.ip(switchNamespace, 'link add lan type bridge')
    network.ip(switchNamespace, `addr add ${SWITCH}/24 dev lan`)
    network.ip(switchNamespace, 'link set lan up')
    network.exec(switchNamespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    this.#desk = this.#plugIn('api', API)
    for (const [name, file] of Object.entries(this.#archives)) unpack(file, join(this.folder, name))
    this.#server = await TestApiServer.start({ namespace: this.#desk, address: API, crds: false })
    for (const name of NAMES) await this.#startNode(name)
  }

  async #startNode(name: NodeName): Promise<void> {
    const namespace = this.#plugIn(name, NODES[name])
    this.network.ip(namespace, `route add default via ${SWITCH}`)
    const machine = await SystemdMachine.start({ namespace, name })
    this.#machines.set(name, machine)
    for (const archive of Object.keys(this.#archives))
      cpSync(join(this.folder, archive), machine.path(join(BROUGHT, archive)), { recursive: true })
    const metadata = { name, labels: { 'alibabacloud.com/nodepool-id': 'npxxx' } }
    const status = { addresses: [{ type: 'InternalIP', address: NODES[name] }] }
    this.server.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata, status }))
  }

  #plugIn(name: string, address: string): string {
    const namespace = this.network.namespace(name)
    const port = `to-${name}`
    this.network.connect(
      { namespace, interface: 'eth0', addresses: [`${address}/24`] },
      { namespace: this.switchNamespace, interface: port },
    )
    this.network.ip(this.switchNamespace, `link set ${port} master lan`)
    return namespace
  }

  get server(): TestApiServer {
    if (this.#server === undefined) throw new Error('the API server has not been started')
    return this.#server
  }

  machine(name: NodeName): SystemdMachine {
    const machine = this.#machines.get(name)
    if (machine === undefined) throw new Error(`${name} has not been started`)
    return machine
  }

  /** The path of a file of the operator. */
  path(...parts: string[]): string {
    return join(this.folder, ...parts)
  }

  /** The executable of the first archive, called where the operator sits. */
  atDesk(...words: string[]): string {
    return this.network.exec(this.#desk, this.#alone('first', words)).stdout
  }

  /** Starts the controller with the configuration that the manifests put into the cluster. */
  startController(): void {
    const where = ['get', 'configmap', 'terway-edge-controller', '-n', 'kube-system']
    const config = this.server.kubectl([...where, '-o', 'jsonpath={.data.config\\.yaml}']).stdout
    writeFileSync(this.path('controller.yaml'), config)
    const words = ['--config', this.path('controller.yaml'), '--kubeconfig', this.path('controller.kubeconfig')]
    const command = this.#alone('first', ['controller', ...words, '--state', this.path('controller')])
    const log = this.path('controller.log')
    this.network.spawn(this.#desk, ['sh', '-c', 'exec "$@" >"$0" 2>&1', log, ...command])
  }

  #alone(archive: string, words: readonly string[]): string[] {
    const folder = this.path(archive)
    return ['env', '-i', '-C', folder, 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', join(folder, 'terway-edge'), ...words]
  }

  /** Calls an unpacked executable on a node; it may wait for the services. */
  brought(name: NodeName, archive: string, ...words: string[]): string {
    const command = [join(BROUGHT, archive, 'terway-edge'), ...words]
    return this.machine(name).exec(command, { timeoutMilliseconds: 180_000 }).stdout
  }

  /** Calls the installed executable on a node. */
  on(name: NodeName, ...words: string[]): { status: number; stdout: string; stderr: string } {
    return this.machine(name).exec(['terway-edge', ...words], { mayFail: true, timeoutMilliseconds: 180_000 })
  }

  /** Starts BIRD with a file that bird.conf includes. */
  startSwitch(included: string): void {
    const config = `router id ${SWITCH};
protocol device { }
protocol kernel { ipv4 { import none; export all; }; }
include "${included}";
`
    writeFileSync(this.path('bird.conf'), config)
    const files = ['-c', this.path('bird.conf'), '-s', this.path('bird.ctl'), '-P', this.path('bird.pid')]
    this.network.spawn(this.switchNamespace, [programPath('bird') ?? 'bird', '-f', ...files])
  }

  birdc(...words: string[]): string {
    return run([programPath('birdc') ?? 'birdc', '-s', this.path('bird.ctl'), ...words], { mayFail: true }).stdout
  }

  /** Destination and gateway of the routes that BIRD gave the kernel of the switch, sorted. */
  switchRoutes(): string[] {
    const lines = this.network.ip(this.switchNamespace, '-4 route show proto bird').trim().split('\n')
    return lines
      .filter(Boolean)
      .map(line => `${line.split(' ')[0]} via ${/via (\S+)/.exec(line)?.[1]}`)
      .sort()
  }

  /** Waits until the switch has both sessions, and each pod CIDR by way of the node that has it. */
  async established(): Promise<void> {
    const wanted = () =>
      this.podCIDRs()
        .map((podCIDR, index) => `${podCIDR} via ${Object.values(NODES)[index]}`)
        .sort()
    const sessions = () => this.birdc('show', 'protocols').match(/Established/g)?.length === NAMES.length
    await eventually(
      'the switch has sessions and routes',
      () => sessions() && this.switchRoutes().join() === wanted().join(),
      60, // a switch that lost a session waits before it takes the next
    )
  }

  /** Of the nodes in their order; empty where one has none yet. */
  podCIDRs(): string[] {
    const path = 'jsonpath={.spec.podCIDR}'
    return NAMES.map(name => this.server.kubectl(['get', 'node', name, '-o', path]).stdout)
  }

  pings(namespace: string, address: string): boolean {
    return this.network.exec(namespace, ['ping', '-c1', '-W1', address], { mayFail: true }).status === 0
  }

  async close(): Promise<void> {
    for (const machine of this.#machines.values()) await machine.close()
    await this.#server?.close()
    await this.network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function unpack(archive: string, folder: string): void {
  mkdirSync(folder)
  run(['tar', 'xzf', archive, '-C', folder, '--strip-components=1'])
}
