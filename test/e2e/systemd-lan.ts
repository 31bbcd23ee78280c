/**
 * A LAN for tests of the installed service: a switch that runs BIRD, the lab's API server and the
 * real controller beside it, and one node, a machine with a systemd of its own
 * (`support/systemd-machine.ts`). A second node is there as an object and an address: its pod CIDR
 * must be routed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import { SystemdMachine } from '../support/systemd-machine.ts'

export const NODE = 'edge-1'
export const NODE_ADDRESS = '172.16.0.11'
export const SWITCH_ADDRESS = '172.16.0.1'
export const OTHER_ADDRESS = '172.16.0.12'
export const OTHER_POD_CIDR = '10.0.9.0/25'
/** By a name, which the service has to look up. */
const API = 'http://api.example:6443'
/** Where the executable is on the machine before it is installed. */
export const BROUGHT = '/root/terway-edge'

export class SystemdLan {
  readonly folder = mkdtempSync(join(tmpdir(), 'te-service-'))
  readonly network = new TestNetwork()
  readonly #switch = this.network.namespace('switch')
  readonly #servers: Bun.Subprocess[] = []
  readonly #executable = resolve('dist/terway-edge')
  #machine: SystemdMachine | undefined
  #nodes = 0

  /** All but the service: the executable and a kubeconfig lie in /root of the machine. */
  static async start(): Promise<SystemdLan> {
    const lan = new SystemdLan()
    try {
      await lan.#start()
      return lan
    } catch (error) {
      await lan.close()
      throw error
    }
  }

  get machine(): SystemdMachine {
    if (this.#machine === undefined) throw new Error('the machine has not been started')
    return this.#machine
  }

  async #start(): Promise<void> {
    const { network } = this
    network.ip(this.#switch, 'link add lan type bridge')
    network.ip(this.#switch, `addr add ${SWITCH_ADDRESS}/24 dev lan`)
    network.ip(this.#switch, 'link set lan up')
    // a LAN has other machines, and stays up when the node is off
    const other = { namespace: network.namespace('edge-2'), interface: 'eth0', addresses: [`${OTHER_ADDRESS}/24`] }
    network.connect(other, { namespace: this.#switch, interface: 'other' })
    network.ip(this.#switch, 'link set other master lan')
    network.exec(this.#switch, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    this.#startSwitch()
    await this.#startCluster()
    this.#machine = await SystemdMachine.start({ namespace: this.#plugIn(), name: NODE })
    run(['cp', this.#executable, this.machine.path(BROUGHT)])
    writeFileSync(this.machine.path('/root/node.kubeconfig'), kubeconfigText(API))
    writeFileSync(this.machine.path('/etc/hosts'), `127.0.0.1 localhost\n${SWITCH_ADDRESS} api.example\n`)
  }

  /** A network namespace for the machine, with nothing in it but its link: as after a boot. */
  #plugIn(): string {
    const namespace = this.network.namespace(`node-${++this.#nodes}`)
    const port = `port-${this.#nodes}`
    if (this.#nodes > 1) this.network.ip(this.#switch, `link del port-${this.#nodes - 1}`)
    this.network.connect(
      { namespace, interface: 'eth0', addresses: [`${NODE_ADDRESS}/24`] },
      { namespace: this.#switch, interface: port },
    )
    this.network.ip(this.#switch, `link set ${port} master lan`)
    this.network.ip(namespace, `route add default via ${SWITCH_ADDRESS}`)
    return namespace
  }

  /** Cuts the node's power, and switches it on again. */
  async reboot(): Promise<void> {
    await this.machine.cutPower()
    await this.machine.boot(this.#plugIn())
  }

  get switchNamespace(): string {
    return this.#switch
  }

  /** Runs a command on the node. */
  on(...command: string[]): string {
    return this.machine.exec(command).stdout
  }

  /** What a property of the service is, by systemctl show. */
  property(name: string): string {
    return this.on('systemctl', 'show', '--value', `--property=${name}`, 'terway-edge.service').trim()
  }

  birdc(...words: string[]): string {
    return run([programPath('birdc') ?? 'birdc', '-s', this.#path('bird.ctl'), ...words]).stdout
  }

  /** Waits until BIRD holds the pod CIDRs of both nodes, in a session that is up. */
  async established(): Promise<void> {
    await eventually('BIRD has the session and both routes', () => this.isEstablished() && this.switchHasRoutes())
  }

  isEstablished(): boolean {
    return /BGP state:\s+Established/.test(this.birdc('show', 'protocols', 'all', 'edge'))
  }

  switchHasRoutes(): boolean {
    const routes = this.birdc('show', 'route', 'all')
    return routes.includes(`${OTHER_POD_CIDR} `) && routes.includes(`BGP.next_hop: ${NODE_ADDRESS}`)
  }

  /** How often BIRD took routes of the node away from its kernel since the start. */
  withdrawals(): string[] {
    return this.network.exec(this.#switch, ['cat', this.#path('monitor.log')]).stdout.match(/^Deleted 10\..*$/gm) ?? []
  }

  pingsFromSwitch(address: string): boolean {
    return this.network.exec(this.#switch, ['ping', '-c1', '-W1', address], { mayFail: true }).status === 0
  }

  /** The API server and the controller are gone, as in an uplink's outage. */
  async loseCluster(): Promise<void> {
    for (const child of this.#servers.splice(0)) {
      child.kill('SIGKILL')
      await child.exited
    }
  }

  /** They are there again. */
  async findCluster(): Promise<void> {
    await this.#startCluster()
  }

  async close(): Promise<void> {
    await this.#machine?.close()
    await this.network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #startSwitch(): void {
    writeFileSync(
      this.#path('bird.conf'),
      `router id ${SWITCH_ADDRESS};
protocol device { }
protocol kernel { ipv4 { import none; export all; }; }
protocol bgp edge {
  local ${SWITCH_ADDRESS} as 65001; neighbor ${NODE_ADDRESS} as 65010;
  graceful restart on; connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 { import all; export none; };
}
`,
    )
    const files = ['-c', this.#path('bird.conf'), '-s', this.#path('bird.ctl'), '-P', this.#path('bird.pid')]
    this.network.spawn(this.#switch, [programPath('bird') ?? 'bird', '-f', ...files])
    this.network.spawn(this.#switch, ['sh', '-c', `exec ip -4 monitor route >${this.#path('monitor.log')}`])
  }

  async #startCluster(): Promise<void> {
    const listen = `${SWITCH_ADDRESS}:6443`
    const config = this.#path('controller.yaml')
    const server = `http://${listen}`
    writeFileSync(this.#path('kubeconfig'), kubeconfigText(server))
    writeFileSync(
      config,
      JSON.stringify({
        kubeconfig: this.#path('kubeconfig'),
        status: { listen: '127.0.0.1:0' },
        network: { edgeNodes: 'all()', podCIDRs: ['10.0.0.0/16'], rememberSeconds: 0 },
      }),
    )
    for (const words of [
      ['lab', 'api', '--listen', listen, '--state', this.#path('api.json')],
      ['controller', '--config', config],
    ]) {
      this.#servers.push(this.network.spawn(this.#switch, [this.#executable, ...words]))
    }
    writeFileSync(this.#path('objects.json'), JSON.stringify(OBJECTS))
    const applied = () =>
      this.network.exec(this.#switch, [
        process.execPath,
        `${import.meta.dir}/apply-objects.ts`,
        server,
        this.#path('objects.json'),
      ])
    await eventually('the objects are made', () => applied().status === 0)
  }

  #path(name: string): string {
    return join(this.folder, name)
  }
}

const node = (name: string, address: string, podCIDR?: string) => ({
  path: `/api/v1/nodes/${name}`,
  object: {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    ...(podCIDR !== undefined && { spec: { podCIDR, podCIDRs: [podCIDR] } }),
  },
  status: { addresses: [{ type: 'InternalIP', address }] },
})

const OBJECTS = [
  node(NODE, NODE_ADDRESS),
  node('edge-2', OTHER_ADDRESS, OTHER_POD_CIDR),
  {
    path: '/apis/network.openyurt.io/v1alpha1/bgppeers/lan',
    object: {
      apiVersion: 'network.openyurt.io/v1alpha1',
      kind: 'BGPPeer',
      metadata: { name: 'lan' },
      spec: {
        localSpeakers: [NODE],
        localAsNumber: 65010,
        peerIP: SWITCH_ADDRESS,
        peerAsNumber: 65001,
        nodeSelector: 'all()',
        connectRetrySeconds: 2,
      },
    },
  },
]
