/** What an administrator does first, with a real API server: apply the manifests, make a kubeconfig for a node, and find its rights enough but small. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { join } from 'node:path'
import { NODE_GROUP, NODE_NAMESPACE, nodeIdentityObjects, nodeUser } from '../../src/kube/node-identity.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { run } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = ['KUBEBUILDER_ASSETS', 'kubectl'] as const
const test = testNeeding(...NEEDS)
let server: TestApiServer | undefined
let tokens: Bun.Subprocess | undefined

function started(): TestApiServer {
  if (server === undefined) throw new Error('the API server did not start')
  return server
}

const CHOSEN = [
  ...['--image', 'registry.example/terway-edge:1', '--edge-nodes', 'edge=true'],
  ...['--pod-cidrs', '10.0.0.0/8', '--service-cidrs', '172.21.0.0/20'],
]

function terwayEdge(...args: string[]): string {
  return run([process.execPath, 'src/main.ts', ...args]).stdout
}

beforeAll(async () => {
  if (missing(NEEDS).length > 0) return
  server = await TestApiServer.start({ crds: false })
  // it fills service account tokens in
  tokens = Bun.spawn(
    [
      join(process.env.KUBEBUILDER_ASSETS ?? '', 'kube-controller-manager'),
      ...['--kubeconfig', server.kubeconfig, '--controllers', 'serviceaccount-token', '--leader-elect=false'],
      ...[
        '--service-account-private-key-file',
        server.path('sa.key'),
        '--root-ca-file',
        server.path('certs/apiserver.crt'),
      ],
      ...['--port=0', '--secure-port=0'],
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  )
}, 60_000)

afterAll(async () => {
  tokens?.kill('SIGKILL')
  await tokens?.exited
  await server?.close()
})

test('manifests apply as they are, twice, and the user document after them', () => {
  const api = started()
  const text = terwayEdge('manifests', ...CHOSEN, '--bgp-secret', 'bgp-secret=edge-1,edge-2', 'other-secret=edge-7')
  expect(text).toContain('image: "registry.example/terway-edge:1"')
  api.applyYaml(text)
  const again = api.kubectl(['apply', '-f', '-'], { stdin: text }).stdout
  expect(again.match(/ (created|configured)$/gm) ?? []).toEqual([])
  api.kubectl(['wait', '--for=condition=Established', '--timeout=20s', 'crd/bgppeers.network.openyurt.io'])
  api.kubectl(['apply', '-f', 'config/bgppeer-example.yaml'])
  expect(api.kubectl(['get', 'bgppeer', 'peer']).stdout).toMatch(
    /^NAME +LOCALSPEAKERS +LOCALASNUMBER +PEERIP +PEERASNUMBER +AGE\npeer +\["node-1","node-2"\] +65010 +172\.16\.0\.1 +65001 +\d+s\n$/,
  )
})

test('a node may renew and describe itself, and no other node', () => {
  const api = started()
  api.applyYaml(terwayEdge('manifests', '--part', 'rbac'))
  for (const object of ['edge-1', 'edge-2'].flatMap(nodeIdentityObjects)) api.applyYaml(JSON.stringify(object))
  const can = (...words: string[]) => {
    const who = ['--as', nodeUser('edge-1'), '--as-group', NODE_GROUP, '-n', NODE_NAMESPACE]
    return api.kubectl(['auth', 'can-i', ...words, ...who], { mayFail: true }).stdout.trim()
  }
  expect(can('create', 'serviceaccounts/edge-1', '--subresource=token')).toBe('yes')
  expect(can('patch', 'serviceaccounts/edge-1')).toBe('yes')
  expect(can('create', 'serviceaccounts/edge-2', '--subresource=token')).toBe('no')
  expect(can('patch', 'serviceaccounts/edge-2')).toBe('no')
  expect(can('list', 'serviceaccounts')).toBe('no')
  expect(can('patch', 'eninodes.network.openyurt.io/edge-1', '--subresource=status')).toBe('yes')
  expect(can('patch', 'eninodes.network.openyurt.io/edge-1')).toBe('no')
  expect(can('patch', 'eninodes.network.openyurt.io/edge-2', '--subresource=status')).toBe('no')
})

test('manifests guess nothing', () => {
  const refused = (...args: string[]) =>
    run([process.execPath, 'src/main.ts', 'manifests', ...args], { mayFail: true }).stderr
  expect(refused()).toMatch(/--image: .*\n.*--edge-nodes: .*\n.*--pod-cidrs: /)
  expect(refused('--part', 'rbac', '--bgp-secret', 'bgp-secret')).toContain('--bgp-secret bgp-secret=node-1,node-2')
  expect(refused(...CHOSEN, '--edge-nodes', '=x')).toContain('network.edgeNodes: at character 1')
  expect(terwayEdge('manifests', ...CHOSEN)).toContain('edgeNodes: edge=true')
})

test('the kubeconfig of a node has the rights of a node, and no others', () => {
  const api = started()
  api.applyYaml(terwayEdge('manifests', '--part', 'rbac', '--bgp-secret', 'bgp-secret=edge-1'))
  const file = api.path('node.kubeconfig')
  terwayEdge('kubeconfig', '--kubeconfig', api.kubeconfig, '--out', file)
  const can = (...words: string[]) =>
    run(['kubectl', '--kubeconfig', file, 'auth', 'can-i', ...words], { mayFail: true }).stdout.trim()
  const all = ['-n', 'kube-system']
  expect(can('watch', 'bgppeers.network.openyurt.io')).toBe('yes')
  expect(can('watch', 'routeslices.network.openyurt.io')).toBe('yes')
  expect(can('patch', 'bgppeers.network.openyurt.io/peer', '--subresource=status')).toBe('yes')
  expect(can('watch', 'eninodes.network.openyurt.io')).toBe('yes')
  expect(can('patch', 'eninodes.network.openyurt.io/node-1', '--subresource=status')).toBe('no')
  expect(can('create', 'events')).toBe('yes')
  const edge = (name: string, ...words: string[]) =>
    api
      .kubectl(['auth', 'can-i', ...words, ...all, '--as', nodeUser(name), '--as-group', NODE_GROUP], { mayFail: true })
      .stdout.trim()
  expect(edge('edge-1', 'watch', 'secrets/bgp-secret')).toBe('yes')
  expect(edge('edge-2', 'watch', 'secrets/bgp-secret')).toBe('no')
  expect(edge('edge-2', 'watch', 'bgppeers.network.openyurt.io')).toBe('yes')
  expect(can('get', 'secrets/bgp-secret', ...all)).toBe('no')
  expect(can('get', 'secrets/another', ...all)).toBe('no')
  expect(can('list', 'secrets', ...all)).toBe('no')
  expect(can('list', 'nodes')).toBe('no')
  expect(can('create', 'bgppeers.network.openyurt.io')).toBe('no')
  expect(can('patch', 'routeslices.network.openyurt.io')).toBe('no')
  expect(terwayEdge('kubeconfig', '--kubeconfig', api.kubeconfig, '--server', 'https://api.example:6443')).toContain(
    'https://api.example:6443',
  )
})
