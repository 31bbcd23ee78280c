/**
 * A site for `archive.test.ts`: two LANs with a switch each, one that runs BIRD and one that runs
 * FRR, joined by a line; a real API server with the controller beside it; nodes, machines with a
 * systemd of their own. Of this project there is nothing but what `archives` were unpacked to:
 * every program of it runs in an empty environment, in its own folder.
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { SystemdMachine } from '../support/systemd-machine.ts'
import { kernelRoutes, type SwitchPlace, type SwitchRouter, switchRouter } from './archive-switch.ts'

export const LANS = {
  'lan-a': { router: 'bird', switch: '172.16.0.1', line: '172.31.0.1', peer: 'peer', pool: 'npxxx' },
  'lan-b': { router: 'frr', switch: '172.16.1.1', line: '172.31.0.2', peer: 'peer-b', pool: 'npyyy' },
} as const
export type LanName = keyof typeof LANS
export const LAN_NAMES = Object.keys(LANS) as LanName[]
export const NODES = {
  'node-1': { lan: 'lan-a', address: '172.16.0.11' },
  'node-2': { lan: 'lan-a', address: '172.16.0.12' },
  'node-3': { lan: 'lan-b', address: '172.16.1.11' },
} as const satisfies Readonly<Record<string, { lan: LanName; address: string }>>
export type NodeName = keyof typeof NODES
export const NAMES = Object.keys(NODES) as NodeName[]
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
  readonly #switches = new Map<LanName, { readonly place: SwitchPlace; readonly router: SwitchRouter }>()

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
    chmodSync(this.folder, 0o711) // FRR's daemons run as a user of their own
  }

  async #start(): Promise<void> {
    for (const name of LAN_NAMES) this.#buildLan(name)
    this.#joinLans()
    this.#desk = this.#plugIn('api', 'lan-a', API)
    for (const [name, file] of Object.entries(this.#archives)) unpack(file, join(this.folder, name))
    this.#server = await TestApiServer.start({ namespace: this.#desk, address: API, crds: false })
    for (const name of NAMES) await this.#startNode(name)
  }

  #buildLan(name: LanName): void {
    const { network } = this
    const { router, switch: address } = LANS[name]
    const namespace = network.namespace(`switch-${name}`)
    network.ip(namespace, 'link add lan type bridge')
    network.ip(namespace, `addr add ${address}/24 dev lan`)
    network.ip(namespace, 'link set lan up')
    network.exec(namespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    const place = { network, namespace, folder: this.path(`switch-${name}`), address }
    this.#switches.set(name, { place, router: switchRouter(router, place) })
  }

  /** By a line between the switches, and a default route of each to the other. */
  #joinLans(): void {
    const end = (name: LanName) => ({
      namespace: this.switchOf(name).namespace,
      interface: 'line',
      addresses: [`${LANS[name].line}/30`],
    })
    this.network.connect(end('lan-a'), end('lan-b'))
    this.network.ip(this.switchOf('lan-a').namespace, `route add default via ${LANS['lan-b'].line}`)
    this.network.ip(this.switchOf('lan-b').namespace, `route add default via ${LANS['lan-a'].line}`)
  }

  async #startNode(name: NodeName): Promise<void> {
    const { lan, address } = NODES[name]
    const namespace = this.#plugIn(name, lan, address)
    const machine = await SystemdMachine.start({ namespace, name })
    this.#machines.set(name, machine)
    for (const archive of Object.keys(this.#archives))
      cpSync(join(this.folder, archive), machine.path(join(BROUGHT, archive)), { recursive: true })
    const metadata = { name, labels: { 'alibabacloud.com/nodepool-id': LANS[lan].pool } }
    const status = { addresses: [{ type: 'InternalIP', address }] }
    this.server.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata, status }))
  }

  #plugIn(name: string, lan: LanName, address: string): string {
    const namespace = this.network.namespace(name)
    const port = `to-${name}`
    const place = this.switchOf(lan)
    this.network.connect(
      { namespace, interface: 'eth0', addresses: [`${address}/24`] },
      { namespace: place.namespace, interface: port },
    )
    this.network.ip(place.namespace, `link set ${port} master lan`)
    this.network.ip(namespace, `route add default via ${place.address}`)
    return namespace
  }

  switchOf(lan: LanName): SwitchPlace {
    return this.#switch(lan).place
  }

  #switch(lan: LanName) {
    const found = this.#switches.get(lan)
    if (found === undefined) throw new Error(`${lan} has not been built`)
    return found
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

  /** Starts the switch of a LAN on what `switch-config` printed. */
  async startSwitch(lan: LanName, text: string): Promise<void> {
    const speakers = NAMES.filter(name => NODES[name].lan === lan).map(name => NODES[name].address)
    await this.#switch(lan).router.start(text, speakers)
  }

  /** What the switch says of its sessions. */
  sessionsOf(lan: LanName): string {
    return this.#switch(lan).router.show()
  }

  /** Destination and gateway of the routes that a switch has from its speakers, sorted. */
  switchRoutes(lan: LanName): string[] {
    return kernelRoutes(this.switchOf(lan))
  }

  /** Waits until each switch has all sessions, and each pod CIDR by way of the node that has it. */
  async established(): Promise<void> {
    for (const lan of LAN_NAMES) {
      const nodes = NAMES.filter(name => NODES[name].lan === lan)
      const wanted = () => nodes.map(name => `${this.podCIDR(name)} via ${NODES[name].address}`).sort()
      await eventually(
        `the switch of ${lan} has sessions and routes`,
        () =>
          this.#switch(lan).router.establishedSessions() === nodes.length &&
          this.switchRoutes(lan).join() === wanted().join(),
        60, // a switch that lost a session waits before it takes the next
      )
    }
  }

  /** Empty where the node has none yet. */
  podCIDR(name: NodeName): string {
    return this.server.kubectl(['get', 'node', name, '-o', 'jsonpath={.spec.podCIDR}']).stdout
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
