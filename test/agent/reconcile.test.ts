/**
 * Agents over the real kernel: two LANs in namespaces, a view of the cluster as plain values, no
 * BGP.
 */
import { expect } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { cniConfigFile } from '../../src/agent/cni-config.ts'
import { leaveNetwork } from '../../src/agent/leave.ts'
import type { Agent } from '../../src/agent/reconcile.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { deleteRoute } from '../../src/netlink/route.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { Watch } from '../../src/netlink/watch.ts'
import { bgpPeer, entry, PlainView } from '../support/cluster.ts'
import { BY_EVENT_SECONDS, eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { ENTRIES, NODE_NAMES, PEERS, TwoLans } from './two-lans.ts'

const needing = testNeeding('root', 'ip', 'ping')
const rooted = (name: string, body: () => Promise<void>) => needing(name, body, TIMEOUT_MILLISECONDS)

/** Namespaces take their time on a busy machine. */
const TIMEOUT_MILLISECONDS = 300_000

async function withLans(body: (lans: TwoLans) => Promise<void>): Promise<void> {
  const lans = new TwoLans()
  try {
    await body(lans)
  } finally {
    await lans.close()
  }
}

const A1_ROUTES = [
  'unreachable 10.0.1.0/24',
  '10.0.2.0/24 via 172.16.0.12',
  '10.0.3.0/24 via 172.16.0.254',
  '10.0.4.0/24 via 172.16.0.254',
  'unreachable fd10:1::/64',
  'fd10:2::/64 via fd16::12',
  'fd10:3::/64 via fd16::fe',
  'fd10:4::/64 via fd16::fe',
]

function routesToBe(lans: TwoLans, expected: readonly string[], seconds?: number): Promise<unknown> {
  return lans.routesBecome('a1', expected, seconds)
}

function settled(agent: Agent): Promise<unknown> {
  return eventually('the agent to be ready without problems', () => {
    if (agent.ready && agent.problems.length === 0) return true
    throw new Error(agent.problems.join('; '))
  })
}

rooted('every node has the right routes, and pods reach each other within and across LANs', () =>
  withLans(async lans => {
    for (const name of NODE_NAMES) lans.start(name)
    await routesToBe(lans, A1_ROUTES)
    const pods = [lans.addPod('a1'), lans.addPod('a2'), lans.addPod('b1')]
    await eventually('b1 to have routes', () => lans.routes('b1').length === 8)
    for (const address of ['10.0.2.5', '10.0.3.5', 'fd10:2::5', 'fd10:3::5']) {
      await eventually(`a ping of ${address}`, () => {
        const { status } = lans.network.exec(pods[0] ?? '', ['ping', '-c1', '-W1', address], { mayFail: true })
        return status === 0
      })
    }
    // a pod that is not there: refused at its node, not sent round by the gateway
    const dead = lans.network.exec(pods[1] ?? '', ['ping', '-c1', '-W1', '10.0.1.77'], { mayFail: true })
    expect(dead.stdout).toContain('Destination Host Unreachable')
  }),
)

rooted('rows, readiness, settings and the CNI configuration', () =>
  withLans(async lans => {
    const set = (name: string, value: number) =>
      lans.network.exec(lans.node('a1'), ['sh', '-c', `echo ${value} > /proc/sys/net/${name}`])
    set('ipv4/conf/eth0/rp_filter', 1)
    lans.network.ip(lans.node('a1'), 'link set eth0 mtu 1450')
    const { agent } = lans.start('a1')
    expect(agent.ready).toBe(false)
    await settled(agent)
    expect(agent.view().map(({ destination, via, reason, state }) => [destination, via.join(), reason, state])).toEqual(
      [
        ['10.0.1.0/24', '', 'this node', 'present'],
        ['10.0.2.0/24', '172.16.0.12', 'a2', 'present'],
        ['10.0.3.0/24', '172.16.0.254', 'gateway', 'present'],
        ['10.0.4.0/24', '172.16.0.254', 'gateway', 'present'],
        ['fd10:1::/64', '', 'this node', 'present'],
        ['fd10:2::/64', 'fd16::12', 'a2', 'present'],
        ['fd10:3::/64', 'fd16::fe', 'gateway', 'present'],
        ['fd10:4::/64', 'fd16::fe', 'gateway', 'present'],
      ],
    )
    expect(agent.view()[1]?.interface).toBe('eth0')
    const get = (name: string) => lans.network.exec(lans.node('a1'), ['cat', `/proc/sys/net/${name}`]).stdout.trim()
    expect(['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/conf/eth0/rp_filter'].map(get)).toEqual([
      '1',
      '1',
      '2',
    ])
    expect(JSON.parse(readFileSync(cniConfigFile(lans.confDir('a1')), 'utf8'))).toEqual({
      cniVersion: '1.0.0',
      cniVersions: ['1.0.0', '1.1.0'],
      name: 'terway-edge',
      plugins: [
        {
          type: 'terway-edge',
          capabilities: { ips: true, mac: true },
          podCIDRs: ['10.0.1.0/24', 'fd10:1::/64'],
          mtu: 1450,
          uplink: 'eth0',
          stateDir: lans.stateDir('a1'),
        },
      ],
    })
  }),
)

rooted('what others do to our routes is undone; their routes are not touched', () =>
  withLans(async lans => {
    const node = lans.node('a1')
    lans.network.ip(node, 'route add 10.9.0.0/16 via 172.16.0.12 proto static')
    const { agent } = lans.start('a1')
    await routesToBe(lans, A1_ROUTES)
    lans.network.ip(node, 'route del 10.0.2.0/24')
    lans.network.ip(node, '-6 route del fd10:3::/64')
    await routesToBe(lans, A1_ROUTES, BY_EVENT_SECONDS)
    expect(agent.repairs).toBe(2)
    lans.network.ip(node, 'route replace 10.0.3.0/24 via 172.16.0.12 proto 187')
    lans.network.ip(node, 'route add 10.0.77.0/24 via 172.16.0.12 proto 187')
    await routesToBe(lans, A1_ROUTES, BY_EVENT_SECONDS)
    lans.network.ip(node, 'route flush proto 187')
    await routesToBe(lans, A1_ROUTES, BY_EVENT_SECONDS)
    await settled(agent)
    expect(lans.network.ip(node, 'route show 10.9.0.0/16')).toContain('via 172.16.0.12')
  }),
)

rooted('a foreign route for one of our destinations is reported, and taken over when it goes', () =>
  withLans(async lans => {
    const node = lans.node('a1')
    lans.network.ip(node, 'route add 10.0.2.0/24 via 172.16.0.254 proto static')
    const { agent } = lans.start('a1')
    const others = A1_ROUTES.filter(route => !route.startsWith('10.0.2.0'))
    await routesToBe(lans, others)
    await eventually('the conflict to be reported', () => agent.problems.length === 1)
    expect(agent.problems[0]).toStartWith('10.0.2.0/24: another program (rtnetlink protocol 4)')
    expect(agent.view().find(({ destination }) => destination === '10.0.2.0/24')?.state).toBe('missing')
    expect(agent.ready).toBe(true)
    expect(lans.network.ip(node, 'route show 10.0.2.0/24')).toContain('via 172.16.0.254')
    lans.network.ip(node, 'route del 10.0.2.0/24')
    await routesToBe(lans, A1_ROUTES)
    await settled(agent)
  }),
)

rooted('a link that goes down and comes back has its routes back', () =>
  withLans(async lans => {
    const node = lans.node('a1')
    // addresses and default routes of IPv6 go with the link; who configures the link puts them back
    const { agent } = lans.start('a1')
    await routesToBe(lans, A1_ROUTES)
    lans.network.ip(node, 'link set eth0 down')
    await eventually('routes to be reported', () => agent.view().some(({ state }) => state === 'failed'))
    expect(agent.ready).toBe(true)
    lans.network.ip(node, 'link set eth0 up')
    lans.network.ip(node, 'route add default via 172.16.0.254')
    lans.network.ip(node, '-6 addr add fd16::11/64 dev eth0 nodad')
    lans.network.ip(node, '-6 route add default via fd16::fe')
    await routesToBe(lans, A1_ROUTES)
    await settled(agent)
  }),
)

rooted('an address that moves to another interface takes the routes along', () =>
  withLans(async lans => {
    const node = lans.node('a1')
    lans.start('a1')
    await routesToBe(lans, A1_ROUTES)
    lans.network.ip(node, 'link add br0 type bridge')
    lans.network.ip(node, 'link set br0 up')
    lans.network.ip(node, 'addr flush dev eth0')
    lans.network.ip(node, 'link set eth0 master br0')
    lans.network.ip(node, 'addr add 172.16.0.11/24 dev br0')
    lans.network.ip(node, 'addr add fd16::11/64 dev br0 nodad')
    lans.network.ip(node, 'route replace default via 172.16.0.254')
    lans.network.ip(node, '-6 route replace default via fd16::fe')
    await routesToBe(lans, A1_ROUTES)
    expect(lans.network.ip(node, 'route show 10.0.2.0/24')).toContain('dev br0')
  }),
)

rooted('not ready is not empty: nothing is deleted before there is a view that names this node', () =>
  withLans(async lans => {
    const node = lans.node('a1')
    const former = ['10.0.2.0/24 via 172.16.0.12', '10.0.50.0/24 via 172.16.0.12']
    for (const route of former) lans.network.ip(node, `route add ${route} proto 187`)
    const { agent, view } = lans.start('a1', new PlainView())
    await eventually('no view to be a problem', () => agent.problems[0]?.includes('nothing is known of the cluster'))
    expect(lans.routes('a1')).toEqual(former)
    view.show(ENTRIES.slice(1), PEERS)
    await eventually('the missing entry to be a problem', () =>
      agent.problems[0]?.includes('no RouteSlice names node a1'),
    )
    expect(lans.routes('a1')).toEqual(former)
    expect([agent.ready, existsSync(cniConfigFile(lans.confDir('a1')))]).toEqual([false, false])
    view.show(ENTRIES, PEERS)
    await routesToBe(lans, A1_ROUTES)
    await settled(agent)
    view.showView(undefined)
    await eventually('the lost view to be a problem', () => agent.problems[0]?.includes('the last good routes stay'))
    view.show(ENTRIES.slice(1), PEERS)
    lans.network.ip(node, 'route del 10.0.2.0/24')
    await routesToBe(lans, A1_ROUTES)
    expect(agent.ready).toBe(true)
  }),
)

rooted('a restart leaves the routes in place, and changes what changed meanwhile', () =>
  withLans(async lans => {
    const first = lans.start('a1')
    await routesToBe(lans, A1_ROUTES)
    await first.agent.close()
    expect(lans.routes('a1').toSorted()).toEqual(A1_ROUTES.toSorted())
    const changed = [
      ...ENTRIES.filter(({ node }) => node === 'a1' || node === 'b1'),
      entry('a9', ['172.16.0.12'], ['10.0.2.0/25'], ['lan-0']),
    ]
    const second = lans.start('a1', new PlainView(changed, PEERS))
    await routesToBe(lans, [
      'unreachable 10.0.1.0/24',
      '10.0.2.0/25 via 172.16.0.12',
      '10.0.3.0/24 via 172.16.0.254',
      'unreachable fd10:1::/64',
      'fd10:3::/64 via fd16::fe',
    ])
    await settled(second.agent)
    await second.agent.close()
    const netns = lans.network.path(lans.node('a1'))
    const mark = { protocol: 187, table: 254 }
    leaveNetwork({ mark, confDir: lans.confDir('a1'), stateDir: lans.stateDir('a1'), netns })
    expect(lans.routes('a1')).toEqual([])
  }),
)

rooted('several gateways share the load', () =>
  withLans(async lans => {
    const two = [
      bgpPeer('lan-0', { peerIP: '172.16.0.254' }),
      bgpPeer('x', { peerIP: '172.16.0.1', gateway: '172.16.0.12' }),
    ]
    const view = new PlainView(
      [
        entry('a1', ['172.16.0.11'], ['10.0.1.0/24'], ['lan-0', 'x']),
        entry('b1', ['172.16.1.13'], ['10.0.3.0/24'], []),
      ],
      two,
    )
    const { agent } = lans.start('a1', view)
    await settled(agent)
    const via = () => agent.view().at(-1)?.via.join()
    await eventually('both share', () => via() === '172.16.0.12,172.16.0.254')
    const text = () => lans.network.ip(lans.node('a1'), 'route show 10.0.3.0/24')
    expect(text()).toContain('nexthop via 172.16.0.12')
    // one that never was there takes nothing, one that goes loses its share and gets it back
    const [peer, other] = two
    const dead = bgpPeer('dead', { peerIP: '172.16.0.99' })
    const own = entry('a1', ['172.16.0.11'], ['10.0.1.0/24'], ['lan-0', 'x', 'dead'])
    view.show(
      [own, ...(view.current()?.entries.slice(1) ?? [])],
      [peer, other, dead].flatMap(one => one ?? []),
    )
    await eventually('it is named', () =>
      agent.problems.join().includes('gateway 172.16.0.99 of BGPPeer dead does not answer'),
    )
    expect(text()).not.toContain('172.16.0.99')
    lans.network.ip(lans.node('a2'), 'link set eth0 down')
    await eventually('it loses its share', () => via() === '172.16.0.254')
    lans.network.ip(lans.node('a2'), 'link set eth0 up')
    await eventually('it has it back', () => via() === '172.16.0.12,172.16.0.254')
  }),
)

rooted('a gateway out of reach: the route shows as failed with the reason of the kernel, the others are there', () =>
  withLans(async lans => {
    const far = [bgpPeer('lan-0', { peerIP: '172.16.0.254', gateway: '192.0.2.1' })]
    const { agent } = lans.start('a1', new PlainView(ENTRIES, far))
    await eventually('the failure to be reported', () => agent.view().length > 0)
    expect(agent.view().find(({ destination }) => destination === '10.0.3.0/24')).toMatchObject({
      state: 'failed',
      problem: 'add route 10.0.3.0/24 via 192.0.2.1: ENETUNREACH: Nexthop has invalid gateway',
    })
    expect(agent.problems).toContain('gateway 192.0.2.1 of BGPPeer lan-0 is not on-link at this node')
    expect(agent.ready).toBe(true)
    expect(lans.routes('a1')).toContain('10.0.2.0/24 via 172.16.0.12')
  }),
)

rooted('leaving takes away what is ours and nothing else', () =>
  withLans(async lans => {
    const node = lans.node('a1')
    lans.network.exec(node, ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'])
    lans.network.ip(node, 'route add 10.9.0.0/16 via 172.16.0.12 proto static')
    const { agent } = lans.start('a1')
    await settled(agent)
    await agent.close()
    const left = leaveNetwork({
      mark: { protocol: 187, table: 254 },
      confDir: lans.confDir('a1'),
      stateDir: lans.stateDir('a1'),
      netns: lans.network.path(node),
    })
    expect(left.problems).toEqual([])
    expect(left.done).toContain('removed 8 routes')
    expect(left.done).toContain('set net.ipv4.ip_forward back to 0')
    expect(existsSync(cniConfigFile(lans.confDir('a1')))).toBe(false)
    expect(lans.routes('a1')).toEqual([])
    expect(lans.network.ip(node, 'route show 10.9.0.0/16')).toContain('via 172.16.0.12')
  }),
)

rooted('another program that undoes our changes at once is reported, and outlasted', () =>
  withLans(async lans => {
    const netns = lans.network.path(lans.node('a1'))
    const other = Rtnetlink.open({ netns })
    const undo = () => void other.execute([deleteRoute({ destination: '10.0.2.0/24', protocol: 187 })])
    const watch = await Watch.open({ clock: systemClock, netns, kinds: ['route'], onChange: undo, onLost: undo })
    try {
      const { agent } = lans.start('a1')
      await eventually('the contest to be reported', () =>
        agent.problems.some(problem => problem.startsWith('another program keeps undoing')),
      )
      watch.close()
      await routesToBe(lans, A1_ROUTES)
      await settled(agent)
    } finally {
      watch.close()
      other.close()
    }
  }),
)
