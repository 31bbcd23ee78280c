/**
 * ARP and neighbour discovery between a pod, its node and the LAN, with the kernels of all three.
 */
import { afterEach, expect } from 'bun:test'
import { vethNames } from '../../src/cni/veth-names.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { CniNode, type Json } from './cni-node.ts'

const V4 = '10.0.1.0/25'
const V6 = 'fd00:1::/64'
const POD = { ipv4: '10.0.1.1', ipv6: 'fd00:1::1' } as const
const GATEWAY = { ipv4: '169.254.1.1', ipv6: 'fe80::1' } as const
const LAN = { ipv4: '172.16.0.1', ipv6: 'fd01::1' } as const

let node: CniNode
afterEach(async () => {
  await node.close()
})

/** A node with a pod and a router of its LAN, which knows the way to the pods. */
async function nodeOnLan() {
  node = new CniNode([V4, V6])
  const { network, namespace: host } = node
  const lan = node.machine('lan')
  network.connect(
    { namespace: host, interface: 'eth0', addresses: ['172.16.0.11/24', 'fd01::11/64'] },
    { namespace: lan, interface: 'eth0', addresses: [`${LAN.ipv4}/24`, `${LAN.ipv6}/64`] },
  )
  network.ip(lan, `route add ${V4} via 172.16.0.11`)
  network.ip(lan, `route add ${V6} via fd01::11`)
  network.ip(host, `route add default via ${LAN.ipv4}`)
  network.ip(host, `route add default via ${LAN.ipv6}`)
  const { namespace: pod, path } = node.pod('a')
  expect(await node.call({ command: 'ADD', containerId: 'a', netns: path })).toMatchObject({ status: 0 })
  return { host, lan, pod, ...vethNames({ containerId: 'a', interfaceName: 'eth0' }) }
}

/** The neighbour entries of an interface by address. */
function neighbours(namespace: string, dev: string): Map<string, Json> {
  const entries: Json[] = ['-4', '-6'].flatMap(family =>
    JSON.parse(node.network.ip(namespace, `${family} -j neigh show dev ${dev} nud all`) || '[]'),
  )
  return new Map(entries.map(entry => [entry.dst, entry]))
}

function flush(namespace: string, dev: string): void {
  // the permanent ones only go when they are named
  for (const state of ['all', 'permanent']) {
    for (const family of ['-4', '-6']) {
      node.network.ip(namespace, `${family} neigh flush dev ${dev} nud ${state}`, { mayFail: true })
    }
  }
}

/** Whether anybody answers who is asked by ARP for `address`. */
function arpAnswers(namespace: string, address: string, ...options: string[]): boolean {
  const command = ['arping', '-c', '1', '-w', '2', ...options, '-I', 'eth0', address]
  return node.network.exec(namespace, command, { mayFail: true }).stdout.includes('reply from')
}

const testOnLan = testNeeding('root', 'ip', 'ping', 'arping')

testOnLan('a pod that loses its neighbour entries asks for its gateway, and the host end answers', async () => {
  const { lan, pod, hostMac } = await nodeOnLan()
  expect(neighbours(pod, 'eth0').get(GATEWAY.ipv4)).toMatchObject({ lladdr: hostMac, state: ['PERMANENT'] })
  flush(pod, 'eth0')
  expect(neighbours(pod, 'eth0').has(GATEWAY.ipv4)).toBe(false)
  expect(neighbours(pod, 'eth0').has(GATEWAY.ipv6)).toBe(false)
  for (const family of ['ipv4', 'ipv6'] as const) {
    await eventually(`the pod reaches the LAN by ${family}`, () => node.ping(pod, LAN[family]))
    expect(neighbours(pod, 'eth0').get(GATEWAY[family])).toMatchObject({ lladdr: hostMac })
    expect(node.ping(lan, POD[family])).toBe(true)
  }
  await eventually('arping in the pod', () => arpAnswers(pod, GATEWAY.ipv4))
  expect(node.ping(pod, `${GATEWAY.ipv6}%eth0`)).toBe(true)
})

testOnLan("a LAN whose router is fe80::1, as pods' gateway is", async () => {
  const { host, lan, pod } = await nodeOnLan()
  node.network.ip(lan, 'addr add fe80::1/64 dev eth0 nodad')
  node.network.ip(lan, 'addr add 2001:db8::1/128 dev lo')
  node.network.ip(host, 'route del default via fd01::1')
  node.network.ip(host, 'route add default via fe80::1 dev eth0')
  await eventually('the node reaches the world', () => node.ping(host, '2001:db8::1'))
  expect(node.ping(pod, '2001:db8::1')).toBe(true)
})

testOnLan('a host that loses its entries of a pod asks the pod', async () => {
  const { host, lan, pod, hostInterface, podMac } = await nodeOnLan()
  flush(host, hostInterface)
  expect(neighbours(host, hostInterface).has(POD.ipv4)).toBe(false)
  for (const family of ['ipv4', 'ipv6'] as const) {
    await eventually(`the LAN reaches the pod by ${family}`, () => node.ping(lan, POD[family]))
    expect(neighbours(host, hostInterface).get(POD[family])).toMatchObject({ lladdr: podMac })
    expect(node.ping(pod, LAN[family])).toBe(true)
  }
})

testOnLan('nobody answers on the LAN for a pod or its gateway, and nobody asks there for a pod', async () => {
  const { host, lan, pod } = await nodeOnLan()
  expect(arpAnswers(lan, '172.16.0.11')).toBe(true)
  expect(arpAnswers(lan, POD.ipv4)).toBe(false)
  expect(arpAnswers(lan, GATEWAY.ipv4)).toBe(false)
  // a machine that takes the pods to be on its LAN: its kernel asks, by ARP and by ND
  node.network.ip(lan, 'route add 10.0.1.1/32 dev eth0')
  node.network.ip(lan, 'route add fd00:1::1/128 dev eth0')
  for (const address of [POD.ipv4, POD.ipv6, `${GATEWAY.ipv6}%eth0`]) {
    expect({ address, reached: node.ping(lan, address) }).toEqual({ address, reached: false })
  }
  for (const address of [POD.ipv4, POD.ipv6, GATEWAY.ipv6]) {
    expect(neighbours(lan, 'eth0').get(address)?.lladdr).toBeUndefined()
  }
  node.network.ip(lan, 'route del 10.0.1.1/32 dev eth0')
  node.network.ip(lan, 'route del fd00:1::1/128 dev eth0')
  for (const family of ['ipv4', 'ipv6'] as const) {
    await eventually(`${family}`, () => node.ping(lan, POD[family]) && node.ping(pod, LAN[family]))
    expect(neighbours(host, 'eth0').has(POD[family])).toBe(false)
  }
})

testOnLan('a pod that looks for a duplicate of its own address finds none', async () => {
  const { pod } = await nodeOnLan()
  expect(arpAnswers(pod, POD.ipv4, '-D')).toBe(false)
  expect(arpAnswers(pod, '10.0.1.2')).toBe(false)
})
