/**
 * A pod, its node and a world in namespaces: pod 10.0.1.5 and fd10:1::5 behind `node` (172.16.0.11,
 * fd16::11), which forwards to `outside` (172.16.0.254, fd16::254, and 203.0.113.1 behind it).
 * `outside` knows the way back to the pods.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFirewall, type FirewallConfig, type NodeFirewall } from '../../src/firewall/reconcile.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { TestNetwork } from '../support/namespaces.ts'

export const POD_CIDRS = ['10.0.1.0/24', 'fd10:1::/64']
export const POD_ADDRESS = '10.0.1.5'
export const POD_ADDRESS_V6 = 'fd10:1::5'
export const NODE_ADDRESS = '172.16.0.11'
export const FAR = '203.0.113.1'

export const KNOWN = {
  podCIDRs: POD_CIDRS,
  clusterPodCIDRs: [...POD_CIDRS, '10.0.2.0/24'],
  controllers: [],
  nodeAddresses: [NODE_ADDRESS, '172.16.0.12'],
  uplinks: ['eth0'],
}

const DEFAULTS: FirewallConfig = { acceptPodTraffic: true, masquerade: false, podPools: [], nonMasqueradeCIDRs: [] }

export class OneNode {
  readonly network = new TestNetwork()
  readonly folder = mkdtempSync(join(tmpdir(), 'te-firewall-'))
  readonly node = this.network.namespace('node')
  readonly pod = this.network.namespace('pod')
  readonly outside = this.network.namespace('outside')
  readonly #firewalls: NodeFirewall[] = []

  constructor() {
    const { network, node, pod, outside } = this
    network.exec(node, [
      'sh',
      '-c',
      'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
    ])
    network.connect(
      { namespace: node, interface: 'eth0', addresses: [`${NODE_ADDRESS}/24`, 'fd16::11/64'] },
      { namespace: outside, interface: 'eth0', addresses: ['172.16.0.254/24', 'fd16::254/64'] },
    )
    network.connect(
      { namespace: pod, interface: 'eth0', addresses: [`${POD_ADDRESS}/32`, `${POD_ADDRESS_V6}/128`] },
      { namespace: node, interface: 'te5', addresses: ['169.254.1.1/32', 'fe80::1/64'] },
    )
    network.ip(outside, `addr add ${FAR}/32 dev lo`)
    network.ip(outside, 'addr add 2001:db8::1/128 dev lo')
    network.ip(node, 'route add default via 172.16.0.254')
    network.ip(node, '-6 route add default via fd16::254')
    network.ip(pod, 'route add 169.254.1.1 dev eth0')
    network.ip(pod, 'route add default via 169.254.1.1')
    network.ip(pod, '-6 route add default via fe80::1 dev eth0')
    network.ip(node, `route add ${POD_ADDRESS}/32 dev te5`)
    network.ip(node, `-6 route add ${POD_ADDRESS_V6}/128 dev te5`)
    network.ip(outside, `route add 10.0.1.0/24 via ${NODE_ADDRESS}`)
    network.ip(outside, '-6 route add fd10:1::/64 via fd16::11')
  }

  get netns(): string {
    return this.network.path(this.node)
  }

  /** Starts a firewall in the node. */
  firewall(config: Partial<FirewallConfig> = {}): NodeFirewall {
    const firewall = createFirewall({
      clock: systemClock,
      log: silentLog,
      netns: this.netns,
      config: { ...DEFAULTS, ...config },
    })
    this.#firewalls.push(firewall)
    return firewall
  }

  /** Runs a command in the node and returns what it printed. */
  run(...command: string[]): string {
    return this.network.exec(this.node, command).stdout
  }

  /** Whether `from` gets an answer from `to`. */
  pings(from: string, to: string): boolean {
    return this.network.exec(from, ['ping', '-c1', '-W1', to], { mayFail: true }).status === 0
  }

  async close(): Promise<void> {
    await Promise.all(this.#firewalls.map(firewall => firewall.close()))
    await this.network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
