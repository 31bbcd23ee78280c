/**
 * The plugin with addresses of elastic network interfaces, and nobody but it: no node process, no
 * API server, no cloud. Real packets in a VPC that drops and counts what an interface may not send.
 */
import { afterEach, expect } from 'bun:test'
import { answerAll } from '../../src/cni/plugin.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { CloudNetwork, twin } from '../eni/cloud-network.ts'
import { testNeeding } from '../support/requires.ts'

const testVpc = testNeeding('root', 'ip', 'nft', 'ping')

let cloud: CloudNetwork
afterEach(async () => {
  await cloud.close()
})

testVpc('pods start, reach everybody in both families, and stop, from the state folder alone', async () => {
  cloud = new CloudNetwork()
  const { node1, node2, vpc } = cloud
  node1.writePool()
  node2.writePool()
  const pods = [
    await node1.startPod('a'),
    await node1.startPod('b'),
    await node1.startPod('c'),
    await node2.startPod('d'),
  ]
  expect(pods.map(({ address }) => address)).toEqual([
    '192.168.32.10',
    '192.168.32.11',
    '192.168.32.20',
    '192.168.32.30',
  ])
  const hosts = [node1, node2]
  expect(await cloud.unreachable([...pods, ...hosts])).toEqual([])
  expect(await cloud.unreachable(pods.map(pod => ({ ...pod, address: twin(pod.address) })))).toEqual([])
  expect(vpc.spoofed()).toBe(0)
  // the addresses of the interfaces are the pods' alone
  expect(node1.run('ip', '-br', '-4', 'addr', 'show', 'eth1')).not.toContain('192.168')

  for (const { node, containerId } of pods) expect((await node.stopPod(containerId)).status).toBe(0)
  expect(node1.run('ip', 'rule')).not.toContain('2048')
  expect(node1.run('ip', '-6', 'rule')).not.toContain('2048')
  expect(await node1.records()).toEqual([])
  expect(node1.run('ip', 'route', 'show', 'table', '512')).toBe('')
})

testVpc(
  'a pod without a free address waits, with the reason; STATUS says so only where there is none at all',
  async () => {
    cloud = new CloudNetwork()
    const { node2: node } = cloud
    const status = () => node.call({ command: 'STATUS', config: { addressSource: 'interfaces' } })
    const pod = node.pod('late')
    expect((await node.addPod('late', pod.path)).json).toMatchObject({
      code: 11,
      msg: expect.stringContaining('the node agent has not written yet which there are'),
    })
    node.writePool(node.pool({ interfaces: [], shortage: 'vSwitch vsw-1 is full: add another to vSwitchIDs' }))
    expect((await node.addPod('late', pod.path)).json).toMatchObject({
      code: 11,
      msg: expect.stringContaining('no interface for pods yet; vSwitch vsw-1 is full'),
    })
    expect((await status()).json).toMatchObject({ code: 50, msg: expect.stringContaining('vSwitch vsw-1 is full') })
    node.writePool()
    expect((await status()).json).toBeUndefined()
    const pods = [await node.startPod('a'), await node.startPod('b')]
    expect((await node.addPod('late', pod.path)).json).toMatchObject({
      code: 11,
      msg: expect.stringContaining('all 2 addresses are in use'),
    })
    expect(await Bun.file(`${node.stateDir}/cni/attachments.json`).json()).toMatchObject({
      waiting: [{ pod: 'default/late' }],
    })
    expect((await status()).json).toBeUndefined() // the pods that run are served
    await node.stopPod('a')
    expect((await node.addPod('late', pod.path)).json.ips[0].address).toBe(`${pods[0]?.address}/32`)
    expect(await Bun.file(`${node.stateDir}/cni/attachments.json`).json()).not.toHaveProperty('waiting')
  },
)

testVpc('DEL and GC work when the interface is gone, and an ADD takes another one', async () => {
  cloud = new CloudNetwork()
  const { node1: node } = cloud
  node.writePool()
  const first = await node.startPod('a')
  await node.startPod('b')
  node.detach(0)
  expect(cloud.ping(first.namespace, '192.168.0.12')).toBe(false)
  expect(cloud.vpc.spoofed()).toBe(0) // it did not try by the primary interface
  expect((await node.startPod('c')).address).toBe('192.168.32.20')
  expect((await node.stopPod('a')).status).toBe(0)
  const valid = [{ containerID: 'c', ifname: 'eth0' }]
  const config = { addressSource: 'interfaces', 'cni.dev/valid-attachments': valid }
  expect((await node.call({ command: 'GC', config })).status).toBe(0)
  expect((await node.records()).map(({ containerId }) => containerId)).toEqual(['c'])
  expect(node.run('ip', 'rule').match(/2048/g)).toHaveLength(1)
})

testVpc('records that are damaged are made anew from the kernel, with the interface that each pod is on', async () => {
  cloud = new CloudNetwork()
  const { node1: node } = cloud
  node.writePool()
  const pods = [await node.startPod('a'), await node.startPod('b'), await node.startPod('c')]
  const before = await node.records()
  await Bun.write(`${node.stateDir}/cni/attachments.json`, '{"format":1,')
  await node.stopPod('b') // whoever comes first mends it
  const after = await node.records()
  const [a, , c] = before
  expect(after).toMatchObject(
    [a, c].map(({ containerId, addresses, hostInterface, interface: eni }) => ({
      containerId,
      addresses: expect.arrayContaining(addresses),
      hostInterface,
      interface: { mac: eni.mac },
    })),
  )
  expect((await node.startPod('d')).address).toBe(pods[1]?.address ?? '')
})

testVpc('many in one go: each has the rules of its own interface, one that fails leaves none, and all go', async () => {
  cloud = new CloudNetwork()
  const { node1: node, node2 } = cloud
  node.writePool()
  node2.writePool()
  const far = await node2.startPod('far')
  const call = (command: string, containerId: string, namespacePath: string, config: object = {}) => ({
    environment: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: namespacePath,
    },
    stdin: JSON.stringify({
      ...{ cniVersion: '1.1.0', name: 'pods', type: 'terway-edge', addressSource: 'interfaces' },
      ...{ stateDir: node.stateDir, ...config },
    }),
  })
  const onNode = (calls: ReturnType<typeof call>[]) =>
    inNetworkNamespace(node.network.path(node.namespace), () => answerAll(calls))
  const rules = () => node.run('ip', 'rule').match(/2048:.*/g) ?? []
  const pods = ['a', 'b', 'c'].map(name => ({ name, ...node.pod(name) }))
  const adds = pods.map(({ name, path }) => call('ADD', name, path))
  const answers = onNode([...adds.slice(0, 2), call('ADD', 'nowhere', '/run/netns/none'), ...adds.slice(2)])
  expect(answers.map(({ exitStatus }) => exitStatus)).toEqual([0, 0, 1, 0])
  const records: { containerId: string; addresses: string[] }[] = await node.records()
  const placed = pods.map(({ name, namespace }) => {
    const address = records.find(({ containerId }) => containerId === name)?.addresses[0] ?? ''
    return { namespace, address }
  })
  expect(placed.map(({ address }) => address)).toEqual(['192.168.32.10', '192.168.32.11', '192.168.32.20'])
  expect(rules().length).toBe(3)
  expect(await cloud.unreachable([...placed, far, node])).toEqual([])
  expect(cloud.vpc.spoofed()).toBe(0)

  expect(onNode(pods.slice(0, 2).map(({ name, path }) => call('DEL', name, path)))).toEqual([
    { exitStatus: 0 },
    { exitStatus: 0 },
  ])
  expect(rules()).toEqual([expect.stringContaining('192.168.32.20')])
  expect(onNode(adds.slice(0, 2)).map(({ exitStatus }) => exitStatus)).toEqual([0, 0])
  expect(rules().length).toBe(3)
  expect(onNode([call('GC', '', '', { 'cni.dev/valid-attachments': [] })])).toEqual([{ exitStatus: 0 }])
  expect([rules(), await node.records(), node.hostLinks()]).toEqual([[], [], []])
})
