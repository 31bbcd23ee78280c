/**
 * Two LANs of two nodes behind one router, in namespaces: bridges for the switches, static routes
 * on the router in place of what BGP would tell it. Nodes are `a1`, `a2` (172.16.0.x) and `b1`,
 * `b2` (172.16.1.x); the router is .254 of each LAN and their default gateway. On request nobody
 * but pods has an IPv4 address, as where a switch learned IPv4 prefixes by RFC 8950.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent } from '../../src/agent/reconcile.ts'
import { attachPod } from '../../src/cni/veth.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { canonicalAddress } from '../../src/lib/ip.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { bgpPeer, entry, PlainView } from '../support/cluster.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'

export const NODES = {
  a1: { lan: 0, host: 11, pods: 1 },
  a2: { lan: 0, host: 12, pods: 2 },
  b1: { lan: 1, host: 13, pods: 3 },
  b2: { lan: 1, host: 14, pods: 4 },
} as const
export type NodeName = keyof typeof NODES
export const NODE_NAMES = ['a1', 'a2', 'b1', 'b2'] as const

/** What nodes and switches have; pods have both. */
export type LanFamilies = 'both' | 'ipv6'

export const PEERS = [0, 1].map(lan => bgpPeer(`lan-${lan}`, { peerIP: `172.16.${lan}.254` }))
export const ENTRIES: readonly RouteEntry[] = NODE_NAMES.map(name => {
  const { lan, host } = NODES[name]
  return entry(name, [`172.16.${lan}.${host}`, ipv6Of(lan, host)], podCIDRs(name), [`lan-${lan}`])
})
export const IPV6_PEERS = [0, 1].map(lan => bgpPeer(`lan-${lan}`, { peerIP: ipv6Of(lan, 'fe') }))
export const IPV6_ENTRIES = ENTRIES.map(one => ({ ...one, addresses: one.addresses.slice(1) }))

function ipv6Of(lan: number, host: number | string): string {
  return canonicalAddress(`fd16:${lan}::${host}`) ?? ''
}

function podCIDRs(name: NodeName): string[] {
  const { pods } = NODES[name]
  return [`10.0.${pods}.0/24`, `fd10:${pods}::/64`]
}

export class TwoLans {
  readonly network = new TestNetwork()
  readonly folder = mkdtempSync(join(tmpdir(), 'te-agent-'))
  readonly #router = this.network.namespace('router')
  readonly #nodes = new Map<NodeName, string>()
  readonly #agents: Agent[] = []
  readonly #ipv4: boolean

  constructor(families: LanFamilies = 'both') {
    const { network } = this
    this.#ipv4 = families === 'both'
    network.exec(this.#router, [
      'sh',
      '-c',
      'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
    ])
    for (const lan of [0, 1]) {
      network.ip(this.#router, `link add lan${lan} type bridge`)
      if (this.#ipv4) network.ip(this.#router, `addr add 172.16.${lan}.254/24 dev lan${lan}`)
      network.ip(this.#router, `addr add fd16:${lan}::fe/64 dev lan${lan} nodad`)
      network.ip(this.#router, `link set lan${lan} up`)
    }
    for (const name of NODE_NAMES) this.#addNode(name)
  }

  #addNode(name: NodeName): void {
    const { network } = this
    const { lan, host, pods } = NODES[name]
    const node = network.namespace(name)
    this.#nodes.set(name, node)
    const port = { namespace: this.#router, interface: `p-${name}` }
    const addresses = [...(this.#ipv4 ? [`172.16.${lan}.${host}/24`] : []), `fd16:${lan}::${host}/64`]
    network.connect({ namespace: node, interface: 'eth0', addresses }, port)
    network.ip(this.#router, `link set p-${name} master lan${lan}`)
    if (this.#ipv4) network.ip(node, `route add default via 172.16.${lan}.254`)
    network.ip(node, `-6 route add default via fd16:${lan}::fe`)
    const nextHop = this.#ipv4 ? `172.16.${lan}.${host}` : `inet6 fd16:${lan}::${host}`
    network.ip(this.#router, `route add 10.0.${pods}.0/24 via ${nextHop}`)
    network.ip(this.#router, `-6 route add fd10:${pods}::/64 via fd16:${lan}::${host}`)
  }

  node(name: NodeName): string {
    return this.#nodes.get(name) ?? ''
  }

  stateDir(name: NodeName): string {
    return join(this.folder, name)
  }

  confDir(name: NodeName): string {
    return join(this.folder, `${name}-cni`)
  }

  /** Starts an agent as node `name`. */
  start(name: NodeName, view = new PlainView(ENTRIES, PEERS), protocol = 187): { agent: Agent; view: PlainView } {
    const agent = createAgent({
      clock: systemClock,
      log: silentLog,
      self: name,
      view,
      netns: this.network.path(this.node(name)),
      config: {
        protocol,
        table: 254,
        stateDir: this.stateDir(name),
        cni: { confDir: this.confDir(name), binDir: join(this.confDir(name), 'bin'), mtu: 'auto' },
      },
    })
    this.#agents.push(agent)
    return { agent, view }
  }

  /** The routes with our protocol number, as `ip` prints them, without what the kernel adds. */
  routes(name: NodeName, protocol = 187): string[] {
    const text = ['-4', '-6']
      .map(family => this.network.ip(this.node(name), `${family} route show proto ${protocol}`))
      .join('')
    return text
      .split('\n')
      .map(line =>
        line
          .replace(/ (proto|metric|pref|dev) \S+/g, '')
          .replace(/\s+(linkdown|onlink)/g, '')
          .trim(),
      )
      .filter(line => line !== '')
  }

  /** Waits until node `name` has exactly these (see `routes`). */
  routesBecome(name: NodeName, expected: readonly string[], seconds?: number): Promise<unknown> {
    return eventually(
      `routes ${expected.join(', ')}`,
      () => {
        const there = this.routes(name)
        if (there.toSorted().join() === expected.toSorted().join()) return true
        throw new Error(there.join(', '))
      },
      seconds,
    )
  }

  /** A pod of addresses .5 and ::5, wired by the CNI plugin's own code. Returns its namespace. */
  addPod(name: NodeName): string {
    const { network } = this
    const { pods } = NODES[name]
    const pod = network.namespace(`pod-${name}`)
    const wire = {
      hostInterface: 'te00000000005',
      hostMac: '02:00:5e:10:05:01',
      podMac: '02:00:5e:10:05:02',
      alias: 'test',
      namespacePath: network.path(pod),
      interfaceName: 'eth0',
      addresses: [`10.0.${pods}.5`, `fd10:${pods}::5`],
      mtu: 1500,
    }
    inNetworkNamespace(network.path(this.node(name)), () => {
      const host = Rtnetlink.open()
      try {
        attachPod(host, wire)
      } finally {
        host.close()
      }
    })
    return pod
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map(agent => agent.close()))
    await this.network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
