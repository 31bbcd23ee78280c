/**
 * A node of the cloud with the built executable and the identity that `manifests` and `kubeconfig`
 * give it, on a real API server: it reports on its own ENINode, lets addresses go, and may write
 * nothing else of this kind.
 */
import { afterAll, expect } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeIdentityObjects } from '../../src/kube/node-identity.ts'
import { CloudNetwork } from '../eni/cloud-network.ts'
import { eniNodeOf, NodeProcess } from '../eni/node-process.ts'
import { buildVersion } from '../support/build.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually, run } from '../support/namespaces.ts'
import { NODE_GROUP, nodeUser } from '../support/node-user.ts'
import { testNeeding } from '../support/requires.ts'

const test = testNeeding('root', 'ip', 'nft', 'ping', 'KUBEBUILDER_ASSETS', 'kubectl')
const folder = mkdtempSync(join(tmpdir(), 'te-eni-node-'))
const closing: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closing.reverse()) await close()
  rmSync(folder, { recursive: true, force: true })
})

/** A kubeconfig with a token of the node's own ServiceAccount. */
function nodeKubeconfig(api: TestApiServer, name: string): string {
  const [account = '', namespace = ''] = nodeUser(name).split(':').reverse()
  const token = api.kubectl(
    [...['create', '--raw', `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, '-f', '-']],
    { stdin: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }) },
  )
  const file = join(folder, `${name}.kubeconfig`)
  const cluster = { server: api.url, 'certificate-authority': api.path('certs/apiserver.crt') }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name, user: { token: JSON.parse(token.stdout).status.token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
    'current-context': 'test',
  }
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  return file
}

test('it reports, lets addresses go, and may write nothing else of ENINodes', async () => {
  const program = join(folder, 'terway-edge')
  buildVersion(program, 'test')
  const cloud = new CloudNetwork()
  closing.push(() => cloud.close())
  const { node1: node, node2 } = cloud
  const api = await TestApiServer.start({ namespace: node.namespace })
  closing.push(() => api.close())
  api.applyYaml(run([program, 'manifests', '--part', 'rbac']).stdout)
  const patchStatus = (name: string, status: object, as: string[] = [], mayFail = false) =>
    api.kubectl(
      [...['patch', 'eninode', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })], ...as],
      { mayFail },
    )
  const machines = [node, node2]
  const identities = machines.flatMap(({ name }) => nodeIdentityObjects(name))
  const items = [...identities, ...machines.map(machine => ({ ...eniNodeOf(machine), status: undefined }))]
  api.applyYaml(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  for (const machine of machines) patchStatus(machine.name, { ...eniNodeOf(machine).status, node: undefined })
  const get = () => JSON.parse(api.kubectl(['get', 'eninode', node.name, '-o', 'json']).stdout)
  const kubeconfig = nodeKubeconfig(api, node.name)
  const running = new NodeProcess(node, { kubeconfig, program })
  closing.push(() => running.stop('SIGKILL'))
  await running.untilReady()
  await eventually('it has spoken', () => get().status.node?.inUse === 0)
  const pod = await node.startPod('a')
  node2.writePool()
  const far = await node2.startPod('b')
  expect(await cloud.unreachable([pod, far])).toEqual([])

  // an address leaves in its steps: one that nobody has at once, a pod's when that is gone
  const interfaces: { addresses: string[] }[] = get().status.interfaces
  const ipv4 = interfaces.flatMap(({ addresses }) => addresses).filter(address => !address.includes(':'))
  const idle = ipv4.find(address => address !== pod.address) ?? ''
  const leaving = [idle, pod.address]
  patchStatus(node.name, {
    interfaces: interfaces.map(item => ({
      ...item,
      addresses: item.addresses.filter(address => !leaving.includes(address)),
      releasing: item.addresses.filter(address => leaving.includes(address)),
    })),
  })
  const released = () => (get().status.node?.released ?? []).sort()
  await eventually('what nobody has is let go', () => Bun.deepEquals(released(), [idle]))
  await node.stopPod('a')
  await eventually("the pod's goes after it", () => Bun.deepEquals(released(), leaving.toSorted()))
  expect(running.lines.filter(line => /forbidden/i.test(line))).toEqual([])

  const as = [`--as=${nodeUser(node.name)}`, `--as-group=${NODE_GROUP}`]
  const may = (...words: string[]) =>
    api
      .kubectl(['auth', 'can-i', ...words, ...as], { mayFail: true })
      .stdout.trim()
      .split('\n')
      .at(-1)
  expect({
    'its own report': may('patch', `eninode/${node.name}`, '--subresource=status'),
    "another's report": may('patch', `eninode/${node2.name}`, '--subresource=status'),
    'its own spec': may('patch', `eninode/${node.name}`),
    'its own object': may('delete', `eninode/${node.name}`),
    'a Secret': may('get', 'secrets', '-n', 'kube-system'),
  }).toEqual({
    'its own report': 'yes',
    "another's report": 'no',
    'its own spec': 'no',
    'its own object': 'no',
    'a Secret': 'no',
  })
}, 300_000)
