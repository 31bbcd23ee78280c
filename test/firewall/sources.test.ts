/**
 * Pods send from their own addresses alone, with a real kernel: forged IPv4, IPv6 and ARP from a
 * pod that the plugin wired, what it may send going on without a packet lost, and the opt-out.
 */
import { afterEach, expect } from 'bun:test'
import { createFirewall, type NodeFirewall } from '../../src/firewall/reconcile.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { addressesOf, CniNode } from '../cni/cni-node.ts'
import { eventually } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { testNeeding } from '../support/requires.ts'

const CIDRS = ['10.0.1.0/25', 'fd00:1::/64']
const LAN = { ipv4: '172.16.0.1', ipv6: 'fd01::1' } as const
const NETWORK = {
  podCIDRs: CIDRS,
  clusterPodCIDRs: CIDRS,
  controllers: [],
  nodeAddresses: ['172.16.0.11'],
  uplinks: ['eth0'],
}

let node: CniNode
let firewall: NodeFirewall | undefined
afterEach(async () => {
  await firewall?.close()
  await node.close()
})

/**
 * A node whose LAN knows the way to pods and to the addresses that are forged below, with two pods.
 */
async function nodeWithPods({ rpFilterAll = 0, config = {} } = {}) {
  node = new CniNode(CIDRS)
  const { network, namespace: host } = node
  network.exec(host, ['sysctl', '-qw', `net.ipv4.conf.all.rp_filter=${rpFilterAll}`])
  const lan = node.machine('lan')
  network.connect(
    { namespace: host, interface: 'eth0', addresses: ['172.16.0.11/24', 'fd01::11/64'] },
    { namespace: lan, interface: 'eth0', addresses: [`${LAN.ipv4}/24`, `${LAN.ipv6}/64`] },
  )
  for (const to of ['10.0.0.0/8', '203.0.113.0/24']) network.ip(lan, `route add ${to} via 172.16.0.11`)
  for (const to of ['fd00::/16', '2001:db8::/32']) network.ip(lan, `route add ${to} via fd01::11`)
  network.ip(host, `route add default via ${LAN.ipv4}`)
  network.ip(host, `route add default via ${LAN.ipv6}`)
  const [a, b] = [node.pod('a'), node.pod('b')]
  const replies = [await node.add('a', a.path, { config }), await node.add('b', b.path, { config })]
  expect(replies.map(({ status }) => status)).toEqual([0, 0])
  firewall = createFirewall({
    clock: systemClock,
    log: silentLog,
    netns: network.path(host),
    config: { acceptPodTraffic: true, masquerade: false, podPools: [], nonMasqueradeCIDRs: [] },
  })
  firewall.want(NETWORK)
  const rules = () => network.exec(host, ['nft', 'list', 'ruleset']).stdout
  await eventually(
    'the tables',
    () => rules().includes('table inet terway-edge') && rules().includes('table arp terway-edge'),
  )
  return { host, lan, pod: a.namespace, other: addressesOf(replies[1] ?? (replies[0] as never)) }
}

/**
 * From which addresses packets that a pod sends arrive at the machine of the LAN: of these, and its
 * own.
 */
async function arriving(pod: string, lan: string, sources: readonly string[]): Promise<string[]> {
  const { network } = node
  for (const source of sources) {
    network.ip(
      pod,
      `addr add ${source}/${source.includes(':') ? 128 : 32} dev lo${source.includes(':') ? ' nodad' : ''}`,
    )
  }
  const capture = network.spawn(lan, ['tcpdump', '-nlq', '-i', 'eth0', 'udp port 9'])
  const lines: string[] = []
  const reading = (async () => {
    for await (const chunk of capture.stdout.pipeThrough(new TextDecoderStream())) lines.push(...chunk.split('\n'))
  })()
  const send = (source: string) => {
    const to = source.includes(':') ? LAN.ipv6 : LAN.ipv4
    const script = `const s = require('dgram').createSocket('${source.includes(':') ? 'udp6' : 'udp4'}')
      s.bind(0, '${source}', () => { for (let i = 0; i < 5; i++) s.send('x', 9, '${to}'); setTimeout(() => s.close(), 50) })`
    network.exec(pod, [process.execPath, '-e', script])
  }
  const own = ['10.0.1.1', 'fd00:1::1']
  await eventually('tcpdump listens', () => {
    send(own[0] ?? '')
    return lines.some(line => line.includes(`${own[0]}.`))
  })
  const before = lines.length
  for (const source of [...sources, ...own]) send(source)
  const from = (source: string) => lines.slice(before).filter(line => line.includes(` ${source}.`)).length
  await eventually('the last', () => from('fd00:1::1') > 0)
  capture.kill()
  await reading
  return [...sources, ...own].filter(source => from(source) > 0)
}

const FORGED = [
  '172.16.0.1',
  '172.16.0.99',
  '203.0.113.7',
  '10.0.1.99',
  '10.0.2.1',
  '2001:db8::7',
  'fd01::99',
  'fd00:1::99',
]
const testSources = testNeeding(...COUNTING_NEEDS, 'nft', 'tcpdump', 'ping', 'arping')

for (const rpFilterAll of [0, 2]) {
  testSources(`a pod is only itself, with rp_filter of all interfaces ${rpFilterAll}`, async () => {
    const { lan, pod, other } = await nodeWithPods({ rpFilterAll })
    const forged = [...FORGED.filter(address => address !== LAN.ipv4), ...other]
    expect(await arriving(pod, lan, forged)).toEqual(['10.0.1.1', 'fd00:1::1'])
  })
}

testSources('forged ARP fills no table, and forged packets never cost the pod one of its own', async () => {
  const { host, pod } = await nodeWithPods({ rpFilterAll: 2 })
  const { network } = node
  const { sent, lost } = await countingPackets(network, { namespace: pod, to: LAN.ipv4 }, async () => {
    for (let index = 1; index <= 60; index++) {
      const source = `192.0.2.${index}`
      network.ip(pod, `addr add ${source}/32 dev eth0`)
      network.exec(pod, ['arping', '-c', '1', '-w', '0.01', '-s', source, '-I', 'eth0', '169.254.1.1'], {
        mayFail: true,
      })
      network.ip(pod, `addr del ${source}/32 dev eth0`)
    }
  })
  expect(sent).toBeGreaterThan(500)
  expect(lost).toBe(0)
  expect(network.ip(host, 'neigh show nud all')).not.toContain('192.0.2.')
})

testSources('with allowSourceAddresses a pod sends from any', async () => {
  const { lan, pod } = await nodeWithPods({ config: { allowSourceAddresses: true } })
  const forged = ['203.0.113.7', '2001:db8::7']
  expect(await arriving(pod, lan, forged)).toEqual([...forged, '10.0.1.1', 'fd00:1::1'])
})
