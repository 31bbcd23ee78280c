/**
 * Beside a real kube-proxy (iptables mode) on a host whose FORWARD policy is DROP, masquerade on: what Services send on reaches pods here and
 * on another node, from pods, from the host and from outside.
 */
import { expect } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { FAR, KNOWN, NODE_ADDRESS, OneNode, POD_ADDRESS } from './one-node.ts'

const PROXY = join(process.env.KUBEBUILDER_ASSETS ?? '', 'kube-proxy')
const OTHER_POD = '10.0.2.5'

/** Says who answers, and whom it sees. */
function server(name: string): string[] {
  const answer = `new Response('${name} sees ' + server.requestIP(request)?.address.replace('::ffff:', ''))`
  return [
    process.execPath,
    '-e',
    `Bun.serve({ port: 8080, hostname: '0.0.0.0', fetch: (request, server) => ${answer} })`,
  ]
}

function service(name: string, address: string, clusterIP: string, nodePort: number): object[] {
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort }]
  const endpoints = [{ addresses: [address], conditions: { ready: true } }]
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { type: 'NodePort', clusterIP, ports } },
    {
      apiVersion: 'discovery.k8s.io/v1beta1',
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
  'nft',
  'iptables',
  'iptables-nft',
  'curl',
)(
  'kube-proxy, FORWARD policy DROP and masquerade together',
  async () => {
    const lan = new OneNode()
    const { network, node, pod, outside } = lan
    const api = await TestApiServer.start({ namespace: node, crds: false })
    try {
      network.ip(outside, `addr add ${OTHER_POD}/32 dev lo`)
      network.ip(node, 'route add 10.0.2.0/24 via 172.16.0.254')
      network.spawn(pod, server('local pod'))
      network.spawn(outside, server('outside'))
      const items = [
        ...service('here', POD_ADDRESS, '10.96.0.10', 30080),
        ...service('there', OTHER_POD, '10.96.0.11', 30081),
      ]
      api.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
      lan.run('iptables-nft', '-P', 'FORWARD', 'DROP')
      const limits = [
        '--conntrack-max-per-core',
        '0',
        '--conntrack-tcp-timeout-established',
        '0s',
        '--conntrack-tcp-timeout-close-wait',
        '0s',
      ]
      const mode = ['--proxy-mode', 'iptables', '--cluster-cidr', '10.0.0.0/16', '--bind-address', NODE_ADDRESS]
      network.spawn(node, [PROXY, '--kubeconfig', api.kubeconfig, ...mode, ...limits])
      const get = (from: string, address: string) => {
        const curl = ['curl', '-sS', '--noproxy', '*', '--max-time', '2', `http://${address}/`]
        return network.exec(from, curl, { mayFail: true }).stdout
      }
      await eventually('kube-proxy serves the host', () => get(node, '10.96.0.10') !== '', 30)
      expect(get(pod, '10.96.0.11')).toBe('') // FORWARD drops

      const firewall = lan.firewall({ masquerade: true, nonMasqueradeCIDRs: ['10.96.0.0/16'] })
      firewall.want(KNOWN)
      await eventually('pod to a Service with a pod on another node', () => get(pod, '10.96.0.11') !== '')
      const seen = {
        'pod to a pod on another node by its Service': get(pod, '10.96.0.11'),
        'pod to itself by its Service': get(pod, '10.96.0.10'),
        'host to a local pod': get(node, `${POD_ADDRESS}:8080`),
        'host to a local pod by its Service': get(node, '10.96.0.10'),
        'NodePort from outside to a local pod': get(outside, `${NODE_ADDRESS}:30080`),
        'NodePort from outside to a pod on another node': get(outside, `${NODE_ADDRESS}:30081`),
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
      expect(lan.run('iptables-nft', '-S', 'FORWARD')).toContain('-j KUBE-FORWARD')
    } finally {
      await api.close()
      await lan.close()
    }
  },
  120_000,
)
