/**
 * A node as a process, its gateway and the API server behind that, in namespaces: bad podCIDRs that
 * would cut it off, known ones and one that nobody could know of, and outages that are nobody's
 * fault.
 */
import { afterAll, afterEach, expect } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ApiServer, serveApi } from '../../src/apiserver/serve.ts'
import { encodeClusterState } from '../../src/kube/cluster-state.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { bgpPeer, entry } from '../support/cluster.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { testNeeding } from '../support/requires.ts'

const SELF = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])
const OTHER = entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan'])
const PEER = bgpPeer('lan', { peerIP: '172.16.0.254', localSpeakers: ['nobody'] })
const SLICES = '/apis/network.openyurt.io/v1alpha1/routeslices'
const API = '192.168.0.10'
const VPN = '198.51.100.7'
/** The far end of a tunnel that says it. */
const FAR = '203.0.113.7'
const INNER = '10.99.0.1'

const folder = mkdtempSync(join(tmpdir(), 'te-lifelines-'))
let site: Site | undefined
afterEach(async () => {
  await site?.close()
  site = undefined
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const rooted = testNeeding(...COUNTING_NEEDS, 'ping')

/**
 * `edge-1`; a second node that forwards nothing; a gateway that has the API server and the far end
 * of a VPN.
 */
class Site {
  readonly network = new TestNetwork()
  readonly node = this.network.namespace('node')
  readonly gateway = this.network.namespace('gateway')
  readonly state = mkdtempSync(join(folder, 'state-'))
  readonly #api: ApiServer
  #child: Bun.Subprocess | undefined

  constructor() {
    const { network, node, gateway } = this
    const lan = network.namespace('lan')
    const other = network.namespace('other')
    network.ip(lan, 'link add br0 type bridge')
    network.ip(lan, 'link set br0 up')
    for (const [namespace, address] of [
      [node, '172.16.0.11/24'],
      [other, '172.16.0.12/24'],
      [gateway, '172.16.0.254/24'],
    ] as const) {
      network.connect(
        { namespace, interface: 'eth0', addresses: [address] },
        { namespace: lan, interface: namespace.slice(-8) },
      )
      network.ip(lan, `link set ${namespace.slice(-8)} master br0`)
    }
    network.ip(node, 'route add default via 172.16.0.254')
    for (const address of [API, VPN, FAR]) network.ip(gateway, `addr add ${address}/32 dev lo`)
    this.#vpn(node, '172.16.0.11', VPN, '10.99.0.2')
    this.#vpn(gateway, VPN, '172.16.0.11', INNER)
    this.#api = inNetworkNamespace(network.path(gateway), () =>
      serveApi({ hostname: '0.0.0.0', port: 6443, clock: systemClock }),
    )
  }

  /** That of the link itself says nobody where it leads. */
  #vpn(namespace: string, local: string, remote: string, inner: string): void {
    this.network.ip(namespace, `link add vpn0 type vxlan id 7 local ${local} dstport 4789`)
    this.network.exec(namespace, ['bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vpn0', 'dst', remote])
    this.network.ip(namespace, `addr add ${inner}/30 dev vpn0`)
    this.network.ip(namespace, 'link set vpn0 up')
  }

  /** One by which the API server is, and that says where it leads. */
  tunnel(): void {
    const { network, node, gateway } = this
    for (const [namespace, local, remote] of [
      [node, '172.16.0.11', FAR],
      [gateway, FAR, '172.16.0.11'],
    ] as const) {
      network.ip(namespace, `link add far0 type vxlan id 9 local ${local} remote ${remote} dstport 4790`)
      network.ip(namespace, `addr add ${namespace === node ? '10.98.0.2' : '10.98.0.1'}/30 dev far0`)
      network.ip(namespace, 'link set far0 up')
    }
    network.ip(node, `route add ${API}/32 via 10.98.0.1`)
  }

  async publish(entries: readonly RouteEntry[]): Promise<void> {
    const meta = { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'RouteSlice', metadata: { name: 'routes-1' } }
    await this.#send('DELETE', `${SLICES}/routes-1`)
    await this.#send('POST', SLICES, { ...meta, entries })
  }

  async start(apiAddress: string): Promise<void> {
    for (const name of ['routeslices', 'bgppeers']) {
      const crd = Bun.YAML.parse(readFileSync(`config/crd-${name}.yaml`, 'utf8')) as object
      await this.#send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
    }
    const { name, spec } = PEER
    const { role: _, ...plain } = spec
    await this.#send('POST', '/apis/network.openyurt.io/v1alpha1/bgppeers', {
      apiVersion: 'network.openyurt.io/v1alpha1',
      kind: 'BGPPeer',
      metadata: { name },
      spec: plain,
    })
    await this.publish([SELF, OTHER])
    this.run(apiAddress)
  }

  run(apiAddress: string): void {
    const config = join(this.state, 'config.yaml')
    writeFileSync(
      config,
      JSON.stringify({ cni: { confDir: join(this.state, 'net.d'), binDir: join(this.state, 'bin') } }),
    )
    const kubeconfig = join(this.state, 'kubeconfig')
    writeFileSync(kubeconfig, kubeconfigText(`http://${apiAddress}:6443`))
    const words = ['agent', '--config', config, '--kubeconfig', kubeconfig, '--state', this.state, '--node', 'edge-1']
    this.#child = this.network.spawn(this.node, [process.execPath, 'src/main.ts', ...words])
  }

  async stop(): Promise<void> {
    const child = this.#child
    child?.kill('SIGTERM')
    await Promise.race([child?.exited, Bun.sleep(15_000)])
    child?.kill('SIGKILL')
    await child?.exited
  }

  snapshot(): Snapshot {
    const words = [process.execPath, 'src/main.ts', 'status', '-o', 'json']
    return JSON.parse(this.network.exec(this.node, words, { mayFail: true }).stdout)
  }

  problems(): string {
    return this.snapshot().problems.join('\n')
  }

  /** Destinations with our protocol number. */
  routes(): string[] {
    const text = this.network.ip(this.node, 'route show proto 187')
    return text.split('\n').flatMap(line => /(\d+\.\d+\.\d+\.\d+\/\d+)/.exec(line)?.[1] ?? [])
  }

  routesBecome(expected: readonly string[], seconds = 60): Promise<unknown> {
    const wanted = expected.toSorted().join()
    return eventually(`routes ${wanted}`, () => this.routes().toSorted().join() === wanted, seconds)
  }

  events(): Promise<string> {
    return this.#api.api.fetch(new Request('http://lab/api/v1/events')).then(answer => answer.text())
  }

  async #send(method: string, path: string, body?: object): Promise<void> {
    const init = { method, headers: { 'content-type': 'application/json' } }
    const request = new Request(
      `http://lab${path}`,
      body === undefined ? init : { ...init, body: JSON.stringify(body) },
    )
    const answer = await this.#api.api.fetch(request)
    if (!answer.ok && method !== 'DELETE') throw new Error(`${path}: ${await answer.text()}`)
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#api.close()
    await this.network.close()
  }
}

rooted(
  'podCIDRs over the API server, the gateway and the far end of a tunnel get no route, are told, and cost no packet',
  async () => {
    site = new Site()
    site.tunnel()
    await site.start(API)
    await site.routesBecome(['10.0.1.0/25', '10.0.2.0/25'])
    const at = site
    const podCIDRs = ['192.168.0.8/29', '172.16.0.252/30', '203.0.113.0/28', '10.0.9.0/25']
    const bad = entry('edge-9', ['172.16.0.12'], podCIDRs, ['lan'])
    const { sent, lost } = await countingPackets(site.network, { namespace: site.node, to: API }, async () => {
      await at.publish([SELF, { ...bad, addresses: ['172.16.0.13'] }])
      await at.routesBecome(['10.0.1.0/25', '10.0.9.0/25'])
      await eventually('it is told', () =>
        at.problems().includes('192.168.0.8/29 of node edge-9 holds 192.168.0.10, the API server'),
      )
      await Bun.sleep(1000)
    })
    expect(sent).toBeGreaterThan(500)
    expect(lost).toBe(0)
    expect(site.problems()).toContain('172.16.0.252/30 of node edge-9 holds 172.16.0.254')
    expect(site.problems()).toContain('203.0.113.0/28 of node edge-9 holds 203.0.113.7, the far end of far0')
    expect(site.snapshot().api.connected).toBe(true)
  },
  300_000,
)

rooted(
  'a node whose state holds the bad view, and whose routes are bad already, heals without anybody',
  async () => {
    site = new Site()
    const bad = entry('edge-9', ['172.16.0.12'], ['192.168.0.8/29'], ['lan'])
    const slices = new Map([['routes-1', [SELF, bad]]])
    mkdirSync(site.state, { recursive: true })
    const state = encodeClusterState({ slices, peers: new Map([['lan', PEER]]), passwords: new Map() })
    writeFileSync(join(site.state, 'cluster.json'), state)
    site.network.ip(site.node, 'route add 192.168.0.8/29 via 172.16.0.12 proto 187')
    await site.start(API)
    await site.routesBecome(['10.0.1.0/25', '10.0.2.0/25'])
    await eventually('contact', () => site?.snapshot().api.connected === true)
  },
  300_000,
)

rooted(
  'a change that costs contact in a way that nobody could know is taken back, held over a restart, named, and let go when it goes',
  async () => {
    site = new Site()
    await site.start(INNER)
    await site.routesBecome(['10.0.1.0/25', '10.0.2.0/25'])
    const at = site
    // the far end of the VPN, behind a node that forwards nothing
    const bad = { ...OTHER, podCIDRs: ['10.0.2.0/25', '198.51.100.0/28'] }
    await at.publish([SELF, bad])
    await at.routesBecome(['10.0.1.0/25', '10.0.2.0/25', '198.51.100.0/28'])
    await at.routesBecome(['10.0.1.0/25', '10.0.2.0/25'], 60)
    await eventually('it is named', () =>
      at.problems().includes('the change of node edge-2 (10.0.2.0/25, 198.51.100.0/28) is held'),
    )
    await eventually('an Event tells', async () => (await at.events()).includes('ChangeHeld'))
    await at.stop()
    at.run(INNER)
    await eventually('it is held after a restart', () => at.problems().includes('is held'))
    expect(at.routes()).not.toContain('198.51.100.0/28')
    await at.publish([SELF, OTHER])
    await eventually('it is over', () => !at.problems().includes('is held'))
  },
  300_000,
)

const NEXT = entry('edge-3', ['172.16.0.12'], ['10.0.3.0/25'], ['lan'])

/** The routes stay for longer than changes would take to be taken back. */
async function nothingChanges(at: Site, seconds: number): Promise<void> {
  const before = at.routes()
  const end = Date.now() + seconds * 1000
  while (Date.now() < end) {
    expect(at.routes()).toEqual(before)
    await Bun.sleep(200)
  }
}

// the known way is walked in virtual time by test/kube/sound-view.test.ts: here three tries do
for (const [what, apiAddress, outage, seconds] of [
  ['where the gateway does not answer', INNER, 'link set eth0 down', 25],
  ['where the way to the API server is known, and it is gone', API, `addr del ${API}/32 dev lo`, 12],
] as const) {
  rooted(
    `an outage right after a change changes nothing ${what}`,
    async () => {
      site = new Site()
      await site.start(apiAddress)
      await site.routesBecome(['10.0.1.0/25', '10.0.2.0/25'])
      await site.publish([SELF, { ...NEXT, addresses: ['172.16.0.13'] }])
      await site.routesBecome(['10.0.1.0/25', '10.0.3.0/25'])
      site.network.ip(site.gateway, outage)
      await nothingChanges(site, seconds)
      expect(site.problems()).not.toContain('taken back')
    },
    300_000,
  )
}

rooted(
  'an outage behind the gateway right after a change, by a way that nobody knows: the change is back when the former routes did not help either',
  async () => {
    site = new Site()
    await site.start(INNER)
    await site.routesBecome(['10.0.1.0/25', '10.0.2.0/25'])
    await site.publish([SELF, { ...NEXT, addresses: ['172.16.0.13'] }])
    await site.routesBecome(['10.0.1.0/25', '10.0.3.0/25'])
    site.network.ip(site.gateway, 'link set vpn0 down')
    await site.routesBecome(['10.0.1.0/25', '10.0.2.0/25'], 40)
    await site.routesBecome(['10.0.1.0/25', '10.0.3.0/25'], 40)
    expect(site.problems()).not.toContain('is held')
  },
  300_000,
)
