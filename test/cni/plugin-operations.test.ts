/**
 * DEL on a full disk, the operations besides ADD and DEL, and type loopback, in every version of
 * the specification: called as processes, against damage done to a real pod.
 */
import { afterEach, expect } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freeLeaks, leakedAttempts } from '../../src/cni/leaks.ts'
import { removePodLinks } from '../../src/cni/leave.ts'
import { writeReadiness } from '../../src/cni/readiness.ts'
import { vethNames } from '../../src/cni/veth-names.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { addressesOf, CniNode } from './cni-node.ts'

const testRoot = testNeeding('root')
const V4 = '10.0.1.0/25'
const V6 = 'fd00:1::/64'

let node: CniNode
afterEach(async () => {
  await node.close()
})

testRoot('CHECK finds what is missing', async () => {
  node = new CniNode([V4, V6])
  const pod = node.pod('a')
  const prevResult = (await node.add('a', pod.path)).json
  const check = () => node.call({ command: 'CHECK', containerId: 'a', netns: pod.path, config: { prevResult } })
  const host = prevResult.interfaces[0].name
  expect(await check()).toMatchObject({ status: 0, stdout: '' })
  const damages: [namespace: string, damage: string, repair: string | undefined, text: string][] = [
    [
      pod.namespace,
      'route del default',
      'route add default via 169.254.1.1 dev eth0 onlink',
      'the container has no route 0.0.0.0/0',
    ],
    [node.namespace, 'route del 10.0.1.1', `route add 10.0.1.1 dev ${host}`, 'the host has no route 10.0.1.1/32'],
    [
      pod.namespace,
      'neigh replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent',
      `neigh replace 169.254.1.1 lladdr ${prevResult.interfaces[0].mac} dev eth0 nud permanent`,
      "the container's neighbour entry of its gateway 169.254.1.1 is gone or wrong",
    ],
    // the uplink's may have changed: not our concern
    [node.namespace, `link set ${host} mtu 1400`, undefined, ''],
    [pod.namespace, 'addr del fd00:1::1/128 dev eth0', undefined, 'eth0 of the container lacks fd00:1::1'],
  ]
  for (const [namespace, damage, repair, text] of damages) {
    node.network.ip(namespace, damage)
    const reply = await check()
    if (text === '') {
      expect(reply).toMatchObject({ status: 0 })
      continue
    }
    expect(reply).toMatchObject({ status: 1, json: { code: 105 } })
    expect(reply.json.details).toContain(text)
    if (repair === undefined) continue
    node.network.ip(namespace, repair)
    expect(await check()).toMatchObject({ status: 0 })
  }
  node.network.ip(node.namespace, `link del ${host}`)
  expect((await check()).json.details).toContain(`the host's interface ${host} is gone`)
})

testRoot('GC removes what is not valid, of its own network, and nothing else', async () => {
  node = new CniNode([V4])
  const pods = ['a', 'b', 'c'].map(id => ({ id, ...node.pod(id) }))
  for (const pod of pods) await node.add(pod.id, pod.path, pod.id === 'c' ? { config: { name: 'other' } } : {})
  node.network.ip(node.namespace, 'link add te0123456789a type veth peer name peer0')
  const orphan = vethNames({ containerId: 'orphan', interfaceName: 'eth0' }).hostInterface
  node.network.ip(node.namespace, `link add ${orphan} type veth peer name peer1`)
  node.network.exec(node.namespace, ['ip', 'link', 'set', orphan, 'alias', 'terway-edge pods orphan eth0'])
  const valid = [{ containerID: 'a', ifname: 'eth0' }]
  const reply = await node.call({ command: 'GC', config: { 'cni.dev/valid-attachments': valid } })
  expect(reply).toMatchObject({ status: 0, stdout: '' })
  expect((await node.records()).map(record => record.containerId)).toEqual(['a', 'c'])
  const hostEnd = (id: string) => vethNames({ containerId: id, interfaceName: 'eth0' }).hostInterface
  expect(node.hostLinks().sort()).toEqual([hostEnd('a'), hostEnd('c'), 'te0123456789a'].sort())
  expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
  expect(await node.call({ command: 'GC' })).toMatchObject({ status: 1, json: { code: 7 } })
  expect(await node.records()).toHaveLength(2)
})

testRoot(
  'DEL on a disk that takes nothing takes the pod down; its address is freed when the disk takes that',
  async () => {
    node = new CniNode([V4])
    const mount = (...words: string[]) => expect(Bun.spawnSync(['mount', ...words, node.stateDir]).exitCode).toBe(0)
    mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs')
    try {
      const [a, b] = [node.pod('a'), node.pod('b')]
      await node.add('a', a.path)
      await node.add('b', b.path)
      const del = (containerId: string) => node.call({ command: 'DEL', containerId })
      Bun.spawnSync(['dd', 'if=/dev/zero', `of=${join(node.stateDir, 'fill')}`, 'bs=4k'])
      expect(await del('a')).toMatchObject({ status: 0, stdout: '' })
      mount('-o', 'remount,ro')
      expect(await del('b')).toMatchObject({ status: 0, stdout: '' })
      expect(node.hostLinks()).toEqual([])
      mount('-o', 'remount,rw')
      rmSync(join(node.stateDir, 'fill'))
      // no address is given twice
      expect(addressesOf(await node.add('c', node.pod('c').path))).toEqual(['10.0.1.3'])
      for (const pod of [a, b]) node.network.exec(node.namespace, ['ip', 'netns', 'del', pod.namespace])
      const here = <T>(action: () => T) => inNetworkNamespace(node.network.path(node.namespace), action)
      // an ADD under way could look so
      expect(here(() => freeLeaks(node.stateDir, new Set()))).toEqual([])
      const leaked = here(() => leakedAttempts(node.stateDir))
      expect(here(() => freeLeaks(node.stateDir, leaked)).map(record => record.containerId)).toEqual(['a', 'b'])
      expect((await node.records()).map(record => record.containerId)).toEqual(['c'])
    } finally {
      Bun.spawnSync(['umount', '--lazy', node.stateDir])
    }
  },
)

testRoot('leaks are freed when the node process starts', async () => {
  node = new CniNode([V4])
  const [a, b] = [node.pod('a'), node.pod('b')]
  await node.add('a', a.path)
  await node.add('b', b.path)
  const free = () => inNetworkNamespace(node.network.path(node.namespace), () => freeLeaks(node.stateDir))
  expect(free()).toEqual([])
  node.network.exec(node.namespace, ['ip', 'netns', 'del', b.namespace])
  await eventually('the kernel takes the links of the namespace', () => node.hostLinks().length === 1)
  expect(free()).toMatchObject([{ containerId: 'b', addresses: ['10.0.1.2'] }])
  expect(free()).toEqual([])
  expect((await node.records()).map(record => record.containerId)).toEqual(['a'])
  expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
})

testRoot('a node that leaves takes its pods off the network, and nothing that others made', async () => {
  node = new CniNode([V4])
  for (const id of ['a', 'b']) await node.add(id, node.pod(id).path)
  node.network.ip(node.namespace, 'link add te0123456789a type veth peer name peer0')
  const leave = () => inNetworkNamespace(node.network.path(node.namespace), () => removePodLinks(node.stateDir))
  expect(leave()).toEqual({ removed: 2, problems: [] })
  expect(leave()).toEqual({ removed: 0, problems: [] })
  expect(node.hostLinks()).toEqual(['te0123456789a'])
  expect(await node.records()).toEqual([])
  expect(addressesOf(await node.add('c', node.pod('c').path))).toEqual(['10.0.1.3'])
})

testRoot('STATUS', async () => {
  node = new CniNode([V4])
  const status = (config: object = {}) => node.call({ command: 'STATUS', config: { ...config } })
  expect(await status()).toMatchObject({ status: 0, stdout: '' })
  expect(await status({ podCIDRs: [] })).toMatchObject({ status: 1, json: { code: 50 } })
  expect(await status({ podCIDRs: ['10.0.1.5/32'] })).toMatchObject({ status: 1, json: { code: 50 } })
  writeReadiness(node.stateDir, { state: 'unavailable', reason: 'no route to the gateway' })
  expect(await status()).toMatchObject({ status: 1, json: { code: 50 } })
  writeReadiness(node.stateDir, { state: 'limited', reason: 'the uplink is down' })
  expect((await status()).json).toMatchObject({
    code: 51,
    msg: 'the node is not ready for pods: the uplink is down',
  })
  writeReadiness(node.stateDir, { state: 'ready' })
  expect(await status()).toMatchObject({ status: 0 })
  node.network.exec(node.namespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=0'])
  expect((await status()).json).toMatchObject({
    code: 51,
    msg: 'this node does not forward packets: net.ipv4.ip_forward is 0',
  })
})

for (const cniVersion of ['0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
  testRoot(`every operation in ${cniVersion}`, async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const call = (command: string, config: object = {}) =>
      node.call({ command, containerId: 'a', netns: pod.path, config: { cniVersion, ...config } })
    expect((await call('VERSION')).json).toEqual({
      cniVersion,
      supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    })
    const added = await call('ADD')
    const old = cniVersion < '1.0.0'
    expect(added.json).toMatchObject({ cniVersion, ips: [{ address: '10.0.1.1/32', ...(old && { version: '4' }) }] })
    expect(added.json.ips[0].version).toBe(old ? '4' : undefined)
    const prevResult = added.json
    const known = { status: 0, stdout: '' }
    const refused = { status: 1, json: { cniVersion, code: 1 } }
    expect(await call('CHECK', { prevResult })).toMatchObject(cniVersion === '0.3.1' ? refused : known)
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] }
    expect(await call('GC', valid)).toMatchObject(cniVersion === '1.1.0' ? known : refused)
    expect(await call('STATUS')).toMatchObject(cniVersion === '1.1.0' ? known : refused)
    expect(await call('DEL', { prevResult })).toMatchObject(known)
    expect(await node.leftovers()).toEqual([])
  })
}

testRoot('as type loopback', async () => {
  node = new CniNode([V4])
  const pod = node.pod('a')
  const config = {
    cniVersion: '1.0.0',
    name: 'cni-loopback',
    type: 'loopback',
    podCIDRs: undefined,
    stateDir: undefined,
  }
  const call = (command: string, more: object = {}) =>
    node.call({ command, containerId: 'a', netns: pod.path, ifname: 'lo', config: { ...config, ...more } })
  expect(node.ping(pod.namespace, '127.0.0.1')).toBe(false)
  const added = await call('ADD')
  expect(added.json).toEqual({
    cniVersion: '1.0.0',
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: pod.path }],
    ips: [
      { address: '127.0.0.1/8', interface: 0 },
      { address: '::1/128', interface: 0 },
    ],
    routes: [],
    dns: {},
  })
  expect(node.ping(pod.namespace, '127.0.0.1')).toBe(true)
  expect(await call('CHECK', { prevResult: added.json })).toMatchObject({ status: 0 })
  expect(await call('DEL', { prevResult: added.json })).toMatchObject({ status: 0, stdout: '' })
  expect(await call('CHECK', { prevResult: added.json })).toMatchObject({ status: 1, json: { code: 105 } })
  expect(await node.call({ command: 'DEL', containerId: 'a', netns: '/run/netns/te-gone', config })).toMatchObject({
    status: 0,
  })
  expect(await node.records()).toEqual([])
})

testRoot(
  'with the file of attachments cut short, pods go on starting and ending, and no address is given twice',
  async () => {
    node = new CniNode([V4, V6])
    const [a, b] = [node.pod('a'), node.pod('b')]
    const first = await node.add('a', a.path)
    const file = join(node.stateDir, 'cni', 'attachments.json')
    for (const length of [0, 40]) {
      writeFileSync(file, readFileSync(file, 'utf8').slice(0, length))
      const second = await node.add('b', b.path)
      expect(second.status).toBe(0)
      expect(addressesOf(second)).not.toContain(addressesOf(first)[0])
      expect(await node.records()).toMatchObject([
        { containerId: 'a', addresses: addressesOf(first) },
        { containerId: 'b' },
      ])
      writeFileSync(file, '')
      expect(await node.call({ command: 'DEL', containerId: 'b', netns: b.path })).toMatchObject({ status: 0 })
      expect(await node.records()).toMatchObject([{ containerId: 'a' }])
    }
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: a.path })).toMatchObject({ status: 0 })
    expect(await node.leftovers()).toEqual([])
  },
)
