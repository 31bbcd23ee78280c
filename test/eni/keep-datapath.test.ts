/**
 * The policy routes of a node, kept: each thing that others do to them is mended on the event, and
 * no packet of a pod ever leaves by the primary interface meanwhile. Real packets in a VPC that
 * drops and counts what an interface may not send.
 */
import { afterEach, expect } from 'bun:test'
import { leaveInterfaces } from '../../src/eni/leave.ts'
import { Nft } from '../../src/firewall/nftables.ts'
import { BY_EVENT_SECONDS, eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { CloudNetwork, type CloudPod, NUMBERS, twin } from './cloud-network.ts'
import { NodeDatapath } from './node-datapath.ts'

const testVpc = testNeeding('root', 'ip', 'nft', 'ping')

let cloud: CloudNetwork
let datapaths: NodeDatapath[] = []
afterEach(async () => {
  for (const datapath of datapaths) await datapath.close()
  datapaths = []
  await cloud.close()
})

async function start(): Promise<{ near: CloudPod; far: CloudPod; datapath: NodeDatapath }> {
  cloud = new CloudNetwork()
  const { node1, node2 } = cloud
  node1.writePool()
  node2.writePool()
  const [near, far] = [await node1.startPod('near'), await node2.startPod('far')]
  const datapath = new NodeDatapath(node1)
  datapaths.push(datapath, new NodeDatapath(node2))
  await eventually('the datapath of both nodes', () => datapaths.every(({ settled }) => settled))
  return { near, far, datapath }
}

/**
 * Pings go on for as long as `disturb` takes and what it does is mended. Returns how many answers
 * came after that.
 */
async function mended(near: CloudPod, far: CloudPod, disturb: () => void | Promise<void>, whole: () => boolean) {
  const pings = cloud.network.spawn(near.namespace, ['ping', '-i', '0.05', '-n', far.address])
  await disturb()
  await eventually('mended', whole, BY_EVENT_SECONDS)
  expect(cloud.ping(near.namespace, far.address)).toBe(true)
  expect(cloud.ping(near.namespace, twin(far.address))).toBe(true)
  pings.kill()
  await pings.exited
  expect(cloud.vpc.spoofed()).toBe(0)
}

testVpc(
  'each rule and route of ours that goes comes back; what others made stays',
  async () => {
    const { near, far, datapath } = await start()
    const { node1: node } = cloud
    const state = () =>
      [
        ...['-4', '-6'].map(family => node.run('ip', family, 'rule')),
        ...['512', '600', '1003', '1004'].flatMap(table =>
          ['-4', '-6'].map(
            family =>
              node.network.exec(node.namespace, ['ip', family, 'route', 'show', 'table', table], { mayFail: true })
                .stdout,
          ),
        ),
      ].join('')
    const index = Number(node.run('cat', '/sys/class/net/eth1/ifindex'))
    const table = String(1000 + index)
    node.network.ip(node.namespace, 'rule add from 198.51.100.0/24 lookup main pref 2048')
    node.network.ip(node.namespace, 'rule add to 198.51.100.0/24 lookup main pref 512')
    node.network.ip(node.namespace, `route add 203.0.113.0/24 dev eth0 table ${table}`)
    await Bun.sleep(100)
    const before = state()
    expect(before).toContain('198.51.100.0/24')
    const deletions = [
      `rule del pref 512 lookup 512`,
      `rule del pref 600`,
      `rule del from ${near.address} pref 2048`,
      `route del ${near.address}/32 table 512`,
      `route del default via 192.168.63.253 table ${table}`,
      `route del unreachable default table ${table} metric 4294967295`,
      `route flush table 600`,
      `-6 rule del from ${twin(near.address)} pref 2048`,
      `-6 route flush table ${table}`,
    ]
    for (const words of deletions) {
      await mended(
        near,
        far,
        () => {
          node.network.ip(node.namespace, words)
        },
        () => [...state()].sort().join('') === [...before].sort().join(''),
      )
    }
    expect(datapath.last.problems).toEqual([])
    // a rule of ours that leads a pod to the wrong table goes
    node.network.ip(node.namespace, `rule add from ${near.address} lookup 1999 pref 2048 protocol 187`)
    await eventually('the wrong rule is gone', () => !node.run('ip', 'rule').includes('1999'), BY_EVENT_SECONDS)
    // an ENINode that was deleted, or names an interface no more, takes no pod's way
    const passes = datapath.passes
    datapath.forget()
    await eventually('it has looked', () => datapath.passes > passes)
    node.network.ip(node.namespace, 'rule del pref 512 lookup 512')
    await eventually(
      'rules are kept as before',
      () => node.run('ip', 'rule').includes('from all lookup 512'),
      BY_EVENT_SECONDS,
    )
    expect(cloud.ping(near.namespace, far.address)).toBe(true)
    expect(cloud.ping(near.namespace, twin(far.address))).toBe(true)
  },
  300_000,
)

testVpc(
  'an address on an interface is taken off, and a link that goes down and up is whole again',
  async () => {
    const { near, far } = await start()
    const { node1: node } = cloud
    const whole = () =>
      !node.run('ip', 'addr', 'show', 'eth1').includes('inet 1') &&
      !node.run('ip', '-6', 'addr', 'show', 'eth1').includes('fd00') &&
      node.run('ip', '-br', 'link', 'show', 'eth1').includes('UP') &&
      node.run('ip', 'rule').includes('512') &&
      cloud.ping(near.namespace, far.address)
    const add = (address: string) => () => {
      node.network.ip(node.namespace, `addr add ${address} dev eth1`)
    }
    await mended(near, far, add(`${near.address}/19`), whole) // as a DHCP client would
    await mended(near, far, add('fd00:32::10/64'), whole)
    await mended(
      near,
      far,
      () => {
        add('192.168.32.99/19')()
        node.network.ip(node.namespace, 'addr flush dev eth1')
      },
      whole,
    )
    await mended(
      near,
      far,
      () => {
        node.network.ip(node.namespace, 'link set eth1 down')
      },
      whole,
    )
  },
  300_000,
)

testVpc(
  'an interface that vanishes leaves its pods unreachable; they work again when it is back under another index',
  async () => {
    const { near, far, datapath } = await start()
    const { node1: node } = cloud
    const index = () => node.run('cat', '/sys/class/net/eth9/ifindex').trim()
    node.detach(0)
    await eventually('it is told', () => datapath.last.problems.some(text => text.includes('eni-node-1-1')))
    // an address of each family
    expect(datapath.last.problems.join()).toContain('2 pods on it reach nobody')
    const tried = cloud.network.exec(near.namespace, ['ping', '-c1', '-W1', far.address], { mayFail: true })
    expect(tried.stdout).toContain('Unreachable')
    expect(cloud.vpc.spoofed()).toBe(0)
    // the rule of the pod goes too: still no way by the primary interface
    node.network.ip(node.namespace, `rule del from ${near.address} pref 2048`)
    await eventually('its rule is back', () => node.run('ip', 'rule').includes(`from ${near.address} lookup 1000`))
    node.attachAgain(0, 'eth9')
    await eventually('they work again', () => cloud.ping(near.namespace, far.address))
    expect(node.run('ip', 'rule')).toContain(`from ${near.address} lookup ${1000 + Number(index())}`)
    await eventually('nothing is left of the former tables', () => node.run('ip', 'rule').match(/2048/g)?.length === 1)
    expect(datapath.last.problems).toEqual([])
    expect(cloud.vpc.spoofed()).toBe(0)
  },
  300_000,
)

testVpc('a node that leaves the network leaves nothing of ours behind, and all of others', async () => {
  const { near } = await start()
  const { node1: node } = cloud
  for (const datapath of datapaths.splice(0)) await datapath.close()
  node.network.ip(node.namespace, 'rule add from 198.51.100.0/24 lookup main pref 2048')
  await node.stopPod(near.containerId)
  const netns = node.network.path(node.namespace)
  const left = await leaveInterfaces({ numbers: NUMBERS, routeTable: 254, nftables: Nft.find({ netns }), netns })
  expect(left).toEqual({
    removed: ['4 policy rules and their tables', 'the nftables table terway-edge-eni'],
    problems: [],
  })
  expect(node.run('ip', 'route', 'show', 'table', 'all')).not.toContain('proto 187')
  expect(node.run('ip', 'rule').match(/(512|600|2048):.*/g)).toEqual([
    expect.stringContaining('from 198.51.100.0/24 lookup main'),
  ])
  expect(node.run('nft', 'list', 'ruleset')).toBe('')
})

testVpc('rules of pods that are gone go, also when their DEL was killed', async () => {
  const { near, datapath } = await start()
  const { node1: node } = cloud
  const records = `${node.stateDir}/cni/attachments.json`
  await Bun.write(records, JSON.stringify({ format: 1, last: {}, records: [] }))
  node.network.ip(node.namespace, `link del ${(await node.hostLinks())[0]}`)
  await eventually('its rule is gone', () => !node.run('ip', 'rule').includes(near.address))
  expect(datapath.last.problems).toEqual([])
})
