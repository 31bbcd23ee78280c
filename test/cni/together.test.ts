/**
 * Many ADDs and DELs in one go: in a node's namespace, against a real kernel.
 */
import { afterEach, expect } from 'bun:test'
import { answer, answerAll } from '../../src/cni/plugin.ts'
import { vethNames } from '../../src/cni/veth-names.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { setLink } from '../../src/netlink/link.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { testNeeding } from '../support/requires.ts'
import { CniNode } from './cni-node.ts'

const testRoot = testNeeding('root')

let node: CniNode
afterEach(async () => {
  await node.close()
})

/** What a runtime calls the plugin with. */
function call(command: string, containerId: string, config: object = {}) {
  const environment = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: node.network.path(node.namespace.replace(/node$/, containerId)),
  }
  const own = { cniVersion: '1.1.0', name: 'pods', type: 'terway-edge', podCIDRs: node.podCIDRs }
  return { environment, stdin: JSON.stringify({ ...own, stateDir: node.stateDir, ...config }) }
}

function hostEnd(containerId: string): string {
  return vethNames({ containerId, interfaceName: 'eth0' }).hostInterface
}

function onNode<T>(action: () => T): T {
  return inNetworkNamespace(node.network.path(node.namespace), action)
}

/** Pods of these names, attached. */
function attach(...names: string[]): void {
  for (const name of names) {
    node.pod(name)
    const { environment, stdin } = call('ADD', name)
    expect(onNode(() => answer(environment, stdin))).toMatchObject({ exitStatus: 0 })
  }
}

testRoot('ADDs: each pod has its addresses and its answer, whatever becomes of the others', async () => {
  node = new CniNode(['10.0.1.0/25', 'fd00:1::/64'])
  attach('a')
  for (const name of ['b', 'c', 'taken']) node.pod(name)
  node.network.ip(node.namespace, `link add ${hostEnd('taken')} type bridge`)
  const adds = [
    call('ADD', 'b'),
    call('ADD', 'a'),
    call('ADD', 'nowhere'),
    call('ADD', 'taken'),
    call('ADD', 'c'),
    { ...call('ADD', 'd'), stdin: '{' },
  ]
  const answers = onNode(() => answerAll(adds))
  const codes = answers.map(({ output }) => (output !== undefined && 'code' in output ? output.code : 0))
  expect(codes).toEqual([0, 102, 3, 103, 0, 6])
  expect((await node.records()).map(({ containerId, addresses }) => [containerId, addresses.length])).toEqual([
    ['a', 2],
    ['b', 2],
    ['c', 2],
  ])
  expect(node.hostLinks().sort()).toEqual([hostEnd('a'), hostEnd('b'), hostEnd('c')].sort())
  const [b, c] = (await node.records()).slice(1).map(({ addresses }) => addresses[0])
  expect([b === c, node.ping(node.namespace, b), node.ping(node.namespace, c)]).toEqual([false, true, true])
})

testRoot(
  'DELs: all that are asked for go, what is not ours or not asked for stays, and each gets its answer',
  async () => {
    node = new CniNode(['10.0.1.0/25', 'fd00:1::/64'])
    attach('a', 'b', 'c', 'd')
    node.network.ip(node.namespace, `link add ${hostEnd('foreign')} type bridge`)
    onNode(() => {
      const netlink = Rtnetlink.open()
      netlink.run(setLink(hostEnd('b'), { group: 0x4000_0001 })) // a DEL that was killed
      netlink.close()
    })
    const dels = [
      call('DEL', 'a'),
      call('DEL', 'b'),
      call('DEL', 'b'),
      call('DEL', 'c', { name: 'another' }),
      call('DEL', 'foreign'),
      call('DEL', 'never'),
      { ...call('DEL', 'd'), stdin: '{' },
    ]
    const answers = onNode(() => answerAll(dels))
    expect(answers.map(({ exitStatus }) => exitStatus)).toEqual([0, 0, 0, 0, 0, 0, 1])
    expect(answers[6]?.output).toMatchObject({ code: 6 })
    expect((await node.records()).map(({ containerId }) => containerId)).toEqual(['c', 'd'])
    expect(node.hostLinks().sort()).toEqual([hostEnd('c'), hostEnd('d')].sort())
    expect(node.network.ip(node.namespace, 'link show type bridge')).toContain(hostEnd('foreign'))
    expect(node.ping(node.namespace, '10.0.1.3')).toBe(true)
  },
)
