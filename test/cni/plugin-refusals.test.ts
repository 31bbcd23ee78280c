/**
 * ADDs that the plugin refuses: the error's code and text, and that nothing of the attempt is left
 * in the kernel or in the records.
 */
import { afterEach, expect } from 'bun:test'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { vethNames } from '../../src/cni/veth-names.ts'
import { testNeeding } from '../support/requires.ts'
import { addressesOf, CniNode } from './cni-node.ts'

const testRoot = testNeeding('root')
const V4 = '10.0.1.0/25'

let node: CniNode
afterEach(async () => {
  await node.close()
})

testRoot('an ADD that cannot be leaves nothing behind, and says why', async () => {
  node = new CniNode([V4])
  const pod = node.pod('a')
  const file = join(node.stateDir, 'no-namespace')
  writeFileSync(file, '')
  const host = vethNames({ containerId: 'clash', interfaceName: 'eth0' }).hostInterface
  node.network.ip(node.namespace, `link add ${host} type bridge`)
  node.network.ip(pod.namespace, 'link add taken0 type veth peer name taken1')
  const refusals: [object, number, string][] = [
    [{ netns: '/run/netns/te-gone' }, 3, 'does not exist'],
    [{ netns: file }, 3, 'is not a namespace'],
    [{ netns: node.network.path(node.namespace) }, 4, 'is the namespace that the plugin runs in'],
    [{ ifname: 'taken0' }, 103, 'the container has an interface taken0 already'],
    [{ containerId: 'clash' }, 103, `the host has an interface ${host} that is not ours`],
    [{ config: { podCIDRs: [] } }, 11, 'no podCIDR yet'],
    [{ config: { podCIDRs: [V4, 'fd00:1::5/128'] } }, 7, 'podCIDR fd00:1::5/128 of this node is a single address'],
    [{ config: { mtu: 20 } }, 7, 'mtu'],
    [{ config: { cniVersion: '2.0.0' } }, 1, '2.0.0'],
  ]
  for (const [call, code, text] of refusals) {
    const reply = await node.call({ command: 'ADD', containerId: 'a', netns: pod.path, ...call })
    expect(reply).toMatchObject({ status: 1, stderr: '', json: { code } })
    expect(reply.json.msg).toContain(text)
    expect(await node.records()).toEqual([])
  }
  expect(node.hostLinks()).toEqual([])
  // not ours, so it stays
  expect(node.network.ip(node.namespace, `link show ${host}`)).toContain(host)
})

testRoot('what the host has itself, or leads elsewhere, no pod gets', async () => {
  node = new CniNode([V4, 'fd00:1::/64'])
  const { namespace, network } = node
  network.ip(namespace, 'addr add 10.0.1.1/32 dev lo')
  network.ip(namespace, 'addr add fd00:1::1/128 dev lo nodad')
  network.ip(namespace, 'link add vip type bridge')
  network.ip(namespace, 'link set vip up')
  network.ip(namespace, 'route add 10.0.1.2/31 dev vip')
  network.ip(namespace, 'route add unreachable 10.0.1.0/25 proto 187') // the agent's own
  const pods = [node.pod('a'), node.pod('b')]
  const config = { runtimeConfig: { ips: ['10.0.1.3/32'] }, capabilities: { ips: true } }
  const refused = await node.add('a', pods[0]?.path ?? '', { config })
  expect(refused).toMatchObject({ status: 1 })
  expect(refused.json.msg).toContain('10.0.1.3 cannot be given: the host has it')
  expect(addressesOf(await node.add('a', pods[0]?.path ?? ''))).toEqual(['10.0.1.4', 'fd00:1::2'])
  expect(addressesOf(await node.add('b', pods[1]?.path ?? ''))).toEqual(['10.0.1.5', 'fd00:1::3'])
  expect(node.ping(namespace, '10.0.1.4')).toBe(true)
})

testRoot('an MTU larger than the uplink', async () => {
  node = new CniNode([V4])
  const lan = node.machine('lan')
  node.network.connect(
    { namespace: node.namespace, interface: 'up0', addresses: ['172.16.0.11/24'] },
    { namespace: lan, interface: 'up0', addresses: ['172.16.0.1/24'] },
  )
  node.network.ip(node.namespace, 'link set up0 mtu 1400')
  node.network.ip(node.namespace, 'route add default via 172.16.0.1')
  const pod = node.pod('a')
  const refused = await node.add('a', pod.path, { config: { mtu: 1500 } })
  expect(refused).toMatchObject({ status: 1, json: { code: 7 } })
  expect(refused.json.msg).toContain('mtu 1500 is larger than 1400, that of the uplink up0')
  expect(await node.leftovers()).toEqual([])
  expect((await node.add('a', pod.path)).json.interfaces).toMatchObject([{ mtu: 1400 }, { mtu: 1400 }])
})

testRoot(
  'the uplink that the agent names counts, not that of the default route, two halves of one or none',
  async () => {
    node = new CniNode([V4])
    const { network, namespace: host } = node
    const lan = node.machine('lan')
    for (const [name, address, mtu] of [
      ['eth0', '172.16.0.11/24', 1500],
      ['wwan0', '100.64.0.11/24', 1420],
      ['tun0', '10.99.0.2/24', 1380],
    ] as const) {
      network.connect({ namespace: host, interface: name, addresses: [address] }, { namespace: lan, interface: name })
      network.ip(host, `link set ${name} mtu ${mtu}`)
    }
    network.ip(host, 'route add default dev wwan0')
    const mtuOf = async (config: Record<string, unknown>, id: string) => {
      const reply = await node.add(id, node.pod(id).path, { config })
      return reply.json.interfaces?.[1].mtu ?? reply.json
    }
    expect(await mtuOf({ mtu: 1500, uplink: 'eth0' }, 'a')).toBe(1500)
    for (const half of ['0.0.0.0/1', '128.0.0.0/1']) network.ip(host, `route add ${half} dev tun0`)
    expect(await mtuOf({ mtu: 1500, uplink: 'eth0' }, 'b')).toBe(1500)
    expect(await mtuOf({ uplink: 'eth0' }, 'c')).toBe(1500)
    network.ip(host, 'link set eth0 mtu 1400') // smaller since
    expect(await mtuOf({ mtu: 1500, uplink: 'eth0' }, 'd')).toBe(1400)
    expect(await mtuOf({ mtu: 1500, uplink: 'gone' }, 'e')).toBe(1500)
  },
)

testRoot('a state folder that cannot be read', async () => {
  node = new CniNode([V4])
  const pod = node.pod('a')
  mkdirSync(join(node.stateDir, 'cni', 'attachments.json'), { recursive: true })
  expect(await node.add('a', pod.path)).toMatchObject({ status: 1, json: { code: 5 } })
  expect(node.hostLinks()).toEqual([])
})
