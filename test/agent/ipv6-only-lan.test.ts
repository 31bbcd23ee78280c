/**
 * Agents over the real kernel in LANs where nodes and switches have IPv6 alone and pods both
 * families: IPv4 podCIDRs are routes via inet6, in the LAN, to the switch and back.
 */
import { expect } from 'bun:test'
import { readFileSync } from 'node:fs'
import { entry, PlainView } from '../support/cluster.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { IPV6_ENTRIES, IPV6_PEERS, NODE_NAMES, NODES, type NodeName, TwoLans } from './two-lans.ts'

const rooted = (name: string, body: (lans: TwoLans) => Promise<void>) =>
  testNeeding(
    'root',
    'ip',
    'ping',
    'curl',
  )(
    name,
    async () => {
      const lans = new TwoLans('ipv6')
      try {
        await body(lans)
      } finally {
        await lans.close()
      }
    },
    300_000,
  )

const A1_ROUTES = [
  'unreachable 10.0.1.0/24',
  '10.0.2.0/24 via inet6 fd16::12',
  '10.0.3.0/24 via inet6 fd16::fe',
  '10.0.4.0/24 via inet6 fd16::fe',
  'unreachable fd10:1::/64',
  'fd10:2::/64 via fd16::12',
  'fd10:3::/64 via fd16::fe',
  'fd10:4::/64 via fd16::fe',
]

function view(): PlainView {
  return new PlainView(IPV6_ENTRIES, IPV6_PEERS)
}

function routesToBe(lans: TwoLans, expected: readonly string[]): Promise<unknown> {
  return lans.routesBecome('a1', expected)
}

/** Says whom it sees, in both families. */
const SERVER = [
  process.execPath,
  '-e',
  "Bun.serve({ port: 8080, hostname: '::', fetch: (request, server) => new Response(server.requestIP(request)?.address.replace('::ffff:', '')) })",
]

function podAddress(name: NodeName): string {
  return `10.0.${NODES[name].pods}.5`
}

rooted('pods reach each other over IPv4 in the LAN and across, and each sees the address of the other', async lans => {
  for (const name of NODE_NAMES) {
    // the strict filter of a host: the agent makes it loose
    lans.network.exec(lans.node(name), ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter'])
    lans.start(name, view())
  }
  await routesToBe(lans, A1_ROUTES)
  const names = ['a1', 'a2', 'b1'] as const
  const pods = new Map(names.map(name => [name, lans.addPod(name)]))
  for (const pod of pods.values()) lans.network.spawn(pod, SERVER)
  for (const from of names) {
    for (const to of names.filter(name => name !== from)) {
      await eventually(`${to} sees ${from}`, () => {
        const url = `http://${podAddress(to)}:8080/`
        const curl = ['curl', '-sS', '--noproxy', '*', '--max-time', '2', url]
        const seen = lans.network.exec(pods.get(from) ?? '', curl, { mayFail: true }).stdout
        if (seen === podAddress(from)) return true
        throw new Error(seen)
      })
    }
  }
  const node = lans.node('a1')
  expect(lans.network.ip(node, '-4 addr show scope global')).toBe('')
  // what the host sends itself has no source, until there is an address for it (of RFC 7600: it is
  // nobody's)
  const reached = () =>
    lans.network.exec(node, ['ping', '-c1', '-W1', podAddress('a1')], { mayFail: true }).status === 0
  expect(reached()).toBe(false)
  lans.network.ip(node, 'addr add 192.0.0.8/32 dev lo')
  expect(reached()).toBe(true)
})

rooted('rows name the IPv6 next hop, and the CNI configuration offers both families', async lans => {
  const { agent } = lans.start('a1', view())
  await eventually('ready', () => agent.ready && agent.problems.length === 0)
  expect(agent.view().slice(0, 3)).toMatchObject([
    { destination: '10.0.1.0/24', via: [], state: 'present' },
    { destination: '10.0.2.0/24', via: ['fd16::12'], interface: 'eth0', reason: 'a2', state: 'present' },
    { destination: '10.0.3.0/24', via: ['fd16::fe'], interface: 'eth0', reason: 'gateway', state: 'present' },
  ])
  const written = readFileSync(`${lans.confDir('a1')}/10-terway-edge.conflist`, 'utf8')
  expect(JSON.parse(written).plugins[0].podCIDRs).toEqual(['10.0.1.0/24', 'fd10:1::/64'])
})

rooted('what others do to routes via inet6 is undone, and a restart removes what is stale', async lans => {
  const node = lans.node('a1')
  lans.network.ip(node, 'route add 10.0.77.0/24 via inet6 fd16::12 proto 187')
  const first = lans.start('a1', view())
  await routesToBe(lans, A1_ROUTES)
  lans.network.ip(node, 'route del 10.0.2.0/24')
  lans.network.ip(node, 'route replace 10.0.3.0/24 via inet6 fd16::12 proto 187')
  lans.network.ip(node, 'route replace unreachable 10.0.4.0/24 proto 187')
  await routesToBe(lans, A1_ROUTES)
  lans.network.ip(node, 'link set eth0 down')
  await eventually('routes to be reported', () => first.agent.view().some(({ state }) => state === 'failed'))
  lans.network.ip(node, 'link set eth0 up')
  lans.network.ip(node, '-6 addr add fd16::11/64 dev eth0 nodad')
  await routesToBe(lans, A1_ROUTES)
  await first.agent.close()

  const changed = [...IPV6_ENTRIES.slice(0, 1), entry('a9', ['fd16::12'], ['10.0.9.0/24'], ['lan-0'])]
  const second = lans.start('a1', new PlainView(changed, IPV6_PEERS))
  await routesToBe(lans, ['unreachable 10.0.1.0/24', '10.0.9.0/24 via inet6 fd16::12', 'unreachable fd10:1::/64'])
  await eventually('no problem', () => second.agent.problems.length === 0)
})

rooted('without a BGPPeer IPv4 pods of other LANs go by the default gateway of IPv6, link-local too', async lans => {
  const node = lans.node('a1')
  lans.network.ip(node, '-6 route replace default via fe80::77 dev eth0')
  const alone = IPV6_ENTRIES.map(one => ({ ...one, peers: [] }))
  const { view: source } = lans.start('a1', new PlainView(alone))
  const routes = (gateway: string) => A1_ROUTES.map(route => route.replace(/fd16::fe/, gateway))
  await routesToBe(lans, routes('fe80::77'))
  source.show(alone, IPV6_PEERS)
  lans.network.ip(node, '-6 route replace default via fd16::fe')
  await routesToBe(lans, routes('fd16::fe'))
})
