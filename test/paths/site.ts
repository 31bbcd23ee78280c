/**
 * Machines for tests of paths: a LAN of two nodes behind one switch, another LAN behind a second,
 * joined by a line. Routes stand as the agent and BGP would have made them; on every node runs a
 * prober and nothing else.
 */
import { TestNetwork } from '../support/namespaces.ts'

const VIEW = {
  entries: [
    { node: 'a1', addresses: ['172.16.0.11'], podCIDRs: ['10.0.0.0/25', 'fd10:1::/64'], peers: ['lan-a'] },
    { node: 'a2', addresses: ['172.16.0.12'], podCIDRs: ['10.0.0.128/25', 'fd10:2::/64'], peers: ['lan-a'] },
    { node: 'b1', addresses: ['172.17.0.11'], podCIDRs: ['10.0.1.0/25'], peers: ['lan-b'] },
  ],
  peers: [
    { name: 'lan-a', spec: { peerIP: '172.16.0.1' } },
    { name: 'lan-b', spec: { peerIP: '172.17.0.1' } },
  ],
}

const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  a1: ['172.16.0.11/24 dev eth0', 'fd16::11/64 dev eth0 nodad'],
  a2: ['172.16.0.12/24 dev eth0', 'fd16::12/64 dev eth0 nodad'],
  b1: ['172.17.0.11/24 dev eth0'],
  'sw-a': ['172.16.0.1/24 dev br0', '192.0.2.1/30 dev line'],
  'sw-b': ['172.17.0.1/24 dev p1', '192.0.2.2/30 dev line'],
}

const ROUTES: Readonly<Record<string, readonly string[]>> = {
  a1: ['10.0.0.128/25 via 172.16.0.12', '10.0.1.0/25 via 172.16.0.1', 'fd10:2::/64 via fd16::12'],
  a2: ['10.0.0.0/25 via 172.16.0.11', '10.0.1.0/25 via 172.16.0.1', 'fd10:1::/64 via fd16::11'],
  b1: ['10.0.0.0/24 via 172.17.0.1'],
  'sw-a': ['10.0.0.0/25 via 172.16.0.11', '10.0.0.128/25 via 172.16.0.12', '10.0.1.0/25 via 192.0.2.2'],
  'sw-b': ['10.0.0.0/24 via 192.0.2.1', '10.0.1.0/25 via 172.17.0.11'],
}

/** What a prober says, as far as the tests read it. */
export interface Report {
  readonly verdict: {
    readonly findings: readonly {
      readonly place: string
      readonly message: string
      readonly podCIDRs: readonly string[]
    }[]
    readonly switches: readonly {
      readonly bgpPeer: string
      readonly status: string
      readonly missing: readonly string[]
    }[]
  }
  readonly problems: readonly string[]
  readonly histories: readonly { readonly outcomes: readonly { readonly refused?: boolean }[] }[]
}

export class Site implements AsyncDisposable {
  readonly #network = new TestNetwork()
  readonly #names = new Map<string, string>()
  readonly #last = new Map<string, Report>()
  readonly #children = new Map<string, { kill(signal: NodeJS.Signals): void }>()

  constructor() {
    for (const name of Object.keys(ADDRESSES)) {
      this.#names.set(name, this.#network.namespace(name))
      this.run(name, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
    }
    this.ip('sw-a', 'link add br0 type bridge')
    this.#wire('a1', 'eth0', 'sw-a', 'p1')
    this.#wire('a2', 'eth0', 'sw-a', 'p2')
    this.ip('sw-a', 'link set p1 master br0')
    this.ip('sw-a', 'link set p2 master br0')
    this.ip('sw-a', 'link set br0 up')
    this.#wire('sw-a', 'line', 'sw-b', 'line')
    this.#wire('b1', 'eth0', 'sw-b', 'p1')
    for (const [name, list] of Object.entries(ADDRESSES)) for (const one of list) this.ip(name, `addr add ${one}`)
    for (const [name, list] of Object.entries(ROUTES)) for (const one of list) this.ip(name, `route add ${one}`)
  }

  /** `ip` on a machine, in words. */
  ip(name: string, words: string): void {
    this.#network.ip(this.#full(name), words)
  }

  /** Runs a program on a machine to its end. */
  run(name: string, ...command: string[]): string {
    return this.#network.exec(this.#full(name), command).stdout
  }

  /** Starts the prober of a node. */
  start(node: string): void {
    const command = [process.execPath, `${import.meta.dir}/node-child.ts`, JSON.stringify(VIEW), node]
    const child = this.#network.spawn(this.#full(node), command)
    this.#children.set(node, child)
    void this.#read(node, child.stdout)
  }

  /** Kills it. */
  stop(node: string): void {
    this.#children.get(node)?.kill('SIGKILL')
  }

  /** Of how many targets the last word is of their kernel, as their process is away. */
  refusals(node: string): number {
    return (this.said(node)?.histories ?? []).filter(({ outcomes }) => outcomes.at(-1)?.refused === true).length
  }

  /** What a node's prober said last. */
  said(node: string): Report | undefined {
    return this.#last.get(node)
  }

  places(node: string): string[] {
    return [...new Set((this.said(node)?.verdict.findings ?? []).map(({ place }) => place))].sort()
  }

  /** Both nodes of the LAN have proved the switch's routes, and nobody has anything to say. */
  calm(): boolean {
    const proved = ['a1', 'a2'].every(node => this.said(node)?.verdict.switches[0]?.status === 'True')
    return proved && ['a1', 'a2', 'b1'].every(node => this.places(node).length === 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#network.close()
  }

  #full(name: string): string {
    const full = this.#names.get(name)
    if (full === undefined) throw new Error(`no machine ${name}`)
    return full
  }

  #wire(a: string, aInterface: string, b: string, bInterface: string): void {
    this.#network.connect(
      { namespace: this.#full(a), interface: aInterface },
      { namespace: this.#full(b), interface: bInterface },
    )
  }

  async #read(node: string, stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of stream) {
      const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n')
      rest = lines.pop() ?? ''
      const last = lines.at(-1)
      if (last !== undefined) this.#last.set(node, JSON.parse(last))
    }
  }
}
