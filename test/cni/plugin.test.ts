/**
 * The plugin as a runtime calls it, ADD and DEL: processes of its own in network namespaces of the
 * real kernel, packets to and from the pods. The containers are empty namespaces; those of a real
 * runtime: test/e2e/kubelet.test.ts and test/e2e/podman.test.ts.
 */
import { afterEach, describe, expect } from 'bun:test'
import { vethNames } from '../../src/cni/veth-names.ts'
import { testNeeding } from '../support/requires.ts'
import { addressesOf, CniNode, type Json } from './cni-node.ts'

const testRoot = testNeeding('root')
const V4 = '10.0.1.0/25'
const V6 = 'fd00:1::/64'

let node: CniNode
afterEach(async () => {
  await node.close()
})

describe('traffic', () => {
  testRoot(
    'host, pod and a machine behind a router reach each other, in both families, with the address of the pod',
    async () => {
      node = new CniNode([V4, V6])
      const lan = node.machine('lan')
      node.network.connect(
        { namespace: node.namespace, interface: 'eth0', addresses: ['172.16.0.11/24', 'fd01::11/64'] },
        { namespace: lan, interface: 'eth0', addresses: ['172.16.0.1/24', 'fd01::1/64'] },
      )
      node.network.ip(lan, `route add ${V4} via 172.16.0.11`)
      node.network.ip(lan, `route add ${V6} via fd01::11`)
      const [a, b] = [node.pod('a'), node.pod('b')]
      const [replyA, replyB] = [await node.add('a', a.path), await node.add('b', b.path)]
      expect(addressesOf(replyA)).toEqual(['10.0.1.1', 'fd00:1::1'])
      expect(addressesOf(replyB)).toEqual(['10.0.1.2', 'fd00:1::2'])
      for (const [from, to] of [
        [node.namespace, '10.0.1.1'],
        [node.namespace, 'fd00:1::1'],
        [a.namespace, '172.16.0.11'],
        [a.namespace, 'fd01::11'],
        [a.namespace, '10.0.1.2'],
        [b.namespace, 'fd00:1::1'],
        [a.namespace, '172.16.0.1'],
        [b.namespace, 'fd01::1'],
        [lan, '10.0.1.2'],
        [lan, 'fd00:1::1'],
        [a.namespace, '127.0.0.1'],
      ] as const) {
        expect({ from, to, reached: node.ping(from, to) }).toEqual({ from, to, reached: true })
      }
      const port = 7000
      const server = node.network.spawn(lan, [
        process.execPath,
        '-e',
        `const server = Bun.listen({hostname: '::', port: ${port}, socket: {open: s => { s.end(s.remoteAddress) }, data() {}}}); console.log('up')`,
      ])
      await server.stdout.getReader().read()
      const ask = (address: string) =>
        node.network.exec(a.namespace, [
          process.execPath,
          '-e',
          `await Bun.connect({hostname: '${address}', port: ${port}, socket: {data: (_, d) => console.log(d.toString()), end() { process.exit() }}})`,
        ]).stdout
      expect(ask('172.16.0.1')).toContain('10.0.1.1')
      expect(ask('fd01::1')).toContain('fd00:1::1')
    },
  )

  testRoot('IPv6 alone', async () => {
    node = new CniNode([V6])
    const [a, b] = [node.pod('a'), node.pod('b')]
    expect((await node.add('a', a.path)).json).toMatchObject({
      ips: [{ address: 'fd00:1::1/128', gateway: 'fe80::1', interface: 1 }],
      routes: [{ dst: '::/0', gw: 'fe80::1' }],
    })
    await node.add('b', b.path)
    expect(node.ping(a.namespace, 'fd00:1::2')).toBe(true)
    expect(node.network.ip(a.namespace, '-4 route')).toBe('')
  })
})

describe('ADD and DEL', () => {
  testRoot('the result says what was made, and DEL leaves nothing', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const reply = await node.add('a', pod.path, {
      args: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0',
      config: { mtu: 1400, dns: { nameservers: ['10.1.0.1'] } },
    })
    const names = vethNames({ containerId: 'a', interfaceName: 'eth0' })
    expect(reply).toMatchObject({ status: 0, stderr: '' })
    expect(reply.json).toEqual({
      cniVersion: '1.1.0',
      interfaces: [
        { name: names.hostInterface, mac: names.hostMac, mtu: 1400 },
        { name: 'eth0', mac: names.podMac, mtu: 1400, sandbox: pod.path },
      ],
      ips: [{ address: '10.0.1.1/32', gateway: '169.254.1.1', interface: 1 }],
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
      dns: { nameservers: ['10.1.0.1'] },
    })
    const [link]: Json[] = JSON.parse(node.network.ip(pod.namespace, '-j link show eth0'))
    expect(link).toMatchObject({ mtu: 1400, address: names.podMac })
    expect(node.network.ip(node.namespace, `link show ${names.hostInterface}`)).toContain(
      'alias terway-edge pods a eth0',
    )
    expect(await node.records()).toMatchObject([
      { containerId: 'a', addresses: ['10.0.1.1'], pod: { namespace: 'default', name: 'web-0' } },
    ])
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })).toMatchObject({
      status: 0,
      stdout: '',
    })
    expect(await node.leftovers()).toEqual([])
    expect(node.network.ip(pod.namespace, 'link show eth0', { mayFail: true })).toBe('')
  })

  testRoot('DEL again, DEL of the unknown, DEL without a namespace, DEL when the namespace is gone', async () => {
    node = new CniNode([V4])
    const [a, b] = [node.pod('a'), node.pod('b')]
    await node.add('a', a.path)
    await node.add('b', b.path)
    node.network.exec(node.namespace, ['ip', 'netns', 'del', b.namespace])
    for (const call of [
      { containerId: 'a' },
      { containerId: 'a', netns: a.path },
      { containerId: 'b', netns: b.path },
      { containerId: 'never-was', netns: '/run/netns/never-was' },
    ]) {
      expect(await node.call({ command: 'DEL', ...call })).toMatchObject({ status: 0, stdout: '' })
    }
    expect(await node.leftovers()).toEqual([])
  })

  testRoot('a DEL with a configuration that ADD would refuse', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    await node.add('a', pod.path)
    const config = { podCIDRs: ['broken'], mtu: 'broken' }
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path, config })).toMatchObject({ status: 0 })
    expect(await node.leftovers()).toEqual([])
  })

  testRoot('the DEL of another network leaves this one alone', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    await node.add('a', pod.path)
    await node.call({ command: 'DEL', containerId: 'a', netns: pod.path, config: { name: 'other' } })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
    expect(await node.records()).toHaveLength(1)
  })

  testRoot('a second ADD is refused while the first lives, and cleans up after one that died', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const first = await node.add('a', pod.path)
    expect(await node.add('a', pod.path)).toMatchObject({ status: 1, json: { code: 102 } })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
    node.network.ip(pod.namespace, 'addr del 10.0.1.1/32 dev eth0') // as if it had died half-way
    expect(await node.add('a', pod.path)).toMatchObject({ status: 0, json: { ips: [{ address: '10.0.1.2/32' }] } })
    node.network.ip(node.namespace, `link del ${first.json.interfaces[0].name}`)
    expect(await node.add('a', pod.path)).toMatchObject({ status: 0 })
    expect(await node.records()).toHaveLength(1)
    expect(node.ping(node.namespace, '10.0.1.3')).toBe(true)
  })

  testRoot('a half-made pair without a record is replaced', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const { hostInterface } = vethNames({ containerId: 'a', interfaceName: 'eth0' })
    node.network.ip(node.namespace, `link add ${hostInterface} type veth peer name eth0 netns ${pod.namespace}`)
    expect(await node.add('a', pod.path)).toMatchObject({ status: 0 })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
  })

  testRoot('a full pool is said and leaves nothing; a freed address is given again', async () => {
    node = new CniNode(['10.0.1.0/30'])
    const pods = ['a', 'b', 'c'].map(name => node.pod(name))
    const [a, b, c] = pods.map(pod => pod.path)
    await node.add('a', a ?? '')
    await node.add('b', b ?? '')
    expect(await node.add('c', c ?? '')).toMatchObject({
      status: 1,
      json: { cniVersion: '1.1.0', code: 100, msg: 'all 2 addresses of 10.0.1.0/30 are in use' },
    })
    expect(await node.records()).toHaveLength(2)
    expect(node.hostLinks()).toHaveLength(2)
    await node.call({ command: 'DEL', containerId: 'a', netns: a ?? '' })
    expect(await node.add('c', c ?? '')).toMatchObject({ status: 0, json: { ips: [{ address: '10.0.1.1/32' }] } })
  })

  testRoot('a podCIDR that changed: new pods have the new one, old ones go on and can go', async () => {
    node = new CniNode([V4])
    const [a, b] = [node.pod('a'), node.pod('b')]
    const prevResult = (await node.add('a', a.path)).json
    node.podCIDRs = ['10.0.2.0/25']
    expect(addressesOf(await node.add('b', b.path))).toEqual(['10.0.2.1'])
    expect([node.ping(b.namespace, '10.0.1.1'), node.ping(node.namespace, '10.0.2.1')]).toEqual([true, true])
    const check = await node.call({ command: 'CHECK', containerId: 'a', netns: a.path, config: { prevResult } })
    expect(check).toMatchObject({ status: 0 })
    for (const id of ['a', 'b']) await node.call({ command: 'DEL', containerId: id })
    expect(await node.leftovers()).toEqual([])
  })

  testRoot('a second interface of a pod leaves its default route alone', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    await node.add('a', pod.path)
    const second = await node.add('a', pod.path, { ifname: 'net1', config: { name: 'second' } })
    expect(second.json).toMatchObject({ ips: [{ address: '10.0.1.2/32' }], routes: [] })
    expect(node.network.ip(pod.namespace, 'route show default')).toContain('dev eth0')
    expect(node.ping(node.namespace, '10.0.1.2')).toBe(true)
  })

  testRoot('static addresses and a hardware address', async () => {
    node = new CniNode([V4, V6])
    const [a, b] = [node.pod('a'), node.pod('b')]
    const capability = { runtimeConfig: { ips: ['10.0.1.77/25'], mac: 'c2:11:22:33:44:55' } }
    const reply = await node.add('a', a.path, { config: capability })
    expect(addressesOf(reply)).toEqual(['10.0.1.77', 'fd00:1::1'])
    expect(reply.json.interfaces[1].mac).toBe('c2:11:22:33:44:55')
    expect(node.ping(node.namespace, '10.0.1.77')).toBe(true)
    for (const [args, why] of [
      ['IP=10.0.1.77', 'another pod has it'],
      ['IP=10.9.9.9', 'it is not in the podCIDRs of this node'],
      ['IP=10.0.1.0', 'no pod gets'],
    ] as const) {
      const refused = await node.add('b', b.path, { args })
      expect(refused).toMatchObject({ status: 1, json: { code: 101 } })
      expect(refused.json.msg).toContain(why)
    }
    expect(addressesOf(await node.add('b', b.path, { args: 'IP=fd00:1::b' }))).toEqual(['10.0.1.1', 'fd00:1::b'])
  })
})
