/**
 * Pods of a real kubelet and containerd: the API server, the controller, the node process with its
 * BGP session to a BIRD router, the server of the plugin, and the plugin that containerd calls.
 * Made through the API, reached through the router.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { chmodSync, copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { covers } from '../../src/lib/ip.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { IMAGE, KUBELET_NEEDS, TestKubelet } from '../support/kubelet.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = [...KUBELET_NEEDS, 'bird', 'ping', '/usr/lib/cni/portmap', '/usr/lib/cni/bandwidth']
const testNode = testNeeding(...NEEDS)
const BUILT = resolve('dist/terway-edge')
const NODE = 'edge-1'

let network: TestNetwork
let server: TestApiServer
let kubelet: TestKubelet
let router: string
let outside: string

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    network = new TestNetwork()
    router = network.namespace('router')
    outside = network.namespace('outside')
    const node = network.namespace('node')
    network.connect(
      { namespace: router, interface: 'lan', addresses: ['172.16.0.1/24'] },
      { namespace: node, interface: 'eth0', addresses: ['172.16.0.11/24'] },
    )
    network.connect(
      { namespace: router, interface: 'wan', addresses: ['192.0.2.1/24'] },
      { namespace: outside, interface: 'eth0', addresses: ['192.0.2.2/24'] },
    )
    network.ip(node, 'route add default via 172.16.0.1')
    network.ip(outside, 'route add default via 192.0.2.1')
    network.exec(router, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    server = await TestApiServer.start({ namespace: router, address: '172.16.0.1' })
    kubelet = await TestKubelet.start({ server, namespace: node, name: NODE, address: '172.16.0.11' })
  }, 300_000)

  afterAll(async () => {
    await kubelet?.close()
    await server?.close()
    await network?.close()
  }, 300_000)
}

/** What runs `terway-edge`: the built executable, or a script that runs the source. */
function executable(): string {
  if (existsSync(BUILT)) return BUILT
  const script = join(kubelet.folder, 'terway-edge')
  writeFileSync(script, `#!/bin/sh\nexec ${process.execPath} ${resolve('src/main.ts')} "$@"\n`)
  chmodSync(script, 0o755)
  return script
}

function readyCondition(): { status: string; message: string } {
  const path = '{range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}'
  const { stdout } = server.kubectl(['get', 'node', NODE, '-o', `jsonpath=${path}`])
  const [status = '', ...message] = stdout.split(' ')
  return { status, message: message.join(' ') }
}

function startRouter(): void {
  const folder = kubelet.folder
  writeFileSync(
    join(folder, 'bird.conf'),
    `router id 172.16.0.1;
protocol device {}
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol bgp edge {
  local 172.16.0.1 as 65001; neighbor 172.16.0.11 as 65010; passive on; ipv4 { import all; export none; };
}
`,
  )
  network.spawn(router, ['bird', '-f', '-c', join(folder, 'bird.conf'), '-s', join(folder, 'bird.ctl')])
}

function startController(): void {
  const config = join(kubelet.folder, 'controller.yaml')
  writeFileSync(
    config,
    JSON.stringify({
      kubeconfig: server.kubeconfig,
      status: { listen: '127.0.0.1:0' },
      network: {
        edgeNodes: 'all()',
        podCIDRs: ['10.0.0.0/16'],
        podsPerNode: 128,
        serviceCIDRs: ['10.96.0.0/16'],
        rememberSeconds: 0, // no node had a podCIDR before
      },
    }),
  )
  network.spawn(router, [executable(), 'controller', '--config', config])
  server.applyYaml(`apiVersion: network.openyurt.io/v1alpha1
kind: BGPPeer
metadata: {name: router}
spec: {localSpeakers: [${NODE}], localAsNumber: 65010, peerIP: 172.16.0.1, peerAsNumber: 65001, nodeSelector: all()}
`)
}

const nodeConfig = () => join(kubelet.folder, 'node.yaml')
const stateDir = () => join(kubelet.folder, 'terway-edge-state')

function startNode(): void {
  const { confDir, binDir } = kubelet
  const state = stateDir()
  const status = { listen: '127.0.0.1:0' }
  writeFileSync(
    nodeConfig(),
    JSON.stringify({ node: NODE, kubeconfig: server.kubeconfig, state, status, cni: { confDir, binDir } }),
  )
  kubelet.spawn([executable(), 'node', '--config', nodeConfig()], 'terway-edge.log')
}

/** The server of the plugin; its number on that machine goes into a file. */
function startCniServer(): void {
  const server = [executable(), 'cni-server', '--config', nodeConfig(), '--log-level', 'debug']
  kubelet.spawn(['sh', '-c', 'echo $$ >"$0" && exec "$@"', serverNumber(), ...server], 'cni-server.log')
}

const serverNumber = () => join(kubelet.folder, 'cni-server.pid')

function installPlugins(): void {
  for (const name of ['terway-edge', 'loopback']) symlinkSync(executable(), join(kubelet.binDir, name))
  for (const name of ['portmap', 'bandwidth']) copyFileSync(`/usr/lib/cni/${name}`, join(kubelet.binDir, name))
}

function createPod(name: string, more: { hostPort?: number } = {}): void {
  const serve = `mkdir /www && echo from ${name} >/www/index.html && exec httpd -f -p 80 -h /www`
  server.kubectl(['apply', '-f', '-'], {
    stdin: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: {
        nodeName: NODE,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
        dnsPolicy: 'Default',
        containers: [
          {
            name: 'web',
            image: IMAGE,
            imagePullPolicy: 'Never',
            command: ['/bin/sh', '-c', serve],
            ports: [{ containerPort: 80, ...(more.hostPort !== undefined && { hostPort: more.hostPort }) }],
          },
        ],
      },
    }),
  })
}

/** The pod's address, once it runs. */
function runningPod(name: string): Promise<string> {
  return eventually(
    `pod ${name} runs`,
    () => {
      const { stdout } = server.kubectl(['get', 'pod', name, '-o', 'jsonpath={.status.phase} {.status.podIP}'])
      return /^Running (\S+)$/.exec(stdout)?.[1]
    },
    60,
  )
}

function records(): { addresses: string[]; pod: { name: string } }[] {
  return JSON.parse(readFileSync(join(stateDir(), 'cni/attachments.json'), 'utf8')).records
}

function ping(from: string, address: string): boolean {
  return network.exec(from, ['ping', '-c1', '-W2', address], { mayFail: true }).status === 0
}

function fetchFrom(namespace: string, url: string): string {
  const script = `console.log(await (await fetch('${url}', {proxy: '', signal: AbortSignal.timeout(3000)})).text())`
  return network.exec(namespace, [process.execPath, '-e', script], { mayFail: true }).stdout.trim()
}

testNode(
  'is not ready before there is a network, and serves pods by their own addresses after',
  async () => {
    const before = await eventually('the kubelet says that there is no network', () => {
      const condition = readyCondition()
      return condition.message.includes('NetworkReady=false') ? condition : undefined
    })
    expect(before.status).toBe('False')
    installPlugins()
    startRouter()
    startController()
    startNode()
    startCniServer()
    await eventually('the node is ready', () => readyCondition().status === 'True', 60)
    const podCIDR = server.kubectl(['get', 'node', NODE, '-o', 'jsonpath={.spec.podCIDR}']).stdout
    expect(podCIDR).toBe('10.0.0.0/25')

    createPod('web-1', { hostPort: 8080 })
    const first = await runningPod('web-1')
    expect(covers(podCIDR, first)).toBe(true)
    expect(records()).toMatchObject([{ addresses: [first], pod: { name: 'web-1' } }])
    const served = () => readFileSync(join(kubelet.folder, 'cni-server.log'), 'utf8').split('CNI request').length - 1
    expect(served()).toBeGreaterThan(0)
    // BGP told the router, and nothing else did
    await eventually('the router has the route', () => network.ip(router, 'route show proto bird').includes(podCIDR))
    expect(ping(outside, first)).toBe(true)
    expect(fetchFrom(outside, `http://${first}/`)).toBe('from web-1')
    expect(fetchFrom(outside, 'http://172.16.0.11:8080/')).toBe('from web-1') // portmap, chained
    const chain = JSON.parse(readFileSync(join(kubelet.confDir, '10-terway-edge.conflist'), 'utf8')).plugins
    expect(chain.map(({ type }: { type: string }) => type)).toEqual(['terway-edge', 'portmap', 'bandwidth'])

    // without its server the plugin does the work itself, and without the node process too
    const { pid } = JSON.parse(readFileSync(join(stateDir(), 'process.json'), 'utf8'))
    kubelet.exec(['kill', '-KILL', String(pid), readFileSync(serverNumber(), 'utf8').trim()])
    const requests = served()
    createPod('web-2')
    const second = await runningPod('web-2')
    expect(ping(outside, second)).toBe(true)
    expect(kubelet.exec(['ping', '-c1', '-W2', second]).status).toBe(0)
    expect(second).not.toBe(first)
    expect(served()).toBe(requests)

    startNode()
    server.kubectl(['delete', 'pod', 'web-1', 'web-2', '--wait=false'])
    await eventually('the addresses are free', () => records().length === 0, 60)
    expect(ping(outside, first)).toBe(false)
    createPod('web-3')
    const third = await runningPod('web-3')
    expect([first, second]).not.toContain(third) // round robin
    expect(fetchFrom(outside, 'http://172.16.0.11:8080/')).toBe('')
  },
  300_000,
)
