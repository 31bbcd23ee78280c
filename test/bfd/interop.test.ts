/**
 * BFD against BIRD and FRR over a veth pair, with the sessions in the worker: up, a peer that
 * hangs, a cut link, AdminDown both ways, packets that a router forwarded, and a main thread that
 * is busy. What is asserted of time has wide bounds: it tells a Detection Time from a hold time,
 * not a fast machine from a slow one.
 */
import { expect } from 'bun:test'
import { createBfd } from '../../src/bfd/bfd.ts'
import type { Bfd, BfdEvent, BfdSessionConfig } from '../../src/bfd/bfd-types.ts'
import { encodePacket } from '../../src/bfd/packet.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { peerPacket } from './packets.ts'
import { BFD_ROUTER_NEEDS, type BfdRouter, type BfdRouterKind, createBfdRouter } from './routers.ts'

const NODE = { ipv4: '10.9.0.1', ipv6: 'fd00:9::1' } as const
const SWITCH = { ipv4: '10.9.0.254', ipv6: 'fd00:9::254' } as const
const FAMILIES = ['ipv4', 'ipv6'] as const

class Wire {
  readonly network = new TestNetwork()
  readonly node = this.network.namespace('node')
  readonly switch = this.network.namespace('switch')
  readonly events: BfdEvent[] = []
  readonly router: BfdRouter
  readonly bfd: Bfd

  constructor(kind: BfdRouterKind) {
    this.network.connect(
      { namespace: this.node, interface: 'eth0', addresses: [`${NODE.ipv4}/24`, `${NODE.ipv6}/64`] },
      { namespace: this.switch, interface: 'eth0', addresses: [`${SWITCH.ipv4}/24`, `${SWITCH.ipv6}/64`] },
    )
    this.router = createBfdRouter(kind, this.network, this.switch, {
      neighbours: [NODE.ipv4, NODE.ipv6],
      intervalMilliseconds: 50,
      multiplier: 3,
    })
    this.bfd = createBfd({ clock: systemClock, log: silentLog, networkNamespace: this.network.path(this.node) })
    this.bfd.onEvent(event => this.events.push(event))
  }

  want(change: Partial<BfdSessionConfig> = {}): void {
    const sessions = FAMILIES.map(family => ({
      key: family,
      peerAddress: SWITCH[family],
      interface: 'eth0',
      minimumIntervalMilliseconds: 50,
      multiplier: 3,
      ...change,
    }))
    this.bfd.setSessions(sessions)
  }

  states(): string[] {
    return FAMILIES.map(key => this.bfd.sessions().find(session => session.key === key)?.state ?? 'none')
  }

  async become(state: string): Promise<void> {
    try {
      await eventually(`both sessions ${state}`, () => this.states().every(now => now === state))
    } catch (error) {
      throw new Error(`${this.router.show()}\n${JSON.stringify(this.bfd.sessions())}`, { cause: error })
    }
  }

  async routerBecomes(state: string): Promise<void> {
    await eventually(`the router says ${state}`, () =>
      FAMILIES.every(family => this.router.session(NODE[family])?.state === state),
    )
  }

  async up(change: Partial<BfdSessionConfig> = {}): Promise<void> {
    await this.router.start()
    this.want(change)
    await this.become('Up')
    await this.routerBecomes('up')
  }

  downs(): Extract<BfdEvent, { kind: 'down' }>[] {
    return this.events.flatMap(event => (event.kind === 'down' ? [event] : []))
  }

  async close(): Promise<void> {
    await this.bfd.close()
    this.router.close()
    await this.network.close()
  }
}

for (const kind of ['bird', 'frr'] satisfies BfdRouterKind[]) {
  const withWire = (name: string, body: (wire: Wire) => Promise<void>) =>
    testNeeding(...BFD_ROUTER_NEEDS[kind])(
      `${kind}: ${name}`,
      async () => {
        const wire = new Wire(kind)
        try {
          await body(wire)
        } finally {
          await wire.close()
        }
      },
      300_000,
    )

  withWire('up over both families, as negotiated, and a peer that hangs is missed', async wire => {
    await wire.up()
    const detection = () => wire.bfd.sessions().map(({ detectionTimeMilliseconds }) => detectionTimeMilliseconds)
    await eventually('150 ms on our side', () => detection().every(milliseconds => milliseconds === 150))
    await eventually('150 ms on the router', () =>
      FAMILIES.every(family => wire.router.session(NODE[family])?.detectionTimeMilliseconds === 150),
    )
    const hangsAt = systemClock.now()
    wire.router.signal('SIGSTOP')
    await wire.become('Down')
    for (const { key, at, reason, administrative } of wire.downs()) {
      const peer = key === 'ipv4' ? SWITCH.ipv4 : SWITCH.ipv6
      expect(reason).toBe(`nothing from ${peer} for 150 ms (Control Detection Time Expired)`)
      expect(administrative).toBe(false)
      expect(at - hangsAt).toBeLessThan(3_000) // a BGP hold time is 90 s
    }
    wire.router.signal('SIGCONT')
    await wire.become('Up')
  })

  withWire('a cut link takes both sides down, and they come back', async wire => {
    await wire.up()
    wire.network.ip(wire.node, 'link set eth0 down')
    await wire.become('Down')
    await wire.routerBecomes('down')
    wire.network.ip(wire.node, 'link set eth0 up')
    wire.network.ip(wire.node, `addr replace ${NODE.ipv6}/64 dev eth0 nodad`)
    await wire.become('Up')
    await wire.routerBecomes('up')
  })

  withWire('packets with TTL 254 are ignored', async wire => {
    wire.network.exec(wire.switch, [
      'nft',
      'add table inet t; add chain inet t out { type filter hook output priority 0; }; ' +
        'add rule inet t out udp dport 3784 ip ttl set 254; add rule inet t out udp dport 3784 ip6 hoplimit set 254',
    ])
    await wire.router.start()
    wire.want()
    // the router hears us and says so, which we must not believe
    await wire.routerBecomes('init')
    await Bun.sleep(1500)
    expect(wire.states()).toEqual(['Down', 'Down'])
    expect(wire.bfd.sessions().map(({ remoteState }) => remoteState)).toEqual(['Down', 'Down'])
    wire.network.exec(wire.switch, ['nft', 'delete table inet t'])
    await wire.become('Up')
  })

  withWire('packets from another link are not ours, whoever they say they are from', async wire => {
    const pod = wire.network.namespace('pod')
    wire.network.connect(
      { namespace: wire.node, interface: 'pod0', addresses: ['10.8.0.1/24', 'fd00:8::1/64'] },
      { namespace: pod, interface: 'eth0', addresses: ['10.8.0.2/24', 'fd00:8::2/64'] },
    )
    for (const [forged, to] of [
      [SWITCH.ipv4, '10.8.0.1'],
      [SWITCH.ipv6, 'fd00:8::1'],
    ]) {
      wire.network.ip(pod, `addr add ${forged} dev eth0 nodad`)
      wire.network.ip(pod, `route replace ${forged === SWITCH.ipv4 ? NODE.ipv4 : NODE.ipv6} via ${to} src ${forged}`)
    }
    wire.network.exec(wire.node, [
      'sh',
      '-c',
      'for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $file; done; nft "add table inet t; ' +
        'add chain inet t in { type filter hook input priority 0; }; add rule inet t in iifname pod0 udp dport 3784 counter"',
    ])
    await wire.up()
    const down = encodePacket(peerPacket({ state: 'Down', yourDiscriminator: 0 }))
    for (const family of FAMILIES) {
      const source = `const socket = await Bun.udpSocket({ hostname: '${SWITCH[family]}', port: 50000 })
        socket.setTTL(255)
        for (let count = 0; count < 5; count++) socket.send(new Uint8Array([${down.join()}]), 3784, '${NODE[family]}')
        socket.close()`
      wire.network.exec(pod, [process.execPath, '-e', source])
    }
    const arrived = () => wire.network.exec(wire.node, ['nft', 'list', 'table', 'inet', 't']).stdout
    await eventually('they arrive', () => arrived().includes('packets 10'))
    await Bun.sleep(300)
    // a forged one gives no diagnostic; on a busy machine the router itself may miss some packets
    expect(wire.downs().filter(({ reason }) => !/Detection Time/i.test(reason ?? ''))).toEqual([])
    await eventually('it is up', () => wire.states().every(state => state === 'Up'))
  })

  withWire('nothing leaves by another link when the address or the link is gone', async wire => {
    const other = wire.network.namespace('other')
    wire.network.connect(
      { namespace: wire.node, interface: 'eth1', addresses: ['10.8.0.1/24', 'fd00:8::1/64'] },
      { namespace: other, interface: 'eth0', addresses: ['10.8.0.2/24', 'fd00:8::2/64'] },
    )
    wire.network.ip(wire.node, 'route add default via 10.8.0.2')
    wire.network.ip(wire.node, '-6 route add default via fd00:8::2')
    wire.network.exec(other, [
      'nft',
      'add table inet t; add chain inet t in { type filter hook prerouting priority 0; }; ' +
        'add rule inet t in udp dport 3784 counter',
    ])
    await wire.up()
    wire.network.ip(wire.node, `addr del ${NODE.ipv4}/24 dev eth0`)
    wire.network.ip(wire.node, `addr del ${NODE.ipv6}/64 dev eth0`)
    await wire.become('Down')
    wire.network.ip(wire.node, 'link set eth0 down')
    await Bun.sleep(2_500) // some packets, one a second
    expect(wire.network.exec(other, ['nft', 'list', 'table', 'inet', 't']).stdout).toContain('packets 0')
  })

  withWire('our AdminDown is understood, and a new session comes up', async wire => {
    await wire.up()
    wire.bfd.setSessions([])
    await wire.routerBecomes('down')
    expect(wire.bfd.sessions()).toEqual([])
    expect(wire.downs()).toEqual([])
    wire.want()
    await wire.become('Up')
    await wire.bfd.close()
    await wire.routerBecomes('down')
  })

  withWire('a changed interval keeps the session', async wire => {
    await wire.up()
    wire.want({ minimumIntervalMilliseconds: 200, multiplier: 4 })
    await eventually('800 ms on the router', () =>
      FAMILIES.every(family => wire.router.session(NODE[family])?.detectionTimeMilliseconds === 800),
    )
    wire.want({ minimumIntervalMilliseconds: 100 })
    await eventually('300 ms on the router', () =>
      FAMILIES.every(family => wire.router.session(NODE[family])?.detectionTimeMilliseconds === 300),
    )
    expect(wire.downs()).toEqual([])
  })

  withWire('a main thread that is busy for 2 s loses no session', async wire => {
    // 600 ms to detect: far below 2 s, and other tests are busy too
    await wire.up({ minimumIntervalMilliseconds: 200 })
    const end = performance.now() + 2_000
    while (performance.now() < end) void Math.sqrt(end)
    await Bun.sleep(100) // what the worker told meanwhile
    expect(wire.downs()).toEqual([])
    expect(wire.states()).toEqual(['Up', 'Up'])
    for (const family of FAMILIES) expect(wire.router.session(NODE[family])?.state).toBe('up')
  })

  if (kind === 'frr') {
    withWire("the peer's AdminDown is told as such", async wire => {
      await wire.up()
      wire.router.shutdown(true)
      await wire.become('Down')
      expect(wire.downs().map(({ administrative }) => administrative)).toEqual([true, true])
      wire.router.shutdown(false)
      await wire.become('Up')
    })
  }
}
