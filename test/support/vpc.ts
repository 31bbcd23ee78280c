/**
 * A VPC for tests: one namespace, each elastic network interface a routed port of it. As in the
 * cloud, nobody is asked by ARP who has an address: the VPC knows which interface owns it (a route
 * and a permanent neighbour entry), answers for every address itself, and drops and counts what an
 * interface sends from an address that it does not own.
 */
import { familyOf } from '../../src/lib/ip.ts'
import { run, type TestNetwork } from './namespaces.ts'

export interface Port {
  /** Of the interface inside its machine. */
  readonly interface: string
  readonly namespace: string
  readonly mac: string
  /** The VPC's end. */
  readonly port: string
}

export class Vpc {
  readonly network: TestNetwork
  readonly namespace: string
  readonly #gateways: readonly string[]
  #ports = 0

  /** `gateways`: of the vSwitches, both families. */
  constructor(network: TestNetwork, gateways: readonly string[]) {
    this.network = network
    this.namespace = network.namespace('vpc')
    this.#gateways = gateways
    const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.rp_filter=0']
    const neighbours = ['net.ipv6.conf.default.accept_dad=0']
    network.exec(this.namespace, ['sysctl', '-qw', ...settings, ...neighbours, 'net.ipv4.conf.default.rp_filter=0'])
    for (const gateway of gateways) {
      if (familyOf(gateway) === 'ipv4') network.ip(this.namespace, `addr add ${gateway}/32 dev lo`)
    }
    this.#nft(`table inet vpc {
  set owned4 { type ifname . ipv4_addr; }
  set owned6 { type ifname . ipv6_addr; }
  counter spoofed { }
  chain prerouting {
    type filter hook prerouting priority -400;
    iifname "p*" ip saddr 0.0.0.0 accept
    iifname "p*" ip6 saddr { ::/128, fe80::/10 } accept
    iifname "p*" icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
    iifname "p*" meta protocol ip iifname . ip saddr != @owned4 counter name spoofed drop
    iifname "p*" meta protocol ip6 iifname . ip6 saddr != @owned6 counter name spoofed drop
  }
}`)
  }

  /**
   * Gives a machine an interface that owns `addresses`. It is born down and without any of them,
   * unless `configured`.
   */
  attach(input: {
    readonly namespace: string
    readonly interface: string
    readonly mac: string
    readonly addresses: readonly string[]
    /** Up, with its addresses, as the primary interface of a machine is. */
    readonly configured?: boolean
  }): Port {
    const { network } = this
    const { namespace, mac, addresses } = input
    const port = { interface: input.interface, namespace, mac, port: `p${++this.#ports}` }
    const ours = ['ip', 'link', 'add', port.port, 'netns', this.namespace, 'type', 'veth', 'peer', 'name']
    run([...ours, port.interface, 'address', mac, 'netns', namespace])
    network.exec(this.namespace, [
      'sysctl',
      '-qw',
      `net.ipv4.conf.${port.port}.proxy_arp=1`,
      `net.ipv4.neigh.${port.port}.proxy_delay=0`,
    ])
    network.ip(this.namespace, `link set ${port.port} up`)
    for (const gateway of this.#gateways) {
      if (familyOf(gateway) === 'ipv6') network.ip(this.namespace, `addr add ${gateway}/128 dev ${port.port} nodad`)
    }
    for (const address of addresses) this.own(port, address)
    if (input.configured !== true) return port
    for (const address of addresses) {
      network.ip(namespace, `addr add ${address}/${familyOf(address) === 'ipv4' ? 32 : 128} dev ${port.interface}`)
    }
    network.ip(namespace, `link set ${port.interface} up`)
    for (const gateway of this.#gatewaysOf(addresses)) {
      const family = familyOf(gateway) === 'ipv4' ? '-4' : '-6'
      network.ip(namespace, `${family} route add default via ${gateway} dev ${port.interface} onlink`)
    }
    return port
  }

  /** An interface gets an address, as by AssignPrivateIpAddresses. */
  own(port: Port, address: string): void {
    const { network, namespace } = this
    const length = familyOf(address) === 'ipv4' ? 32 : 128
    network.ip(namespace, `route replace ${address}/${length} dev ${port.port}`)
    network.ip(namespace, `neigh replace ${address} lladdr ${port.mac} dev ${port.port} nud permanent`)
    this.#nft(`add element inet vpc ${setOf(address)} { "${port.port}" . ${address} }`)
  }

  disown(port: Port, address: string): void {
    const length = familyOf(address) === 'ipv4' ? 32 : 128
    this.network.ip(this.namespace, `route del ${address}/${length} dev ${port.port}`)
    this.#nft(`delete element inet vpc ${setOf(address)} { "${port.port}" . ${address} }`)
  }

  /** A route of the VPC, to a range behind one of its machines, which may then send from there. */
  route(destination: string, via: string, port: Port): void {
    this.network.ip(this.namespace, `route add ${destination} via ${via} dev ${port.port} onlink`)
    this.#nft(`insert rule inet vpc prerouting iifname "${port.port}" ip saddr ${destination} accept`)
  }

  /** The interface is detached: it is gone from its machine. */
  detach(port: Port): void {
    this.network.ip(this.namespace, `link del ${port.port}`)
  }

  /** How many packets an interface sent from an address that it does not own. */
  spoofed(): number {
    const listing = this.network.exec(this.namespace, ['nft', 'list', 'counter', 'inet', 'vpc', 'spoofed']).stdout
    return Number(/packets (\d+)/.exec(listing)?.[1])
  }

  #gatewaysOf(addresses: readonly string[]): readonly string[] {
    const families = new Set(addresses.map(familyOf))
    return [...families].flatMap(family => this.#gateways.find(gateway => familyOf(gateway) === family) ?? [])
  }

  #nft(script: string): void {
    run(['ip', 'netns', 'exec', this.namespace, 'nft', '-f', '-'], { stdin: script })
  }
}

function setOf(address: string): string {
  return familyOf(address) === 'ipv4' ? 'owned4' : 'owned6'
}
