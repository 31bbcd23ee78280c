/**
 * A cloud for tests: a VPC, `node-1` with two elastic network interfaces for pods and `node-2` with
 * one, each beside its primary one. Addresses: nodes 192.168.0.11 and .12, pods' 192.168.32.10, .11
 * (eth1 of node-1), .20 (eth2), .30, .31 (eth1 of node-2), each with its twin fd00:32::NN.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatInterfacePool, type InterfacePool, type PolicyNumbers } from '../../src/model/interface-pool.ts'
import { CniNode, type Reply } from '../cni/cni-node.ts'
import { TestNetwork } from '../support/namespaces.ts'
import { type Port, Vpc } from '../support/vpc.ts'

export const NUMBERS: PolicyNumbers = {
  protocol: 187,
  pods: { priority: 512, table: 512 },
  marked: { priority: 600, table: 600, mark: 0x10 },
  interfaces: { priority: 2048, tableBase: 1000 },
}

export const PRIMARY_GATEWAYS = ['192.168.31.253', 'fd00:31::fd'] as const
export const POD_GATEWAYS = ['192.168.63.253', 'fd00:63::fd'] as const

/** The twin of an IPv4 pod address. */
export function twin(address: string): string {
  return `fd00:32::${address.split('.')[3]}`
}

export interface CloudPod {
  readonly node: CloudNode
  readonly containerId: string
  readonly namespace: string
  readonly address: string
}

export interface Eni {
  readonly id: string
  port: Port
  readonly addresses: readonly string[]
}

/** A machine of the cloud, in which the plugin is called as a runtime would. */
export class CloudNode extends CniNode {
  readonly primary: Port
  readonly enis: Eni[]
  readonly address: string
  readonly #vpc: Vpc
  readonly name: string

  constructor(vpc: Vpc, name: string, number: number, enis: readonly (readonly string[])[]) {
    super([], vpc.network, name)
    this.name = name
    this.#vpc = vpc
    this.address = `192.168.0.1${number}`
    vpc.network.ip(this.namespace, 'addr del 192.0.2.11/32 dev lo')
    const namespace = this.namespace
    const primary = { namespace, interface: 'eth0', mac: `00:16:3e:00:0${number}:00`, configured: true }
    this.primary = vpc.attach({ ...primary, addresses: [this.address, `fd00:31::1${number}`] })
    this.enis = enis.map((ipv4, index) => {
      const addresses = [...ipv4, ...ipv4.map(twin)]
      const mac = `00:16:3e:00:0${number}:0${index + 1}`
      const port = vpc.attach({ namespace, interface: `eth${index + 1}`, mac, addresses })
      return { id: `eni-${name}-${index + 1}`, port, addresses }
    })
  }

  pool(more: Partial<InterfacePool> = {}): InterfacePool {
    return {
      numbers: NUMBERS,
      dualStack: true,
      interfaces: this.enis.map(({ id, port, addresses }) => ({
        id,
        mac: port.mac,
        gateways: [...POD_GATEWAYS],
        addresses,
      })),
      ...more,
    }
  }

  /** Leaves the list of addresses in the state folder, as the node's process does. */
  writePool(pool: InterfacePool = this.pool()): void {
    mkdirSync(join(this.stateDir, 'cni'), { recursive: true })
    writeFileSync(join(this.stateDir, 'cni/interfaces.json'), formatInterfacePool(pool))
  }

  addPod(containerId: string, namespacePath: string): Promise<Reply> {
    const args = `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${containerId}`
    return this.add(containerId, namespacePath, { config: { addressSource: 'interfaces' }, args })
  }

  async startPod(name: string): Promise<CloudPod> {
    const pod = this.pod(name)
    const reply = await this.addPod(name, pod.path)
    if (reply.status !== 0) throw new Error(`ADD of ${name}: ${reply.stdout}${reply.stderr}`)
    const address = reply.json.ips[0].address.split('/')[0]
    return { node: this, containerId: name, namespace: pod.namespace, address }
  }

  stopPod(containerId: string): Promise<Reply> {
    return this.call({ command: 'DEL', containerId, config: { addressSource: 'interfaces' } })
  }

  /** Detaches an interface, as the cloud may. */
  detach(index: number): void {
    const eni = this.enis[index]
    if (eni !== undefined) this.#vpc.detach(eni.port)
  }

  /** Attaches it again: the same MAC, another index. */
  attachAgain(index: number, name = `eth${index + 1}`): void {
    const eni = this.enis[index]
    if (eni === undefined) return
    const { mac, namespace } = eni.port
    eni.port = this.#vpc.attach({ namespace, interface: name, mac, addresses: eni.addresses })
  }

  run(...command: string[]): string {
    return this.network.exec(this.namespace, command).stdout
  }
}

export class CloudNetwork {
  readonly network = new TestNetwork()
  readonly vpc = new Vpc(this.network, [...PRIMARY_GATEWAYS, ...POD_GATEWAYS])
  readonly node1 = new CloudNode(this.vpc, 'node-1', 1, [['192.168.32.10', '192.168.32.11'], ['192.168.32.20']])
  readonly node2 = new CloudNode(this.vpc, 'node-2', 2, [['192.168.32.30', '192.168.32.31']])

  /** Whether `from` gets an answer from `to`. */
  ping(from: string, to: string): boolean {
    return this.network.exec(from, ['ping', '-c1', '-W1', to], { mayFail: true }).status === 0
  }

  /** Who of `all` does not get an answer from whom: `A > B` each. */
  async unreachable(all: readonly { readonly namespace: string; readonly address: string }[]): Promise<string[]> {
    const pairs = all.flatMap(from => all.filter(to => to !== from).map(to => [from, to] as const))
    const lost = await Promise.all(
      pairs.map(async ([from, to]) => {
        const command = ['ip', 'netns', 'exec', from.namespace, 'ping', '-c1', '-W2', to.address]
        const status = await Bun.spawn(command, { stdout: 'ignore', stderr: 'ignore' }).exited
        return status === 0 ? [] : [`${from.namespace.replace(/^.*?-t\d+-\d+-/, '')} > ${to.address}`]
      }),
    )
    return lost.flat()
  }

  async close(): Promise<void> {
    await this.node1.close()
    await this.node2.close()
    await this.network.close()
  }
}
