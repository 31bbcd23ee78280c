/**
 * The image as `terway-edge manifests` runs it: the controller's Deployment and the nodes'
 * DaemonSet under a real kubelet, with the real controllers of Kubernetes and a scheduler of one
 * line. Both are upgraded from one image to another, packets counted; the controller is asked for
 * metrics.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { version } from '../../package.json'
import { imageTar } from '../../scripts/packaging/image.ts'
import { PLATFORMS } from '../../scripts/packaging/targets.ts'
import { buildVersion } from '../support/build.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { IMAGE as BUSYBOX, KUBELET_NEEDS, TestKubelet } from '../support/kubelet.ts'
import { controllerManagerPorts } from '../support/kubernetes-version.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { missing, programPath, testNeeding } from '../support/requires.ts'

const NEEDS = [...KUBELET_NEEDS, ...COUNTING_NEEDS, 'apt-get', 'dpkg-deb', 'curl', 'bird', 'birdc', 'ping', 'nft']
const test = testNeeding(...NEEDS)
const MINUTE = 60_000
const NODE = 'cloud-1'
const ADDRESS = '172.16.0.11'
const IMAGE = `localhost/terway-edge:${version}`
const NEWER = '9.0.0'
const folder = mkdtempSync(join(tmpdir(), 'te-image-'))

let network: TestNetwork
let outside: string
let server: TestApiServer
let kubelet: TestKubelet
let controllers: Bun.Subprocess | undefined
let binding: Timer | undefined

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    const documents = { LICENSE: readFileSync('LICENSE', 'utf8') }
    const newer = join(folder, 'newer')
    buildVersion(newer, NEWER)
    const platforms = PLATFORMS.filter(
      ({ architecture }) => architecture === (process.arch === 'x64' ? 'amd64' : 'arm64'),
    )
    const made = { folder: join(folder, 'made'), commit: 'test', time: 0, documents, platforms }
    const images = [
      { version, executable: () => resolve('dist/terway-edge') },
      { version: NEWER, executable: () => newer },
    ].map(of => {
      const tar = join(folder, `${of.version}.tar`)
      writeFileSync(tar, imageTar({ ...made, ...of }))
      return tar
    })
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
    kubelet = await TestKubelet.start({ server, namespace: node, name: NODE, address: ADDRESS, images })
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
  }, 6 * MINUTE)

  afterAll(async () => {
    clearInterval(binding)
    await kubelet?.close()
    controllers?.kill('SIGKILL')
    await controllers?.exited
    await server?.close()
    await network?.close()
    rmSync(folder, { recursive: true, force: true })
  }, 5 * MINUTE)
}

/** What makes pods of Deployments, and the tokens and CAs that pods are given. */
function controllerManager(): string[] {
  return [
    join(process.env.KUBEBUILDER_ASSETS ?? '', 'kube-controller-manager'),
    ...['--kubeconfig', server.kubeconfig, '--leader-elect=false', ...controllerManagerPorts()],
    ...['--controllers', 'deployment,replicaset,daemonset,root-ca-cert-publisher,serviceaccount,serviceaccount-token'],
    ...['--service-account-private-key-file', server.path('sa.key')],
    ...['--root-ca-file', server.path('certs/apiserver.crt')],
  ]
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string; readonly labels: { app: string } }
  readonly spec: { readonly nodeName?: string }
}

function pods(): Pod[] {
  return JSON.parse(server.kubectl(['get', 'pods', '-n', 'kube-system', '-o', 'json']).stdout).items
}

/** A scheduler for one node: a pod whose port is the host's waits until no other has it. */
function bindPods(): void {
  const all = pods()
  const waits = ({ spec, metadata }: Pod) => spec.nodeName === undefined && metadata.deletionTimestamp === undefined
  const bound = new Set(
    all.filter(({ spec }) => spec.nodeName !== undefined).map(({ metadata }) => metadata.labels.app),
  )
  const next = all.find(pod => waits(pod) && !bound.has(pod.metadata.labels.app))
  if (next === undefined) return
  const { name } = next.metadata
  const target = { apiVersion: 'v1', kind: 'Node', name: NODE }
  const object = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace: 'kube-system' }, target }
  const path = `/api/v1/namespaces/kube-system/pods/${name}/binding`
  server.kubectl(['create', '--raw', path, '-f', '-'], { stdin: JSON.stringify(object), mayFail: true })
}

function manifests(...words: string[]): string {
  return run([resolve('dist/terway-edge'), 'manifests', ...words]).stdout
}

function applyController(podCIDR: string, image = IMAGE): void {
  const chosen = ['--image', image, '--edge-nodes', 'edge=true', '--pod-cidrs', podCIDR, '--replicas', '1']
  const text = manifests(...chosen, '--metrics-secret', 'metrics-token', '--no-disruption-budget')
  server.applyYaml(text)
}

/** What an administrator makes first; again, nothing changes. */
function prepareCluster(): void {
  server.applyYaml(manifests('--part', 'crds'))
  const metadata = { name: 'metrics-token', namespace: 'kube-system' }
  server.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token: TOKEN } }))
}

const TOKEN = 'a-token-of-this-test-0123456789'

/** Who leads, of the controller's pods; empty before the first does. */
function leader(): string {
  const lease = ['get', 'lease', '-n', 'kube-system', 'terway-edge-controller']
  return server.kubectl([...lease, '-o', 'jsonpath={.spec.holderIdentity}'], { mayFail: true }).stdout
}

function available(): string {
  const path =
    '{.status.updatedReplicas} {.status.availableReplicas} {.status.observedGeneration} {.metadata.generation}'
  return server.kubectl(['get', 'deployment', '-n', 'kube-system', 'terway-edge-controller', '-o', `jsonpath=${path}`])
    .stdout
}

async function rolledOut(generation: number): Promise<void> {
  try {
    await eventually('the Deployment is available', () => available() === `1 1 ${generation} ${generation}`, 120)
  } catch (cause) {
    const told = server.kubectl(['describe', 'pods', '-n', 'kube-system']).stdout.split('\n').slice(-25).join('\n')
    throw new Error(`${available()}\n${told}\n${kubelet.logTail('kubelet.log', 8)}`, { cause })
  }
}

test(
  'runs as the Deployment says: ready, the leader, installing its CRDs, read-only, as nobody; and rolls on one node',
  async () => {
    prepareCluster()
    applyController('10.0.0.0/16')
    await rolledOut(1)
    await eventually('it leads', () => leader().startsWith(NODE))
    const pid = kubelet.exec(['pidof', 'terway-edge']).stdout.trim()
    const status = kubelet.exec(['cat', `/proc/${pid}/status`]).stdout
    expect(status).toMatch(/^Uid:\s+65534\s/m)
    expect(status).toMatch(/^CapEff:\s+0+$/m)
    expect(kubelet.exec(['sh', '-c', `grep ' / ' /proc/${pid}/mounts`]).stdout).toMatch(/ ro[, ]/)

    const first = leader()
    applyController('10.0.0.0/15')
    await rolledOut(2)
    await eventually('the new one leads', () => leader() !== first && leader() !== '')

    applyController('10.0.0.0/15', `localhost/terway-edge:${NEWER}`)
    await rolledOut(3)
    const [controller] = pods()
    expect(JSON.stringify(controller)).toContain(`terway-edge:${NEWER}`)
  },
  8 * MINUTE,
)

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

const POD_CIDR = '10.0.0.0/25'

/** The switch: BIRD, which keeps routes while a speaker restarts. */
function startSwitch(): void {
  const config = join(folder, 'bird.conf')
  writeFileSync(
    config,
    `router id 172.16.0.1;
protocol device { }
protocol kernel { ipv4 { import none; export all; }; }
protocol bgp edge {
  local 172.16.0.1 as 65001; neighbor ${ADDRESS} as 65010;
  graceful restart on; connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 { import all; export none; };
}
`,
  )
  network.spawn(outside, [programPath('bird') ?? 'bird', '-f', '-c', config, '-s', join(folder, 'bird.ctl')])
}

/** What an operator puts onto a node: its own kubeconfig, here with folders of this machine. */
function prepareNode(): void {
  const { confDir, binDir } = kubelet
  const file = join(kubelet.folder, 'node.kubeconfig')
  network.exec(outside, [
    ...[resolve('dist/terway-edge'), 'kubeconfig', '--node', NODE, '--kubeconfig', server.kubeconfig],
    ...['--server', server.url, '--out', file],
  ])
  writeFileSync(join(kubelet.folder, 'node.yaml'), JSON.stringify({ cni: { confDir, binDir } }))
}

function applyNodes(image: string): void {
  const text = manifests('--part', 'daemonset', '--image', image, '--edge-nodes', 'all()')
  const config = `--config, ${kubelet.folder}/node.yaml`
  const here = text
    .replaceAll('/etc/cni/net.d', kubelet.confDir)
    .replaceAll('/opt/cni/bin', kubelet.binDir)
    .replace('/etc/terway-edge/kubeconfig, --node', `${kubelet.folder}/node.kubeconfig, ${config}, --node`)
    .replace('--root, /host]', `--root, /host, ${config}]`)
  server.applyYaml(here)
}

async function nodesRolledOut(generation: number): Promise<void> {
  const path = '{.status.updatedNumberScheduled} {.status.numberReady} {.status.observedGeneration}'
  const state = () =>
    server.kubectl(['get', 'ds', '-n', 'kube-system', 'terway-edge-node', '-o', `jsonpath=${path}`]).stdout
  try {
    // a pod that has ended is forgotten by its kubelet a minute later, and only then replaced
    await eventually('the DaemonSet is ready', () => state() === `1 1 ${generation}`, 240)
  } catch (cause) {
    const told = server.kubectl(['describe', 'pods', '-n', 'kube-system', '-l', 'app=terway-edge-node']).stdout
    const pods = join('/var/log/pods')
    const logs = kubelet.exec(['sh', '-c', `tail -n 4 ${pods}/*terway-edge-node*/*/*.log`], { mayFail: true }).stdout
    throw new Error(`${state()}\n${told.split('\n').slice(-12).join('\n')}\n${logs}`, { cause })
  }
}

function snapshot(): { version: string; sessions: { state: string }[] } {
  const ask = ['curl', '-s', '--noproxy', '*', 'http://127.0.0.1:9179/api/v1/snapshot']
  const { stdout } = kubelet.exec(ask, { mayFail: true })
  return stdout.startsWith('{') ? JSON.parse(stdout) : { version: '', sessions: [] }
}

test(
  'runs as the DaemonSet says: the plugin on the node, pods reached through BGP; upgraded, no packet is lost',
  async () => {
    prepareCluster()
    applyController('10.0.0.0/15', `localhost/terway-edge:${NEWER}`)
    await eventually('a controller leads', () => leader().startsWith(NODE), 120)
    startSwitch()
    prepareNode()
    server.kubectl(['patch', 'node', NODE, '-p', JSON.stringify({ spec: { podCIDR: POD_CIDR, podCIDRs: [POD_CIDR] } })])
    server.applyYaml(`apiVersion: network.openyurt.io/v1alpha1
kind: BGPPeer
metadata: {name: lan}
spec: {localSpeakers: [${NODE}], localAsNumber: 65010, peerIP: 172.16.0.1, peerAsNumber: 65001, nodeSelector: all()}
`)
    applyNodes(IMAGE)
    await nodesRolledOut(1)
    const isUp = (of: string) => {
      const { version: running, sessions } = snapshot()
      return running === of && sessions.some(({ state }) => state === 'Established')
    }
    await eventually('the session is up', () => isUp(version))
    server.applyYaml(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', namespace: 'default' },
        spec: {
          ...{ nodeName: NODE, automountServiceAccountToken: false, dnsPolicy: 'Default' },
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'web', image: BUSYBOX, imagePullPolicy: 'Never' }],
        },
      }),
    )
    const address = await eventually(
      'the pod runs',
      () => {
        const path = 'jsonpath={.status.phase} {.status.podIP}'
        return /^Running (\S+)$/.exec(server.kubectl(['get', 'pod', 'web', '-o', path]).stdout)?.[1]
      },
      60,
    )
    const reached = () => network.exec(outside, ['ping', '-c1', '-W1', address], { mayFail: true }).status === 0
    await eventually('the switch reaches the pod', reached)
    const pid = kubelet.exec(['pgrep', '-f', 'terway-edge node']).stdout.trim().split('\n')[0]
    // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_CHROOT
    expect(kubelet.exec(['cat', `/proc/${pid}/status`]).stdout).toMatch(/^CapEff:\s+0+43400$/m)

    const counted = await countingPackets(network, { namespace: outside, to: address }, async () => {
      applyNodes(`localhost/terway-edge:${NEWER}`)
      await nodesRolledOut(2)
      await eventually('the session is up again', () => isUp(NEWER), 60)
    })
    expect(counted.lost).toBe(0)
    expect(counted.sent).toBeGreaterThan(1000)
    expect(reached()).toBe(true)
  },
  8 * MINUTE,
)
