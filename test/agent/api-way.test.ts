/**
 * With a real kernel: which ways to the API server are known, which silence is explained, and when
 * lifelines are looked up.
 */
import { afterAll, expect } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isWayKnown } from '../../src/agent/api-way.ts'
import { createLifelines, type Lifelines, type LifelinesOptions } from '../../src/agent/lifelines.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { BY_EVENT_SECONDS, eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const API = '192.168.0.10'
const VXLAN = 'type vxlan id 7 local 172.16.0.11'
const folder = mkdtempSync(join(tmpdir(), 'te-api-way-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const rooted = testNeeding('root', 'ip')

/** A namespace with `wire`, of which `make` makes `out`, and a gateway behind that. */
async function withNode(
  make: readonly string[],
  out: string,
  body: (node: { ip: (words: string) => void; path: string }) => Promise<void> | void,
): Promise<void> {
  const network = new TestNetwork()
  try {
    const namespace = network.namespace('node')
    network.connect({ namespace, interface: 'wire' }, { namespace: network.namespace('lan'), interface: 'wire' })
    const ip = (words: string) => void network.ip(namespace, words)
    for (const words of make) ip(words)
    ip(`addr add 172.16.0.11/24 dev ${out}`)
    ip(`link set ${out} up`)
    ip('route add default via 172.16.0.254')
    await body({ ip, path: network.path(namespace) })
  } finally {
    await network.close()
  }
}

function isKnownIn(netns: string): boolean {
  const kernel = Rtnetlink.open({ netns })
  try {
    return isWayKnown(kernel, [API])
  } finally {
    kernel.close()
  }
}

const OTHER = ['link add d0 type veth peer name d1', 'link set d1 up', 'link set d0 up', 'route add 10.5.0.9/32 dev d0']
const BRIDGE = ['link add br0 type bridge', 'link set wire master br0']
for (const [what, make, out, known] of [
  ['a link', [], 'wire', true],
  ['a bridge', BRIDGE, 'br0', true],
  ['a macvlan', ['link add link wire name m0 type macvlan'], 'm0', true],
  [
    'a bridge with a tunnel that says where it leads',
    [...BRIDGE, ...OTHER, 'link add t0 type vxlan id 7 remote 10.5.0.9 dstport 4789', 'link set t0 master br0'],
    'br0',
    true,
  ],
  [
    'a bridge with one that does not',
    [...BRIDGE, `link add t0 ${VXLAN} dstport 4789`, 'link set t0 master br0'],
    'br0',
    false,
  ],
  ['a bridge with a tap', [...BRIDGE, 'tuntap add t0 mode tap', 'link set t0 master br0'], 'br0', false],
  [
    'a macvlan on a bridge with a tap',
    [...BRIDGE, 'tuntap add t0 mode tap', 'link set t0 master br0', 'link add link br0 name m0 type macvlan'],
    'm0',
    false,
  ],
  [
    'a macvlan on a tunnel',
    [`link add t0 ${VXLAN} dstport 4789`, 'link set t0 up', 'link add link t0 name m0 type macvlan'],
    'm0',
    false,
  ],
  [
    'a veth to a bridge with a tap',
    [
      ...BRIDGE,
      'tuntap add t0 mode tap',
      'link set t0 master br0',
      'link add h0 type veth peer name h1',
      'link set h1 master br0',
    ],
    'h0',
    false,
  ],
] as const) {
  rooted(`the way by ${what} is ${known ? '' : 'not '}known`, () =>
    withNode(make, out, ({ path }) => expect(isKnownIn(path)).toBe(known)),
  )
}

/** In a namespace, with `API` as the one address of the API server. */
async function withLifelines(
  options: Partial<LifelinesOptions> & { netns: string },
  body: (lifelines: Lifelines) => Promise<void> | void,
): Promise<void> {
  const stateDir = mkdtempSync(join(folder, 'state-'))
  writeFileSync(join(stateDir, 'api-addresses.json'), JSON.stringify({ [API]: Date.now() }))
  const lifelines = createLifelines({
    urls: async () => [`https://${API}:6443`],
    contactAt: () => undefined,
    stateDir,
    protocol: 187,
    serviceCIDRs: [],
    clock: systemClock,
    log: silentLog,
    ...options,
  })
  try {
    await body(lifelines)
  } finally {
    await lifelines.close()
  }
}

rooted('an address of a Service range is not that of a server', () =>
  withNode([], 'wire', async ({ path }) => {
    await withLifelines({ netns: path }, lifelines => expect(lifelines.wayIsKnown()).toBe(true))
    const serviceCIDRs = ['fd00:10::/112', '192.168.0.0/20']
    await withLifelines({ netns: path, serviceCIDRs }, lifelines => expect(lifelines.wayIsKnown()).toBe(false))
  }),
)

rooted('a gateway that does not answer explains silence, but not where a tunnel may lead to it', () =>
  withNode(BRIDGE, 'br0', async ({ ip, path }) => {
    ip('neigh add 172.16.0.254 dev br0 nud failed')
    await withLifelines({ netns: path }, async lifelines => {
      expect(lifelines.pathIsDown()).toBe(true)
      ip(`link add t0 ${VXLAN} dstport 4789`)
      ip('link set t0 master br0')
      expect(lifelines.pathIsDown()).toBe(false)
    })
  }),
)

rooted('a gateway of a table counts where a rule leads packets of this machine to it', () =>
  withNode([], 'wire', async ({ ip, path }) => {
    ip('route add default via 172.16.0.77 dev wire table 10')
    await withLifelines({ netns: path }, async lifelines => {
      const addresses = () => lifelines.current().map(({ address }) => address)
      expect(addresses()).toContain('172.16.0.254')
      ip('rule add iif wire lookup 10')
      await withLifelines({ netns: path }, other =>
        expect(other.current().map(({ address }) => address)).not.toContain('172.16.0.77'),
      )
      ip('rule add from 10.5.0.1 lookup 10')
      await eventually('the gateway counts', () => addresses().includes('172.16.0.77'), BY_EVENT_SECONDS)
    })
  }),
)

rooted('links of pods that come and go have nothing looked up', async () => {
  const network = new TestNetwork()
  try {
    const [node, pod] = [network.namespace('node'), network.namespace('pod')]
    network.exec(node, ['sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'])
    let passes = 0
    const urls = async () => {
      passes++
      return [`https://${API}:6443`]
    }
    await withLifelines({ netns: network.path(node), urls }, async () => {
      await eventually('the watch is open', () => passes > 0)
      const before = passes
      network.connect({ namespace: node, interface: 'te0123456789a' }, { namespace: pod, interface: 'eth0' })
      network.ip(node, 'route add 10.0.1.5/32 dev te0123456789a')
      await Bun.sleep(1500) // a wake-up would be a pass 0.2 s later
      network.ip(node, 'link del te0123456789a')
      await Bun.sleep(1000)
      expect(passes).toBe(before)
      network.connect({ namespace: node, interface: 'eth1' }, { namespace: pod, interface: 'eth0' })
      await eventually('another link is seen', () => passes > before, BY_EVENT_SECONDS)
    })
  } finally {
    await network.close()
  }
})
