/**
 * Beside kube-proxy on a host whose FORWARD policy is DROP, masquerade on: what Services send on
 * reaches pods here and on another node, from pods, from the host and from outside. A real
 * kube-proxy in iptables mode; of its nftables mode an imitation (`nftables-proxy.ts`).
 */
import { expect } from 'bun:test'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeFirewall } from '../../src/firewall/reconcile.ts'
import { FAR, KNOWN, NODE_ADDRESS, OneNode, POD_ADDRESS } from '../agent/one-node.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { endpointSliceVersion } from '../support/kubernetes-version.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { type ProxiedService, proxyRuleset } from './nftables-proxy.ts'

const PROXY = join(process.env.KUBEBUILDER_ASSETS ?? '', 'kube-proxy')
const OTHER_POD = '10.0.2.5'
const POD_CIDR = '10.0.0.0/16'
const SERVICE_CIDR = '10.96.0.0/16'
const HERE = { name: 'here', endpoint: POD_ADDRESS, clusterIP: '10.96.0.10', nodePort: 30080 }
const THERE = { name: 'there', endpoint: OTHER_POD, clusterIP: '10.96.0.11', nodePort: 30081 }

const NEEDS = ['nft', 'iptables', 'iptables-nft', 'curl'] as const

/**
 * A node that drops what it forwards, its pod and one on another node (in `outside`), both of which
 * say who answers and whom they see.
 */
async function withPods(body: (scene: Scene) => Promise<void>): Promise<void> {
  const lan = new OneNode()
  const { network, node, pod, outside } = lan
  try {
    network.ip(outside, `addr add ${OTHER_POD}/32 dev lo`)
    network.ip(node, 'route add 10.0.2.0/24 via 172.16.0.254')
    network.spawn(pod, server('local pod'))
    network.spawn(outside, server('outside'))
    lan.run('iptables-nft', '-P', 'FORWARD', 'DROP')
    await body({ lan, get: (from, address) => get(lan, from, address) })
  } finally {
    await lan.close()
  }
}

interface Scene {
  readonly lan: OneNode
  /** What the one at `address` says to `from`; empty when nobody answers. */
  readonly get: (from: string, address: string) => string
}

function server(name: string): string[] {
  const answer = `new Response('${name} sees ' + server.requestIP(request)?.address.replace('::ffff:', ''))`
  return [
    process.execPath,
    '-e',
    `Bun.serve({ port: 8080, hostname: '0.0.0.0', fetch: (request, server) => ${answer} })`,
  ]
}

function get({ network }: OneNode, from: string, address: string): string {
  const curl = ['curl', '-sS', '--noproxy', '*', '--max-time', '2', `http://${address}/`]
  return network.exec(from, curl, { mayFail: true }).stdout
}

/** With our firewall, everybody reaches whom he should, and is seen as he should be. */
async function expectReached({ lan, get }: Scene): Promise<NodeFirewall> {
  const { node, pod, outside } = lan
  expect(get(pod, THERE.clusterIP)).toBe('') // FORWARD drops
  const firewall = lan.firewall({ masquerade: true, nonMasqueradeCIDRs: [SERVICE_CIDR] })
  firewall.want(KNOWN)
  await eventually('pod to a Service with a pod on another node', () => get(pod, THERE.clusterIP) !== '')
  // its tables come one after another
  const translated = `outside sees ${NODE_ADDRESS}`
  await eventually('pods are translated on their way out', () => get(pod, `${FAR}:8080`) === translated)
  const seen = {
    'pod to a pod on another node by its Service': get(pod, THERE.clusterIP),
    'pod to itself by its Service': get(pod, HERE.clusterIP),
    'host to a local pod': get(node, `${POD_ADDRESS}:8080`),
    'host to a local pod by its Service': get(node, HERE.clusterIP),
    'NodePort from outside to a local pod': get(outside, `${NODE_ADDRESS}:${HERE.nodePort}`),
    'NodePort from outside to a pod on another node': get(outside, `${NODE_ADDRESS}:${THERE.nodePort}`),
    "pod to another node's pod": get(pod, `${OTHER_POD}:8080`),
    'pod to the world': get(pod, `${FAR}:8080`),
  }
  expect(seen).toEqual({
    'pod to a pod on another node by its Service': `outside sees ${POD_ADDRESS}`,
    'pod to itself by its Service': expect.stringMatching(/^local pod sees (169\.254\.1\.1|172\.16\.0\.11)$/),
    'host to a local pod': expect.stringContaining('local pod sees'),
    'host to a local pod by its Service': expect.stringContaining('local pod sees'),
    'NodePort from outside to a local pod': expect.stringContaining('local pod sees'),
    'NodePort from outside to a pod on another node': `outside sees ${NODE_ADDRESS}`,
    "pod to another node's pod": `outside sees ${POD_ADDRESS}`,
    'pod to the world': `outside sees ${NODE_ADDRESS}`,
  })
  expect(firewall.problems).toEqual([])
  return firewall
}

function serviceObjects({ name, endpoint, clusterIP, nodePort }: ProxiedService): object[] {
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort }]
  const endpoints = [{ addresses: [endpoint], conditions: { ready: true } }]
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { type: 'NodePort', clusterIP, ports } },
    {
      apiVersion: endpointSliceVersion(),
      kind: 'EndpointSlice',
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints,
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    },
  ]
}

testNeeding(
  'root',
  'KUBEBUILDER_ASSETS',
  existsSync(PROXY) ? 'ip' : 'kube-proxy',
  ...NEEDS,
)(
  'kube-proxy, FORWARD policy DROP and masquerade together',
  () =>
    withPods(async scene => {
      const { lan, get } = scene
      const { network, node } = lan
      const api = await TestApiServer.start({ namespace: node, crds: false })
      try {
        const items = [HERE, THERE].flatMap(serviceObjects)
        api.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
        const limits = ['--conntrack-max-per-core', '0', '--conntrack-tcp-timeout-established', '0s']
        const mode = ['--proxy-mode', 'iptables', '--cluster-cidr', POD_CIDR, '--bind-address', NODE_ADDRESS]
        const words = [...mode, ...limits, '--conntrack-tcp-timeout-close-wait', '0s']
        network.spawn(node, [PROXY, '--kubeconfig', api.kubeconfig, ...words])
        await eventually('kube-proxy serves the host', () => get(node, HERE.clusterIP) !== '')
        await expectReached(scene)
        expect(lan.run('iptables-nft', '-S', 'FORWARD')).toContain('-j KUBE-FORWARD')
      } finally {
        await api.close()
      }
    }),
  120_000,
)

testNeeding('root', 'ip', ...NEEDS)(
  "an imitation of kube-proxy's nftables mode, FORWARD policy DROP and masquerade together",
  () =>
    withPods(async scene => {
      const { lan, get } = scene
      const file = join(lan.folder, 'kube-proxy.nft')
      const services = [HERE, THERE]
      const networks = { nodeAddress: NODE_ADDRESS, podCIDR: POD_CIDR, serviceCIDR: SERVICE_CIDR }
      writeFileSync(file, proxyRuleset({ ...networks, services }))
      lan.run('nft', '-f', file)
      const table = () => lan.run('nft', '-s', 'list', 'table', 'ip', 'kube-proxy')
      const before = table()
      await eventually('the Service serves the host', () => get(lan.node, HERE.clusterIP) !== '')
      const firewall = await expectReached(scene)
      expect(table()).toBe(before)
      // what their table refuses stays refused: curl's 7, where 28 is no answer
      const other = ['curl', '-sS', '--max-time', '5', `http://${HERE.clusterIP}:81/`]
      expect(lan.network.exec(lan.pod, other, { mayFail: true }).status).toBe(7)
      // Services that change are none of our business, and cost no rewriting of ours
      const ours = () => lan.run('nft', '-a', 'list', 'table', 'ip', 'filter')
      const rules = ours()
      writeFileSync(file, `delete table ip kube-proxy\n${proxyRuleset({ ...networks, services: [THERE] })}`)
      lan.run('nft', '-f', file)
      await Bun.sleep(1000)
      expect(ours().replace(/packets \d+ bytes \d+/g, '')).toBe(rules.replace(/packets \d+ bytes \d+/g, ''))
      expect(get(lan.pod, THERE.clusterIP)).toBe(`outside sees ${POD_ADDRESS}`)
      expect(firewall.problems).toEqual([])
    }),
  60_000,
)
