/**
 * Who reaches whom: pods on the interfaces of two nodes of the cloud, the nodes, and an edge node
 * with a pod behind BIRD, which knows the way to that by this project's speaker, in a VPC that
 * drops and counts what an interface may not send. With a real kube-proxy: ClusterIP and NodePort
 * from everywhere, nothing translated on the way to a local pod. Each part of the datapath taken
 * away makes it fail: the rig finds it.
 */
import { afterEach, expect } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createSpeaker } from '../../src/bgp/speaker.ts'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import { CniNode } from '../cni/cni-node.ts'
import { createRouter } from '../interop/routers.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { endpointNode, endpointSliceVersion } from '../support/kubernetes-version.ts'
import { eventually, type TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { CloudNetwork, type CloudPod, twin } from './cloud-network.ts'
import { NodeDatapath } from './node-datapath.ts'

const PROXY = join(process.env.KUBEBUILDER_ASSETS ?? '', 'kube-proxy')
const testVpc = testNeeding('root', 'ip', 'nft', 'ping', 'bird', 'birdc')
const testProxy = testNeeding(
  'root',
  'KUBEBUILDER_ASSETS',
  existsSync(PROXY) ? 'ip' : 'kube-proxy',
  ...['nft', 'iptables', 'iptables-nft', 'curl', 'ping', 'bird', 'birdc'],
)

interface Site {
  readonly cloud: CloudNetwork
  readonly pods: readonly [CloudPod, CloudPod, CloudPod, CloudPod]
  readonly edge: CniNode
  /** Nodes and pods, of cloud and edge. */
  readonly all: readonly { readonly namespace: string; readonly address: string }[]
  readonly edgePod: { readonly namespace: string; readonly address: string }
  /** From now on nobody mends a datapath. */
  readonly stopKeeping: () => Promise<void>
}

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/**
 * Two nodes with four pods in the cloud; behind the VPC's router of the edge a node with one pod.
 */
async function site(): Promise<Site> {
  const cloud = new CloudNetwork()
  closing.push(() => cloud.close())
  const { network, vpc, node1, node2 } = cloud
  const gateway = network.namespace('gateway')
  network.exec(gateway, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  const wan = { namespace: gateway, interface: 'wan', mac: '00:16:3e:00:09:00', configured: true }
  const port = vpc.attach({ ...wan, addresses: ['192.168.0.9'] })
  const edge = new CniNode(['10.0.1.0/25'], network, 'edge')
  network.connect(
    { namespace: gateway, interface: 'lan', addresses: ['172.16.0.1/24'] },
    { namespace: edge.namespace, interface: 'eth0', addresses: ['172.16.0.11/24'] },
  )
  network.ip(edge.namespace, 'route add default via 172.16.0.1')
  await announced(network, gateway, edge.namespace)
  for (const range of ['10.0.1.0/25', '172.16.0.0/24']) vpc.route(range, '192.168.0.9', port)
  node1.writePool()
  node2.writePool()
  const datapaths: NodeDatapath[] = []
  const stopKeeping = async () => {
    for (const datapath of datapaths.splice(0)) await datapath.close()
  }
  closing.push(stopKeeping)
  for (const node of [node1, node2]) {
    const datapath = new NodeDatapath(node)
    datapaths.push(datapath)
    await eventually('its datapath', () => datapath.settled)
  }
  const pods = [
    await node1.startPod('a'),
    await node1.startPod('b'),
    await node1.startPod('c'),
    await node2.startPod('d'),
  ] as const
  const lonely = edge.pod('edge-pod')
  const added = await edge.add('edge-pod', lonely.path)
  const edgePod = { namespace: lonely.namespace, address: added.json.ips[0].address.split('/')[0] }
  const edgeNode = { namespace: edge.namespace, address: '172.16.0.11' }
  return { cloud, pods: [...pods], edge, edgePod, stopKeeping, all: [...pods, node1, node2, edgePod, edgeNode] }
}

/** The edge node's speaker announces its podCIDR to BIRD on the gateway, which installs it. */
async function announced(network: TestNetwork, gateway: string, edge: string): Promise<void> {
  const neighbour = { address: '172.16.0.11', asNumber: 65010, families: ['ipv4'], passive: true } as const
  const router = createRouter('bird', network, gateway, {
    asNumber: 65001,
    routerId: '172.16.0.1',
    address: '172.16.0.1',
    neighbour,
  })
  closing.push(async () => router.close())
  await router.start()
  const within = <T>(action: () => T) => inNetworkNamespace(network.path(edge), action)
  const speaker = createSpeaker({
    clock: systemClock,
    log: silentLog,
    restarting: false,
    transport: createTransport({ clock: systemClock, within }),
  })
  closing.push(() => speaker.close({ mode: 'shutdown', reason: 'the test is over' }))
  speaker.setAnnouncements('lan', [{ prefix: '10.0.1.0/25', nextHop: '172.16.0.11' }])
  speaker.setPeers([
    {
      key: 'lan',
      localAs: 65010,
      peerAs: 65001,
      peerAddress: '172.16.0.1',
      peerPort: 179,
      routerId: '172.16.0.11',
      holdTimeSeconds: 90,
      connectRetrySeconds: 5,
      gracefulRestart: { enabled: true, restartTimeSeconds: 120 },
      families: ['ipv4'],
      passive: false,
    },
  ])
  const learnt = () => network.ip(gateway, 'route show 10.0.1.0/25').includes('via 172.16.0.11')
  await eventually('BIRD has the way to the edge pod', learnt, 30)
}

testVpc(
  'everybody reaches everybody, cloud and edge, with nothing translated and nothing sent from a foreign address',
  async () => {
    const { cloud, pods, all } = await site()
    expect(all).toHaveLength(8)
    expect(await cloud.unreachable(all)).toEqual([])
    const ipv6 = pods.map(pod => ({ ...pod, address: twin(pod.address) }))
    const nodes = [cloud.node1, cloud.node2].map((node, index) => ({
      ...node,
      namespace: node.namespace,
      address: `fd00:31::1${index + 1}`,
    }))
    expect(await cloud.unreachable([...ipv6, ...nodes])).toEqual([])
    expect(cloud.vpc.spoofed()).toBe(0)
  },
  300_000,
)

testVpc(
  'what is wrong is found: another table, no rule of a pod, no rule to pods, no source beside a name server on lo',
  async () => {
    const { cloud, pods, all, stopKeeping } = await site()
    const { node1: node, network, vpc } = cloud
    await stopKeeping()
    const [a] = pods
    const index = (name: string) => Number(node.run('cat', `/sys/class/net/${name}/ifindex`))
    const tables = { eth1: 1000 + index('eth1'), eth2: 1000 + index('eth2') }
    const rule = `from ${a.address} pref 2048`
    const ip = (words: string) => network.ip(node.namespace, words)
    // without these, as the node's process keeps them, nothing leaves by the primary interface, and
    // no counter rises
    network.exec(node.namespace, ['nft', 'flush', 'chain', 'inet', 'terway-edge-eni', 'forward'])
    const mutations = [
      {
        wrong: [`rule del ${rule}`, `rule add ${rule} lookup ${tables.eth2}`],
        right: [`rule del ${rule}`, `rule add ${rule} lookup ${tables.eth1} protocol 187`],
      },
      { wrong: [`rule del ${rule}`], right: [`rule add ${rule} lookup ${tables.eth1} protocol 187`] },
      { wrong: ['rule del pref 512'], right: ['rule add lookup 512 pref 512 protocol 187'] },
    ]
    let dropped = vpc.spoofed()
    expect(dropped).toBe(0)
    for (const { wrong, right } of mutations) {
      for (const words of wrong) ip(words)
      expect((await cloud.unreachable(all)).length).toBeGreaterThan(0)
      expect(vpc.spoofed()).toBeGreaterThan(dropped)
      for (const words of right) ip(words)
      expect(await cloud.unreachable(all)).toEqual([])
      dropped = vpc.spoofed()
    }
    // a node-local name server: the kernel would take its address for what the node sends to its
    // pods
    ip('addr add 169.254.20.10/32 dev lo')
    const asked = () => node.run('ip', 'route', 'get', a.address)
    expect(asked()).toContain(`src ${node.address}`)
    expect(cloud.ping(node.namespace, a.address)).toBe(true)
    const route = node.run('ip', 'route', 'show', a.address, 'table', '512').trim()
    ip(`route replace ${route.replace(/ src \S+/, '')} table 512`)
    expect(asked()).not.toContain(`src ${node.address}`)
  },
  300_000,
)

const LOCAL = { name: 'local', clusterIP: '10.96.0.10', nodePort: 30080 }
const REMOTE = { name: 'remote', clusterIP: '10.96.0.11', nodePort: 30081 }

testProxy(
  'Services with a real kube-proxy: ClusterIP and NodePort from four clients, and not without the marks',
  async () => {
    const { cloud, pods, all, edge, edgePod, stopKeeping } = await site()
    const { node1: node, node2, network, vpc } = cloud
    const [a, b, , d] = pods
    const serve = (pod: CloudPod) => network.spawn(pod.namespace, server(pod.containerId))
    serve(a)
    serve(d)
    const api = await TestApiServer.start({ namespace: node.namespace, crds: false })
    closing.push(() => api.close())
    const services = [
      { ...LOCAL, endpoint: a.address, policy: 'Local' },
      { ...REMOTE, endpoint: d.address, policy: 'Cluster' },
    ]
    const items = services.flatMap(one => serviceObjects(one, node.name))
    api.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    const limits = ['--conntrack-max-per-core', '0', '--conntrack-tcp-timeout-established', '0s']
    const mode = ['--proxy-mode', 'iptables', '--cluster-cidr', '192.168.32.0/19', '--bind-address', node.address]
    const words = [...mode, ...limits, '--conntrack-tcp-timeout-close-wait', '0s', '--hostname-override', node.name]
    network.spawn(node.namespace, [PROXY, '--kubeconfig', api.kubeconfig, ...words])
    const get = (from: string, address: string) =>
      network.exec(from, ['curl', '-sS', '--noproxy', '*', '--max-time', '2', `http://${address}/`], { mayFail: true })
        .stdout
    await eventually('kube-proxy serves the host', () => get(node.namespace, LOCAL.clusterIP) !== '')

    const clusterIPs = {
      'local pod': [get(b.namespace, LOCAL.clusterIP), get(b.namespace, REMOTE.clusterIP)],
      host: [get(node.namespace, LOCAL.clusterIP), get(node.namespace, REMOTE.clusterIP)],
    }
    expect(clusterIPs).toEqual({
      'local pod': [`a sees ${b.address}`, `d sees ${b.address}`],
      host: [`a sees ${node.address}`, `d sees ${node.address}`],
    })
    expect(get(a.namespace, LOCAL.clusterIP)).toMatch(/^a sees /) // its own backend

    const clients = {
      'edge node': edge.namespace,
      'edge pod': edgePod.namespace,
      'other node': node2.namespace,
      'other pod': d.namespace,
    }
    const asked = (port: number) =>
      Object.fromEntries(Object.entries(clients).map(([name, from]) => [name, get(from, `${node.address}:${port}`)]))
    const addresses = {
      'edge node': '172.16.0.11',
      'edge pod': edgePod.address,
      'other node': node2.address,
      'other pod': d.address,
    }
    const seen = Object.fromEntries(Object.entries(addresses).map(([name, address]) => [name, `a sees ${address}`]))
    expect(asked(LOCAL.nodePort)).toEqual(seen) // nothing masqueraded
    for (const answer of Object.values(asked(REMOTE.nodePort))) expect(answer).toMatch(/^d sees /)
    expect(await cloud.unreachable(all)).toEqual([])
    expect(vpc.spoofed()).toBe(0)

    await stopKeeping()
    network.exec(node.namespace, ['nft', 'delete', 'table', 'inet', 'terway-edge-eni'])
    expect(get(edge.namespace, `${node.address}:${LOCAL.nodePort}`)).toBe('')
    expect(vpc.spoofed()).toBeGreaterThan(0)
  },
  300_000,
)

function server(name: string): string[] {
  const answer = `new Response('${name} sees ' + server.requestIP(request)?.address.replace('::ffff:', ''))`
  const script = `Bun.serve({ port: 8080, hostname: '0.0.0.0', fetch: (request, server) => ${answer} })`
  return [process.execPath, '-e', script]
}

function serviceObjects(
  service: { name: string; clusterIP: string; nodePort: number; endpoint: string; policy: string },
  node: string,
): object[] {
  const { name, clusterIP, nodePort, endpoint, policy } = service
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort }]
  const spec = { type: 'NodePort', clusterIP, ports, externalTrafficPolicy: policy }
  const nodeName = policy === 'Local' ? node : 'node-2'
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec },
    {
      apiVersion: endpointSliceVersion(),
      kind: 'EndpointSlice',
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [endpoint], conditions: { ready: true }, ...endpointNode(nodeName) }],
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    },
  ]
}
