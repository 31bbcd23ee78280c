/**
 * Most of a LAN's nodes vanish from the RouteSlices at once: a node with pods' packets under way to
 * them, in namespaces, packets counted; a person who does not want it, one who does, and one who
 * has no API server to say it to.
 */
import { afterAll, afterEach, expect } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ApiServer, serveApi } from '../../src/apiserver/serve.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { entry } from '../support/cluster.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { testNeeding } from '../support/requires.ts'

const SLICES = '/apis/network.openyurt.io/v1alpha1/routeslices'
const SELF = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], [])
const OTHERS = [2, 3, 4].map(n => entry(`edge-${n}`, ['172.16.0.12'], [`10.0.${n}.0/25`], []))
const POD = '10.0.2.1'

const folder = mkdtempSync(join(tmpdir(), 'te-mass-removal-'))
let network: TestNetwork
let [node, other, kubeconfig, state] = ['', '', '', '']
let api: ApiServer
let child: Bun.Subprocess | undefined
afterEach(async () => {
  child?.kill('SIGTERM')
  await child?.exited
  await api.close()
  await network.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

async function send(method: string, path: string, body: object): Promise<void> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const init = { method, headers: { 'content-type': type }, body: JSON.stringify(body) }
  const answer = await api.api.fetch(new Request(`http://lab${path}`, init))
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`)
}

const shrinkTo = (entries: readonly RouteEntry[]) => send('PATCH', `${SLICES}/routes-1`, { entries })
const run = (...words: string[]) => network.exec(node, [process.execPath, 'src/main.ts', ...words], { mayFail: true })
const snapshot = (): Snapshot => JSON.parse(run('status', '-o', 'json').stdout)
const routes = () => network.ip(node, 'route show proto 187')
const isHeld = () => snapshot().problems.join().includes('the removal of node edge-2')

async function start(): Promise<void> {
  network = new TestNetwork()
  node = network.namespace('node')
  other = network.namespace('other')
  state = mkdtempSync(join(folder, 'state-'))
  kubeconfig = join(state, 'kubeconfig')
  network.connect(
    { namespace: node, interface: 'eth0', addresses: ['172.16.0.11/24'] },
    { namespace: other, interface: 'eth0', addresses: ['172.16.0.12/24'] },
  )
  network.ip(other, `addr add ${POD}/32 dev lo`)
  api = inNetworkNamespace(network.path(other), () => serveApi({ hostname: '0.0.0.0', port: 6443, clock: systemClock }))
  const crd = Bun.YAML.parse(readFileSync('config/crd-routeslices.yaml', 'utf8')) as object
  await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  const peers = Bun.YAML.parse(readFileSync('config/crd-bgppeers.yaml', 'utf8')) as object
  await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', peers)
  const meta = { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'RouteSlice', metadata: { name: 'routes-1' } }
  await send('POST', SLICES, { ...meta, entries: [SELF, ...OTHERS] })
  const config = join(state, 'config.yaml')
  const cni = { confDir: join(state, 'net.d'), binDir: join(state, 'bin') }
  writeFileSync(config, JSON.stringify({ cni, paths: { enabled: false } }))
  writeFileSync(kubeconfig, kubeconfigText('http://172.16.0.12:6443'))
  const words = ['agent', '--config', config, '--kubeconfig', kubeconfig, '--state', state, '--node', 'edge-1']
  child = network.spawn(node, [process.execPath, 'src/main.ts', ...words])
  await eventually('its routes are there', () => routes().includes('10.0.4.0/25'))
}

const rooted = testNeeding(...COUNTING_NEEDS, 'ping')

rooted(
  'it is held and costs no packet; it goes by the word of an operator',
  async () => {
    await start()
    const held = await countingPackets(network, { namespace: node, to: POD }, async () => {
      await shrinkTo([SELF])
      await eventually('it is held', isHeld)
      await Bun.sleep(2000)
      await shrinkTo([SELF, ...OTHERS]) // it was a mistake
      await eventually('nothing is held', () => !isHeld())
    })
    expect(held.sent).toBeGreaterThan(1000)
    expect(held.lost).toBe(0)

    expect(run('confirm', '--local', '--state', state).stdout).toBe('nothing is held on this node\n')
    await shrinkTo([SELF])
    await eventually('it is held again', isHeld)
    expect(routes()).toContain('10.0.2.0/25')
    // the API server is in this process, which must not stand still meanwhile
    const words = [process.execPath, 'src/main.ts', 'confirm', '--kubeconfig', kubeconfig]
    const confirmed = await new Response(network.spawn(node, words).stdout).text()
    expect(confirmed).toContain('confirmed: what is held goes now')
    await eventually('it goes', () => !routes().includes('10.0.2.0/25'))
  },
  300_000,
)

rooted(
  'with no API server to say it to, it goes by a word on the node',
  async () => {
    await start()
    await shrinkTo([SELF])
    await eventually('it is held', isHeld)
    network.ip(other, 'link set eth0 down') // and with it goes the API server
    expect(run('confirm', '--local', '--state', state).stdout).toContain('this node lets go what it holds')
    network.ip(other, 'link set eth0 up')
    await eventually('it goes', () => !routes().includes('10.0.2.0/25'))
    expect(run('confirm', '--local', '--kubeconfig', kubeconfig).status).toBe(2)
  },
  300_000,
)
