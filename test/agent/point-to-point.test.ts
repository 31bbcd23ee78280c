/**
 * A node that hangs on a point-to-point link (PPP, LTE): its default route names a device and no
 * gateway. The real kernel; the link is a veth without ARP, which like PPP has a peer and no
 * neighbours.
 */
import { expect } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent } from '../../src/agent/reconcile.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { bgpPeer, entry, PlainView } from '../support/cluster.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const ENTRIES = [
  entry('edge', ['172.20.0.1', 'fd20::1'], ['10.0.1.0/24', 'fd10:1::/64'], []),
  // no BGPPeer selects either: a LAN by link, if they were on one
  entry('far', ['192.0.2.9', '2001:db8::9'], ['10.0.9.0/24', 'fd10:9::/64'], []),
]
const POD_INTERFACE = 'te0123456789a' // as the plugin names them
const BY_DEVICE = ['10.0.9.0/24 dev ppp0 scope link', 'fd10:9::/64 dev ppp0 metric 1024 pref medium']

class Site {
  readonly network = new TestNetwork()
  readonly node = this.network.namespace('edge')
  readonly far = this.network.namespace('far')
  readonly folder = mkdtempSync(join(tmpdir(), 'te-ppp-'))
  #agent: Agent | undefined

  readonly pod = this.network.namespace('pod')

  constructor() {
    this.#addPod()
    // a pod's address over there, with no pod around it
    this.network.ip(this.far, 'addr add 10.0.9.5/32 dev lo')
    this.network.ip(this.far, 'addr add fd10:9::5/128 dev lo nodad')
    this.dial()
  }

  /** 10.0.1.5 and fd10:1::5 behind an interface as pods have it. */
  #addPod(): void {
    const { network, node, pod } = this
    network.connect({ namespace: node, interface: POD_INTERFACE }, { namespace: pod, interface: 'eth0' })
    for (const [family, own, gateway] of [
      ['-4', '10.0.1.5/32', '169.254.1.1/32'],
      ['-6', 'fd10:1::5/128', 'fd00:1::1/128'],
    ] as const) {
      const noDad = family === '-6' ? ' nodad' : ''
      network.ip(node, `${family} addr add ${gateway} dev ${POD_INTERFACE}${noDad}`)
      network.ip(node, `${family} route add ${own} dev ${POD_INTERFACE}`)
      network.ip(pod, `${family} addr add ${own} dev eth0${noDad}`)
      network.ip(pod, `${family} route add ${gateway} dev eth0`)
      network.ip(pod, `${family} route add default via ${gateway.split('/')[0]} dev eth0`)
    }
    const on = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']
    network.exec(node, ['sysctl', '-qw', ...on])
  }

  /** Makes the link, with its addresses and default routes. */
  dial(): void {
    const { network, node, far } = this
    network.connect({ namespace: node, interface: 'ppp0' }, { namespace: far, interface: 'ppp0' })
    for (const [namespace, own, peer] of [
      [node, 1, 2],
      [far, 2, 1],
    ] as const) {
      network.ip(namespace, 'link set ppp0 down')
      // for both ends: no ARP tells them apart
      network.ip(namespace, 'link set ppp0 arp off address 02:00:5e:10:00:01')
      network.ip(namespace, `addr add 172.20.0.${own} peer 172.20.0.${peer} dev ppp0`)
      network.ip(namespace, `addr add fd20::${own} peer fd20::${peer} dev ppp0 nodad`)
      network.ip(namespace, 'link set ppp0 up')
      network.ip(namespace, 'route add default dev ppp0')
      network.ip(namespace, '-6 route add default dev ppp0')
    }
  }

  start(view: PlainView): Agent {
    this.#agent = createAgent({
      clock: systemClock,
      log: silentLog,
      self: 'edge',
      view,
      netns: this.network.path(this.node),
      config: {
        protocol: 187,
        table: 254,
        stateDir: join(this.folder, 'state'),
        cni: { confDir: join(this.folder, 'cni'), binDir: join(this.folder, 'bin'), mtu: 'auto' },
      },
    })
    return this.#agent
  }

  routesToBe(expected: readonly string[]): Promise<unknown> {
    return eventually(`routes ${expected.join(', ')}`, () => {
      const there = ['-4', '-6'].flatMap(family =>
        this.network
          .ip(this.node, `${family} route show proto 187 type unicast`)
          .split('\n')
          .map(line => line.trim())
          .filter(line => line !== ''),
      )
      if (there.join() === expected.join()) return true
      throw new Error(there.join(', '))
    })
  }

  pings(from: string, source: string, to: string): boolean {
    return this.network.exec(from, ['ping', '-c1', '-W1', '-I', source, to], { mayFail: true }).status === 0
  }

  async close(): Promise<void> {
    await this.#agent?.close()
    await this.network.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const rooted = (name: string, body: (site: Site) => Promise<void>) =>
  testNeeding('root', 'ip', 'ping')(
    name,
    async () => {
      const site = new Site()
      try {
        await body(site)
      } finally {
        await site.close()
      }
    },
    300_000,
  )

rooted(
  'pods of others are reached over the device of the default route, both ways, also after it was dialled anew',
  async site => {
    const agent = site.start(new PlainView(ENTRIES))
    const show = ['-4', '-6'].map(family => site.network.ip(site.node, `${family} route show default`))
    expect(show.join()).not.toContain('via')
    await site.routesToBe(BY_DEVICE)
    expect(agent.problems).toEqual([])
    expect(agent.view().filter(({ reason }) => reason === 'gateway')).toMatchObject([
      { destination: '10.0.9.0/24', via: [], interface: 'ppp0', state: 'present' },
      { destination: 'fd10:9::/64', via: [], interface: 'ppp0', state: 'present' },
    ])
    site.network.ip(site.node, 'route del 10.0.9.0/24')
    await site.routesToBe(BY_DEVICE)
    const reachable = () =>
      site.pings(site.pod, '10.0.1.5', '10.0.9.5') &&
      site.pings(site.pod, 'fd10:1::5', 'fd10:9::5') &&
      site.pings(site.far, '10.0.9.5', '10.0.1.5')
    await eventually('pings both ways', reachable)

    site.network.ip(site.node, 'link del ppp0')
    await eventually('the loss to be reported', () => agent.view().some(({ state }) => state === 'failed'))
    site.dial()
    await site.routesToBe(BY_DEVICE)
    await eventually('pings both ways again', reachable)
    await eventually('no problem', () => agent.problems.length === 0)
  },
)

rooted('the peer of the link is on-link; what lies behind it is not', async site => {
  const entries = [...ENTRIES, entry('other-end', ['172.20.0.2'], ['10.0.2.0/24'], [])]
  // nor does the device of a BGPPeer somewhere behind the link become a gateway
  site.start(
    new PlainView(
      entries.map(one => ({ ...one, peers: ['lan'] })),
      [bgpPeer('lan', { peerIP: '192.0.2.1' })],
    ),
  )
  await site.routesToBe(['10.0.2.0/24 via 172.20.0.2 dev ppp0', ...BY_DEVICE])
})

rooted('a gateway that only its route makes on-link, as of an address alone (/32), may be named', async site => {
  const { network, node } = site
  network.ip(node, '-4 addr flush dev ppp0')
  network.ip(node, 'addr add 172.20.0.1/32 dev ppp0')
  network.ip(node, 'route add default via 172.20.0.254 dev ppp0 onlink')
  const entries = ENTRIES.map(one => ({ ...one, peers: one.node === 'edge' ? ['lan'] : [] }))
  const agent = site.start(new PlainView(entries, [bgpPeer('lan', { peerIP: '192.0.2.1', gateway: '172.20.0.254' })]))
  const routes = ['10.0.9.0/24 via 172.20.0.254 dev ppp0 onlink', ...BY_DEVICE.slice(1)]
  await site.routesToBe(routes)
  expect(agent.problems).toEqual([])
  await eventually('pings', () => site.pings(site.pod, '10.0.1.5', '10.0.9.5'))
})
