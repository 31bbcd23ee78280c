/**
 * Damage done to the host's end of a real pod, and its repair by a node's process; machine defaults
 * that would harm pods.
 */
import { afterEach, expect } from 'bun:test'
import { vethNames } from '../../src/cni/veth-names.ts'
import { BY_EVENT_SECONDS, eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { CniNode } from './cni-node.ts'

const CIDRS = ['10.0.1.0/25', 'fd00:1::/64']
const HOST = vethNames({ containerId: 'a', interfaceName: 'eth0' }).hostInterface
let node: CniNode
afterEach(async () => {
  await node.close()
})

/** A node with a pod, and the keeper in a process of its own in the node's namespace. */
async function kept(settings: readonly string[] = []) {
  node = new CniNode(CIDRS)
  const { network, namespace: host } = node
  network.ip(host, 'addr add fd01::11/128 dev lo')
  for (const setting of settings) network.exec(host, ['sysctl', '-qw', setting])
  const { namespace: pod, path } = node.pod('a')
  for (const setting of settings) network.exec(pod, ['sysctl', '-qw', setting])
  expect(await node.add('a', path)).toMatchObject({ status: 0 })
  const lines: string[] = []
  const child = network.spawn(host, [process.execPath, `${import.meta.dir}/keep-wiring-child.ts`, node.stateDir])
  void (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) lines.push(...chunk.split('\n'))
  })()
  await eventually('it keeps', () => lines.includes('keeping'))
  const works = () => node.ping(pod, '192.0.2.11') && node.ping(pod, 'fd01::11') && node.ping(host, '10.0.1.1')
  return { host, pod, works, lines, network }
}

const testKept = testNeeding('root', 'ip', 'ping')

testKept(
  'a host end that went down, lost routes, addresses, its group or settings is made whole, and it is said',
  async () => {
    const { host, works, lines, network } = await kept()
    await eventually('it works', works)
    const ip = (words: string) => () => network.ip(host, words)
    const sysctl = (setting: string) => () => network.exec(host, ['sysctl', '-qw', setting])
    const get = (name: string) => network.exec(host, ['sysctl', '-n', name]).stdout.trim()
    for (const [damage, whole] of [
      [ip(`link set ${HOST} down`), works],
      [() => [ip(`link set ${HOST} down`)(), ip(`link set ${HOST} up`)()], works],
      [ip('route del 10.0.1.1'), works],
      [ip('-6 route del fd00:1::1'), works],
      [ip(`addr del fe80::1/64 dev ${HOST}`), works],
      [ip(`link set ${HOST} group default`), () => network.ip(host, `link show ${HOST}`).includes('group 29797')],
      // as a DEL that was killed leaves it
      [ip(`link set ${HOST} group 1073741824`), () => network.ip(host, `link show ${HOST}`).includes('group 29797')],
      [sysctl(`net.ipv4.conf.${HOST}.forwarding=0`), () => get(`net.ipv4.conf.${HOST}.forwarding`) === '1'],
      [sysctl(`net.ipv6.conf.${HOST}.forwarding=0`), () => get(`net.ipv6.conf.${HOST}.forwarding`) === '1'],
      [sysctl(`net.ipv6.conf.${HOST}.disable_ipv6=1`), works],
    ] as const) {
      damage()
      await eventually(`${damage} is repaired`, whole, BY_EVENT_SECONDS)
    }
    await eventually('it is said', () => lines.join('\n').includes('there is no route 10.0.1.1/32'))
  },
  300_000,
)

testKept('defaults of the machine that switch IPv6 off harm no pod', async () => {
  const off = ['net.ipv6.conf.default.disable_ipv6=1', 'net.ipv4.conf.default.forwarding=0']
  const { works } = await kept(off)
  await eventually('it works', works)
})

testKept('a pod that is taken down stays down', async () => {
  const { host, pod, lines, network } = await kept()
  network.ip(host, `link set ${HOST} down`)
  expect(await node.call({ command: 'DEL', containerId: 'a', netns: network.path(pod) })).toMatchObject({ status: 0 })
  await Bun.sleep(500)
  expect(await node.leftovers()).toEqual([])
  expect(lines.join('\n')).not.toContain('problem')
})

testKept('a host without an address reaches its pods all the same, and as itself once it has one', async () => {
  const { host, works, network } = await kept()
  await eventually('it works', works)
  const answers = () => node.ping(host, '10.0.1.1')
  network.ip(host, 'addr del 192.0.2.11/32 dev lo')
  await eventually('nobody answers 0.0.0.0', () => !answers())
  network.ip(host, 'route add local 10.0.1.0/32 dev lo table local proto 187') // as probes have it
  await eventually('its pod answers', answers)
  // the next pod too
  const { path } = node.pod('b')
  expect(await node.add('b', path)).toMatchObject({ status: 0 })
  await eventually('the next one answers', () => node.ping(host, '10.0.1.2'))
  network.ip(host, 'addr add 192.0.2.11/32 dev lo')
  const source = () => /src (\S+)/.exec(network.ip(host, 'route get 10.0.1.1'))?.[1]
  await eventually('its own address is back', () => source() === '192.0.2.11')
  expect(await eventually('it works again', works)).toBe(true)
})
