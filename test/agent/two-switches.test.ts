/**
 * A node with two switches (BIRD, with BFD) that both lead to another LAN, in namespaces: what a
 * third one that is none costs, and one that is cut off without a link going down. Packets are
 * counted.
 */
import { afterAll, expect } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serveApi } from '../../src/apiserver/serve.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { entry } from '../support/cluster.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { programPath, testNeeding } from '../support/requires.ts'

const rooted = testNeeding(...COUNTING_NEEDS, 'ping', 'bird')
const folder = mkdtempSync(join(tmpdir(), 'te-two-switches-'))
const network = new TestNetwork()
const GROUP = '/apis/network.openyurt.io/v1alpha1'
const ADDRESSES = { node: '172.16.0.11', a: '172.16.0.1', b: '172.16.0.2', none: '172.16.0.3' }
/** Far addresses: some go by one switch, some by the other. */
const FAR = Array.from({ length: 20 }, (_, index) => `10.0.9.${index + 1}`)

const lan = network.namespace('lan')
const api = inNetworkNamespace(network.path(lan), () =>
  serveApi({ hostname: '0.0.0.0', port: 6443, clock: systemClock }),
)
let node: Bun.Subprocess | undefined
afterAll(async () => {
  node?.kill('SIGTERM')
  await node?.exited
  await api.close()
  await network.close()
  rmSync(folder, { recursive: true })
})

async function send(path: string, body: object): Promise<void> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const answer = await api.api.fetch(new Request(`http://lab${path}`, init))
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`)
}

function applyPeer(name: string, peerIP: string): Promise<void> {
  return send(`${GROUP}/bgppeers`, {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name },
    spec: {
      localSpeakers: ['edge-1'],
      localAsNumber: 65010,
      peerIP,
      peerAsNumber: 65001,
      nodeSelector: 'all()',
      bfd: { enabled: true, minimumIntervalMilliseconds: 100, multiplier: 3 },
    },
  })
}

/** Everybody on one bridge; `far` behind both switches, with its way back by the first. */
async function build(): Promise<Record<'node' | 'a' | 'b' | 'none' | 'far', string>> {
  network.ip(lan, 'link add br0 type bridge')
  network.ip(lan, 'addr add 172.16.0.250/24 dev br0')
  network.ip(lan, 'link set br0 up')
  const on = (name: keyof typeof ADDRESSES) => {
    const namespace = network.namespace(name)
    const ends = { namespace, interface: 'eth0', addresses: [`${ADDRESSES[name]}/24`] }
    network.connect(ends, { namespace: lan, interface: `to-${name}` })
    network.ip(lan, `link set to-${name} master br0`)
    return namespace
  }
  const names = { node: on('node'), a: on('a'), b: on('b'), none: on('none'), far: network.namespace('far') }
  for (const address of FAR) network.ip(names.far, `addr add ${address}/32 dev lo`)
  for (const [name, subnet] of [
    ['a', '192.0.2.0'],
    ['b', '192.0.2.8'],
  ] as const) {
    const [own, other] = [1, 2].map(host => subnet.replace(/\d+$/, last => String(Number(last) + host)))
    network.connect(
      { namespace: names[name], interface: 'core', addresses: [`${own}/29`] },
      { namespace: names.far, interface: `to-${name}`, addresses: [`${other}/29`] },
    )
    network.exec(names[name], ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    network.ip(names[name], `route add 10.0.9.0/24 via ${other}`)
  }
  network.ip(names.far, 'route add 172.16.0.0/24 via 192.0.2.1')
  for (const name of ['a', 'b'] as const) {
    const conf = join(folder, `${name}.conf`)
    writeFileSync(
      conf,
      `router id ${ADDRESSES[name]};
protocol device {}
protocol bfd { interface "eth0" { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }; }
protocol bgp node {
  local ${ADDRESSES[name]} as 65001; neighbor ${ADDRESSES.node} as 65010; connect retry time 2; bfd on;
  ipv4 { import all; export none; };
}
`,
    )
    const words = ['-f', '-c', conf, '-s', join(folder, `${name}.ctl`)]
    network.spawn(names[name], [programPath('bird') ?? 'bird', ...words])
  }
  return names
}

async function startNode(namespace: string): Promise<void> {
  for (const name of ['routeslices', 'bgppeers']) {
    const crd = Bun.YAML.parse(readFileSync(`config/crd-${name}.yaml`, 'utf8')) as object
    await send('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  }
  for (const name of ['a', 'b'] as const) await applyPeer(name, ADDRESSES[name])
  const entries = [
    entry('edge-1', [ADDRESSES.node], ['10.0.1.0/25'], ['a', 'b', 'none']),
    entry('far-1', ['192.0.2.99'], ['10.0.9.0/25'], ['elsewhere']),
  ]
  const metadata = { name: 'routes-1' }
  await send(`${GROUP}/routeslices`, {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'RouteSlice',
    metadata,
    entries,
  })
  const config = join(folder, 'config.yaml')
  const cni = { confDir: join(folder, 'net.d'), binDir: join(folder, 'bin') }
  writeFileSync(config, JSON.stringify({ cni, paths: { enabled: false } }))
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigText('http://172.16.0.250:6443'))
  const words = ['node', '--config', config, '--kubeconfig', kubeconfig, '--state', join(folder, 'state')]
  node = network.spawn(namespace, [process.execPath, 'src/main.ts', ...words, '--node', 'edge-1'])
}

rooted(
  'a device that speaks no BGP gets no share, one that is cut off loses its own by BFD, and both at once is nobody',
  async () => {
    const names = await build()
    await startNode(names.node)
    const snapshot = (): Snapshot => {
      const words = [process.execPath, 'src/main.ts', 'status', '-o', 'json']
      return JSON.parse(network.exec(names.node, words, { mayFail: true }).stdout)
    }
    const route = () => network.ip(names.node, 'route show 10.0.9.0/25')
    const goesBy = (gateway: string) => route().includes(`via ${gateway} `)
    const isUp = () => snapshot().sessions.every(({ state, bfd }) => state === 'Established' && bfd?.state === 'Up')
    await eventually('both are up', isUp, 60)
    await eventually('both share', () => goesBy(ADDRESSES.a) && goesBy(ADDRESSES.b))
    const wayOf = (address: string) => network.ip(names.node, `route get ${address}`)
    const byB = FAR.find(address => wayOf(address).includes(`via ${ADDRESSES.b} `)) ?? ''
    expect(byB).not.toBe('')

    // it answers ARP, and nobody ever spoke BGP there
    const third = await countingPackets(network, { namespace: names.node, to: byB }, async () => {
      await applyPeer('none', ADDRESSES.none)
      const text = `gateway ${ADDRESSES.none} of BGPPeer none had no BGP session yet: the others have its share`
      await eventually('it is named', () => snapshot().problems.includes(text))
    })
    expect(third.sent).toBeGreaterThan(500)
    expect(third.lost).toBe(0)
    expect(goesBy(ADDRESSES.none)).toBe(false)

    // cut off where the node sees no link go down: the kernel would take seconds to doubt it
    const cut = await countingPackets(network, { namespace: names.node, to: byB }, async () => {
      await Bun.sleep(500)
      network.ip(lan, 'link set to-b down')
      await eventually('its share is with the other', () => !goesBy(ADDRESSES.b))
      await Bun.sleep(500)
    })
    expect(cut.sent).toBeGreaterThan(1000)
    expect(cut.lost).toBeGreaterThan(0)
    expect(cut.lost).toBeLessThan(2500) // 300 ms of BFD, and what a busy machine needs
    expect(snapshot().problems.join()).toMatch(/gateway 172\.16\.0\.2 of BGPPeer b (is down by BFD|does not answer)/)

    network.ip(lan, 'link set to-a down')
    await eventually('where none answers, none is told from the others', () => goesBy(ADDRESSES.a))
    for (const name of ['a', 'b']) network.ip(lan, `link set to-${name} up`)
    await eventually('both share again', () => goesBy(ADDRESSES.a) && goesBy(ADDRESSES.b), 60)
  },
  300_000,
)
