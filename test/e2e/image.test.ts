/**
 * The image as `terway-edge manifests` runs it: the controller's Deployment under a real kubelet,
 * with the real controllers of Kubernetes and a scheduler of one line, rolled on one node, asked
 * for metrics.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { version } from '../../package.json'
import { imageTar } from '../../scripts/packaging/image.ts'
import { PLATFORMS } from '../../scripts/packaging/targets.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { KUBELET_NEEDS, TestKubelet } from '../support/kubelet.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = [...KUBELET_NEEDS, 'apt-get', 'dpkg-deb', 'curl']
const test = testNeeding(...NEEDS)
const MINUTE = 60_000
const NODE = 'cloud-1'
const ADDRESS = '172.16.0.11'
const IMAGE = `localhost/terway-edge:${version}`
const folder = mkdtempSync(join(tmpdir(), 'te-image-'))

let network: TestNetwork
let outside: string
let server: TestApiServer
let kubelet: TestKubelet
let controllers: Bun.Subprocess | undefined
let binding: Timer | undefined

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    const tar = join(folder, 'terway-edge.tar')
    const documents = { LICENSE: readFileSync('LICENSE', 'utf8') }
    const executable = () => resolve('dist/terway-edge')
    const platforms = PLATFORMS.filter(
      ({ architecture }) => architecture === (process.arch === 'x64' ? 'amd64' : 'arm64'),
    )
    const made = { folder: join(folder, 'made'), version, commit: 'test', time: 0, executable, documents, platforms }
    await Bun.write(tar, imageTar(made))
    network = new TestNetwork()
    outside = network.namespace('outside')
    const node = network.namespace('node')
    network.connect(
      { namespace: outside, interface: 'lan', addresses: ['172.16.0.1/24'] },
      { namespace: node, interface: 'eth0', addresses: [`${ADDRESS}/24`] },
    )
    network.ip(node, 'route add default via 172.16.0.1')
    server = await TestApiServer.start({
      namespace: outside,
      address: '172.16.0.1',
      crds: false,
      serviceAccounts: true,
    })
    controllers = network.spawn(outside, controllerManager())
    kubelet = await TestKubelet.start({ server, namespace: node, name: NODE, address: ADDRESS, images: [tar] })
    // the address of the API server's Service, for want of a Service proxy
    const { hostname, port } = new URL(server.url)
    const toServer = ['-j', 'DNAT', '--to-destination', `${hostname}:${port}`]
    kubelet.exec([
      'iptables',
      '-t',
      'nat',
      '-A',
      'OUTPUT',
      '-d',
      '10.96.0.1',
      '-p',
      'tcp',
      '--dport',
      '443',
      ...toServer,
    ])
    binding = setInterval(bindPods, 500)
  }, 3 * MINUTE)

  afterAll(async () => {
    clearInterval(binding)
    await kubelet?.close()
    controllers?.kill('SIGKILL')
    await controllers?.exited
    await server?.close()
    await network?.close()
    rmSync(folder, { recursive: true, force: true })
  }, MINUTE)
}

/** What makes pods of Deployments, and the tokens and CAs that pods are given. */
function controllerManager(): string[] {
  return [
    join(process.env.KUBEBUILDER_ASSETS ?? '', 'kube-controller-manager'),
    ...['--kubeconfig', server.kubeconfig, '--leader-elect=false', '--port=0', '--secure-port=0'],
    ...['--controllers', 'deployment,replicaset,root-ca-cert-publisher,serviceaccount,serviceaccount-token'],
    ...['--service-account-private-key-file', server.path('sa.key')],
    ...['--root-ca-file', server.path('certs/apiserver.crt')],
  ]
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly spec: { readonly nodeName?: string }
}

function pods(): Pod[] {
  return JSON.parse(server.kubectl(['get', 'pods', '-n', 'kube-system', '-o', 'json']).stdout).items
}

/** A scheduler for one node: a pod whose port is the host's waits until no other has it. */
function bindPods(): void {
  const all = pods()
  const next = all.find(({ spec, metadata }) => spec.nodeName === undefined && metadata.deletionTimestamp === undefined)
  if (next === undefined || all.some(({ spec }) => spec.nodeName !== undefined)) return
  const { name } = next.metadata
  const target = { apiVersion: 'v1', kind: 'Node', name: NODE }
  const object = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace: 'kube-system' }, target }
  const path = `/api/v1/namespaces/kube-system/pods/${name}/binding`
  server.kubectl(['create', '--raw', path, '-f', '-'], { stdin: JSON.stringify(object), mayFail: true })
}

function manifests(...words: string[]): string {
  return run([resolve('dist/terway-edge'), 'manifests', ...words]).stdout
}

function applyController(podCIDR: string): void {
  const chosen = ['--image', IMAGE, '--edge-nodes', 'edge=true', '--pod-cidrs', podCIDR, '--replicas', '1']
  const text = manifests(...chosen, '--metrics-secret', 'metrics-token', '--no-disruption-budget')
  server.applyYaml(text)
}

function available(): string {
  const path =
    '{.status.updatedReplicas} {.status.availableReplicas} {.status.observedGeneration} {.metadata.generation}'
  return server.kubectl(['get', 'deployment', '-n', 'kube-system', 'terway-edge-controller', '-o', `jsonpath=${path}`])
    .stdout
}

async function rolledOut(generation: number): Promise<void> {
  try {
    await eventually('the Deployment is available', () => available() === `1 1 ${generation} ${generation}`, 60)
  } catch (cause) {
    const told = server.kubectl(['describe', 'pods', '-n', 'kube-system']).stdout.split('\n').slice(-25).join('\n')
    throw new Error(`${available()}\n${told}\n${kubelet.logTail('kubelet.log', 8)}`, { cause })
  }
}

test(
  'runs as the Deployment says: ready, the leader, installing its CRDs, read-only, as nobody; and rolls on one node',
  async () => {
    server.applyYaml(manifests('--part', 'crds'))
    server.kubectl([
      'create',
      'secret',
      'generic',
      'metrics-token',
      '-n',
      'kube-system',
      `--from-literal=token=${TOKEN}`,
    ])
    applyController('10.0.0.0/16')
    await rolledOut(1)
    const lease = () =>
      server.kubectl(
        ['get', 'lease', '-n', 'kube-system', 'terway-edge-controller', '-o', 'jsonpath={.spec.holderIdentity}'],
        {
          mayFail: true,
        },
      ).stdout
    await eventually('it leads', () => lease().startsWith(NODE), 30)
    const pid = kubelet.exec(['pidof', 'terway-edge']).stdout.trim()
    const status = kubelet.exec(['cat', `/proc/${pid}/status`]).stdout
    expect(status).toMatch(/^Uid:\s+65534\s/m)
    expect(status).toMatch(/^CapEff:\s+0+$/m)
    expect(kubelet.exec(['sh', '-c', `grep ' / ' /proc/${pid}/mounts`]).stdout).toMatch(/ ro[, ]/)

    const leader = lease()
    applyController('10.0.0.0/15')
    await rolledOut(2)
    await eventually('the new one leads', () => lease() !== leader && lease() !== '', 30)
  },
  3 * MINUTE,
)

const TOKEN = 'a-token-of-this-test-0123456789'

test('gives its metrics to who shows the token, from another machine, and to nobody else', () => {
  const ask = (...words: string[]) =>
    network.exec(
      outside,
      ['curl', '-s', '--noproxy', '*', '-w', '%{http_code}', ...words, `http://${ADDRESS}:9180/metrics`],
      { mayFail: true },
    ).stdout
  expect(ask('-H', `Authorization: Bearer ${TOKEN}`)).toMatch(/terway_edge_ready[\s\S]*200$/)
  expect(ask()).toMatch(/401$/)
})
