/**
 * ADDs that the plugin refuses: the error's code and text, and that nothing of the attempt is left in the kernel or in the records.
 */
import { afterEach, expect } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { vethNames } from '../../src/cni/veth-names.ts'
import { testNeeding } from '../support/requires.ts'
import { CniNode } from './cni-node.ts'

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
  expect(node.network.ip(node.namespace, `link show ${host}`)).toContain(host) // not ours, so it stays
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

testRoot('a state folder that cannot be read', async () => {
  node = new CniNode([V4])
  const pod = node.pod('a')
  mkdirSync(join(node.stateDir, 'cni'))
  writeFileSync(join(node.stateDir, 'cni', 'attachments.json'), '{')
  expect(await node.add('a', pod.path)).toMatchObject({ status: 1, json: { code: 5 } })
  expect(node.hostLinks()).toEqual([])
  expect(readFileSync(join(node.stateDir, 'cni', 'attachments.json'), 'utf8')).toBe('{')
})
