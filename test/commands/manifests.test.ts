/**
 * What an administrator does first, with a real API server: apply the manifests, make a kubeconfig
 * for a node, and find its rights enough but small.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '../../src/config/load.ts'
import { ApiError } from '../../src/kube/api.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import { type Kubeconfig, loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { NODE_NAMESPACE, nodeIdentityObjects } from '../../src/kube/node-identity.ts'
import { BGP_PEERS } from '../../src/kube/resources.ts'
import { keepTokenFresh, renewedTokenFile } from '../../src/kube/token-renewal.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { DOCUMENT } from '../planner/networks.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { controllerManagerPorts } from '../support/kubernetes-version.ts'
import { eventually, run } from '../support/namespaces.ts'
import { NODE_GROUP, nodeUser } from '../support/node-user.ts'
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
      ...controllerManagerPorts(),
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  )
}, 300_000)

afterAll(async () => {
  tokens?.kill('SIGKILL')
  await tokens?.exited
  await server?.close()
})

test('manifests apply as they are, twice, and the user document after them', () => {
  const api = started()
  const old = !api.kubectl(['api-versions']).stdout.includes('policy/v1\n')
  const budget = old ? ['--no-disruption-budget'] : []
  const text = terwayEdge(
    'manifests',
    ...CHOSEN,
    ...budget,
    '--bgp-secret',
    'bgp-secret=edge-1,edge-2',
    'other-secret=edge-7',
  )
  expect(text).toContain('image: "registry.example/terway-edge:1"')
  api.applyYaml(terwayEdge('manifests', '--part', 'crds'))
  api.applyYaml(text)
  expect(terwayEdge('manifests', ...CHOSEN)).toContain('kind: PodDisruptionBudget')
  expect(text).not.toMatch(/kind: (CustomResourceDefinition|Namespace)/)
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

test('the controller keeps off the nodes that it serves, and is asked for metrics only with a token', () => {
  const deployment = (...args: string[]) => {
    const documents = terwayEdge(
      'manifests',
      '--part',
      'controller',
      '--image',
      'i',
      '--pod-cidrs',
      '10.0.0.0/8',
      ...args,
    )
      .split('\n---\n')
      .map(text => Bun.YAML.parse(text) as { kind: string; spec: never; data: Record<string, string> })
    const of = (kind: string) => documents.find(document => document.kind === kind)
    const template = Reflect.get(of('Deployment')?.spec ?? {}, 'template').spec
    const terms = template.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
    const expressions = terms?.map(({ matchExpressions: [only] }: { matchExpressions: object[] }) => only)
    return { of, template, expressions, config: Bun.YAML.parse(of('ConfigMap')?.data['config.yaml'] ?? '') }
  }
  const plain = deployment('--edge-nodes', 'edge=true,zone in (a,b),!cloud')
  expect(plain.expressions).toEqual([
    { key: 'edge', operator: 'NotIn', values: ['true'] },
    { key: 'zone', operator: 'NotIn', values: ['a', 'b'] },
    { key: 'cloud', operator: 'Exists' },
  ])
  expect(plain.config).toMatchObject({ status: { listen: '127.0.0.1:9180' } })
  expect(plain.of('Service')).toBeUndefined()
  expect(deployment('--edge-nodes', 'all()').expressions).toBeUndefined()
  const open = deployment('--edge-nodes', 'edge', '--metrics-secret', 'metrics', '--replicas', '1')
  expect(open.config).toMatchObject({ status: { listen: '0.0.0.0:9180', tokenFile: '/etc/terway-edge-metrics/token' } })
  expect(open.template.volumes).toContainEqual(expect.objectContaining({ name: 'metrics' }))
  expect(open.of('Service')).toBeDefined()
  const configOf = (text: string) => /network.openyurt.io\/config: (\S+)\}/.exec(text)?.[1]
  const [one, two] = ['100', '200'].map(pods => configOf(terwayEdge('manifests', ...CHOSEN, '--pods-per-node', pods)))
  expect(one).toMatch(/^[0-9a-f]{16}$/)
  expect(two).not.toBe(one) // so a change of the configuration is taken
})

test('a plan gives the ranges, and goes along for the page', () => {
  const api = started()
  const file = api.path('network.yaml')
  writeFileSync(file, `# a site\n${DOCUMENT}`)
  const given = ['manifests', '--part', 'controller', '--image', 'i', '--edge-nodes', 'edge', '--network', file]
  const dataOf = (...args: string[]) => {
    const map = terwayEdge(...given, ...args)
      .split('\n---\n')
      .map(text => Bun.YAML.parse(text) as { kind: string; data: Record<string, string> })
      .find(({ kind }) => kind === 'ConfigMap')
    return map?.data ?? {}
  }
  const data = dataOf('--pod-cidrs', '10.0.0.0/9')
  expect(parseConfig(data['config.yaml'] ?? '', 'config.yaml')).toMatchObject({
    plan: '/etc/terway-edge/network.yaml',
    network: { podCIDRs: ['10.0.0.0/9'], podsPerNode: 128, serviceCIDRs: ['172.21.0.0/20'] },
  })
  expect(parseConfig(dataOf()['config.yaml'] ?? '', 'config.yaml').network).toMatchObject({
    podCIDRs: ['10.0.0.0/8'],
    vpcCIDRs: ['192.168.0.0/16'],
    dataCenterCIDRs: ['172.16.0.0/16'],
  })
  // as a real API server keeps it, comments and all
  api.applyYaml(terwayEdge(...given, '--no-disruption-budget'))
  const kept = ['-n', 'kube-system', 'get', 'cm', 'terway-edge-controller', '-o', 'jsonpath={.data.network\\.yaml}']
  expect(api.kubectl(kept).stdout.trim()).toBe(`# a site\n${DOCUMENT}`.trim())
  api.applyYaml(terwayEdge('manifests', '--part', 'crds'))
  const crds = ['bgppeers', 'routeslices'].map(name => `crd/${name}.network.openyurt.io`)
  api.kubectl(['wait', '--for=condition=Established', '--timeout=110s', ...crds])
  const seen = run([process.execPath, 'src/main.ts', 'status', '--kubeconfig', api.kubeconfig, '-o', 'json'], {
    mayFail: true,
  })
  expect(seen.stderr).toBe('')
  expect(JSON.parse(seen.stdout).controller).toMatchObject({
    plan: { lans: [{ lan: 'lan', nodes: 0, plannedNodes: 40 }] },
    pools: [{ podCIDR: '10.0.0.0/8' }],
  })
})

test('the DaemonSet runs on the nodes that the controller keeps off, with the image that is named', () => {
  const api = started()
  const chosen = ['--image', 'registry.example/terway-edge:1', '--edge-nodes', 'edge=true,zone in (a,b),!cloud']
  const text = terwayEdge('manifests', '--part', 'daemonset', ...chosen)
  const { template } = (Bun.YAML.parse(text) as { spec: { template: { spec: never } } }).spec
  expect(template.spec).toMatchObject({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                { key: 'edge', operator: 'In', values: ['true'] },
                { key: 'zone', operator: 'In', values: ['a', 'b'] },
                { key: 'cloud', operator: 'DoesNotExist' },
              ],
            },
          ],
        },
      },
    },
    initContainers: [{ image: 'registry.example/terway-edge:1' }],
    containers: [{ image: 'registry.example/terway-edge:1' }],
  })
  api.applyYaml(text)
  expect(terwayEdge('manifests', ...CHOSEN, '--daemonset')).toContain('kind: DaemonSet')
  expect(terwayEdge('manifests', ...CHOSEN)).not.toContain('kind: DaemonSet')
  const refused = run([process.execPath, 'src/main.ts', 'manifests', '--part', 'daemonset'], { mayFail: true })
  expect(refused.stderr).toMatch(/--image: .*\n.*--edge-nodes: /)
})

test('the kubeconfig of a node is its own, has the rights of this node, and no others', () => {
  const api = started()
  api.applyYaml(terwayEdge('manifests', '--part', 'crds'))
  api.applyYaml(terwayEdge('manifests', '--part', 'rbac', '--bgp-secret', 'bgp-secret=edge-1'))
  const list = api.path('nodes.txt')
  writeFileSync(list, 'edge-1\n# a comment\nedge-2   # another\n')
  terwayEdge('kubeconfig', '--kubeconfig', api.kubeconfig, '--nodes', list, '--out', api.path('nodes'))
  const can = (node: string, ...words: string[]) => {
    const file = api.path(`nodes/${node}.kubeconfig`)
    return run(['kubectl', '--kubeconfig', file, 'auth', 'can-i', ...words], { mayFail: true }).stdout.trim()
  }
  const all = ['-n', 'kube-system']
  expect(can('edge-1', 'watch', 'bgppeers.network.openyurt.io')).toBe('yes')
  expect(can('edge-1', 'watch', 'routeslices.network.openyurt.io')).toBe('yes')
  expect(can('edge-1', 'patch', 'bgppeers.network.openyurt.io/peer', '--subresource=status')).toBe('yes')
  expect(can('edge-1', 'watch', 'eninodes.network.openyurt.io')).toBe('yes')
  expect(can('edge-1', 'patch', 'eninodes.network.openyurt.io/node-1', '--subresource=status')).toBe('no')
  expect(can('edge-1', 'create', 'events')).toBe('yes')
  expect(can('edge-1', 'watch', 'secrets/bgp-secret', ...all)).toBe('yes')
  expect(can('edge-2', 'watch', 'secrets/bgp-secret', ...all)).toBe('no')
  expect(can('edge-2', 'get', 'secrets/another', ...all)).toBe('no')
  expect(can('edge-1', 'list', 'secrets', ...all)).toBe('no')
  expect(can('edge-1', 'list', 'nodes')).toBe('no')
  expect(can('edge-1', 'create', 'bgppeers.network.openyurt.io')).toBe('no')
  expect(can('edge-1', 'patch', 'routeslices.network.openyurt.io')).toBe('no')
  const elsewhere = ['--node', 'edge-1', '--server', 'https://api.example:6443']
  expect(terwayEdge('kubeconfig', '--kubeconfig', api.kubeconfig, ...elsewhere)).toContain('https://api.example:6443')
  const wrong = run([process.execPath, 'src/main.ts', 'kubeconfig', '--server', 'x', '--nodes', '/nowhere'], {
    mayFail: true,
  })
  expect(wrong.stderr).toMatch(/--out: .*\n.*--server: .*\n.*--nodes: there is no file/)
})

test('a node renews its token by itself, and deleting its ServiceAccount revokes both', async () => {
  const api = started()
  const file = api.path('edge-3.kubeconfig')
  terwayEdge('kubeconfig', '--kubeconfig', api.kubeconfig, '--node', 'edge-3', '--lifetime-days', '1', '--out', file)
  const state = api.path('state')
  const kubeconfig = loadKubeconfig(file, renewedTokenFile(state))
  const token = async () => (await kubeconfig.credentials()).headers.Authorization
  const [first, clock] = [await token(), systemClock]
  await Bun.sleep(1100) // tokens of one second are the same
  const later = { ...clock, now: () => clock.now() + 6 * 3_600_000 }
  const renewal = keepTokenFresh({ kubeconfig, stateDir: state, clock: later, log: silentLog })
  await eventually(
    'there is another token',
    async () => existsSync(renewedTokenFile(state)) && (await token()) !== first,
  )
  await renewal.close()
  const asked = () => problemOf(kubeconfig)
  expect(await asked()).toBeUndefined()
  expect(loadKubeconfig(file, renewedTokenFile(api.path('another'))).credentials()).resolves.toMatchObject({
    headers: { Authorization: first },
  })
  api.kubectl(['delete', 'serviceaccount', '-n', NODE_NAMESPACE, 'edge-3'])
  await eventually('it is revoked', async () => (await asked()) === 401)
})

/** The HTTP status with which the API server refuses to answer; undefined when it answers. */
async function problemOf(kubeconfig: Kubeconfig): Promise<number | undefined> {
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
  try {
    await api.get(BGP_PEERS, 'none')
    return undefined
  } catch (error) {
    return error instanceof ApiError ? error.status : -1
  } finally {
    api.close()
  }
}
