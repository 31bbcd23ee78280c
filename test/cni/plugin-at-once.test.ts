/**
 * Plugins that are killed, that run against each other, and a hundred at once: real processes over
 * one state folder, and afterwards nothing is half there.
 */
import { afterEach, expect } from 'bun:test'
import { testNeeding } from '../support/requires.ts'
import { addressesOf, CniNode } from './cni-node.ts'

const testRoot = testNeeding('root')
const V4 = '10.0.1.0/25'
const V6 = 'fd00:1::/64'

let node: CniNode
afterEach(async () => {
  await node.close()
})

testRoot(
  'killed at any instruction, the next DEL or ADD ends right',
  async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const config = JSON.stringify({
      cniVersion: '1.1.0',
      name: 'pods',
      type: 'terway-edge',
      podCIDRs: [V4],
      stateDir: node.stateDir,
    })
    for (let round = 0; round < 20; round++) {
      const child = Bun.spawn(
        ['ip', 'netns', 'exec', node.namespace, process.execPath, `${import.meta.dir}/run-plugin.ts`],
        {
          stdin: Buffer.from(config),
          stdout: 'ignore',
          stderr: 'ignore',
          env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0' },
        },
      )
      await Bun.sleep(10 + Math.random() * 30)
      child.kill('SIGKILL')
      await child.exited
      if (round % 2 === 0) {
        const again = await node.add('a', pod.path)
        // 102: the first was done before it was killed
        expect([0, 102]).toContain(again.json.code ?? 0)
        expect(await node.records()).toHaveLength(1)
        expect(node.hostLinks()).toHaveLength(1)
      }
      expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })).toMatchObject({ status: 0 })
      expect(await node.leftovers()).toEqual([])
    }
  },
  300_000,
)

testRoot(
  'a DEL while ADD is under way leaves all of it or nothing',
  async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const codes = new Set<number>()
    for (let round = 0; round < 20; round++) {
      const adding = node.add('a', pod.path)
      await Bun.sleep(Math.random() * 40)
      const deleted = await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })
      expect(deleted.status).toBe(0)
      const added = await adding
      codes.add(added.status === 0 ? 0 : added.json.code)
      const [records, links] = [await node.records(), node.hostLinks()]
      expect([records.length, links.length]).toEqual(records.length === 1 ? [1, 1] : [0, 0])
      if (added.status === 1) expect(records).toEqual([])
      await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })
      expect(await node.leftovers()).toEqual([])
    }
    for (const code of codes) expect([0, 3, 11, 104]).toContain(code)
  },
  300_000,
)

testRoot(
  '100 at once get 100 addresses of each family',
  async () => {
    node = new CniNode([V4, V6])
    const pods = Array.from({ length: 100 }, (_, index) => ({ id: `p${index}`, ...node.pod(`p${index}`) }))
    const replies = await Promise.all(pods.map(pod => node.add(pod.id, pod.path)))
    expect(replies.map(reply => reply.status)).toEqual(pods.map(() => 0))
    expect(new Set(replies.flatMap(addressesOf)).size).toBe(200)
    expect(node.podRoutes()).toHaveLength(200)
    await Promise.all(pods.map(pod => node.call({ command: 'DEL', containerId: pod.id, netns: pod.path })))
    expect(await node.leftovers()).toEqual([])
  },
  300_000,
)
