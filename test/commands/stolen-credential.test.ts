/**
 * What somebody can do who has stolen the credential of a node, asked of a real API server: every
 * verb on every resource that it serves, and the requests that an attacker would try. The whole of
 * what is allowed is written down here; more is a failure.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { NODE_NAMESPACE } from '../../src/kube/node-identity.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { run } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = ['KUBEBUILDER_ASSETS', 'kubectl'] as const
const test = testNeeding(...NEEDS)
const STOLEN = 'edge-1'
let server: TestApiServer
let token = ''

const terwayEdge = (...args: string[]) => run([process.execPath, 'src/main.ts', ...args]).stdout

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    server = await TestApiServer.start({ crds: false })
    server.applyYaml(terwayEdge('manifests', '--part', 'crds'))
    server.applyYaml(terwayEdge('manifests', '--part', 'rbac', '--bgp-secret', 'lan-a=edge-1', 'lan-b=edge-2'))
    if (hasPolicies()) server.applyYaml(terwayEdge('manifests', '--part', 'admission'))
    for (const name of ['lan-a', 'lan-b'])
      server.kubectl(['create', 'secret', 'generic', name, '-n', 'kube-system', '--from-literal=password=x'])
    server.applyYaml(OBJECTS)
    const names = server.path('nodes.txt')
    await Bun.write(names, 'edge-1\nedge-2\n')
    terwayEdge('kubeconfig', '--kubeconfig', server.kubeconfig, '--nodes', names, '--out', server.path('nodes'))
    const kubeconfig = Bun.YAML.parse(await Bun.file(server.path(`nodes/${STOLEN}.kubeconfig`)).text())
    token = /token: "?([^\s"]+)/.exec(Bun.YAML.stringify(kubeconfig, null, 2))?.[1] ?? ''
  }, 300_000)
  afterAll(() => server?.close())
}

/** ValidatingAdmissionPolicy of v1: Kubernetes 1.30 and newer. */
function hasPolicies(): boolean {
  return server
    .kubectl(['api-resources', '--api-group=admissionregistration.k8s.io'])
    .stdout.includes('validatingadmissionpolicies')
}

const OBJECTS = `
apiVersion: v1
kind: Node
metadata: {name: edge-1}
---
apiVersion: v1
kind: Node
metadata: {name: edge-2}
---
apiVersion: network.openyurt.io/v1alpha1
kind: BGPPeer
metadata: {name: lan}
spec: {localSpeakers: [edge-1, edge-2], localAsNumber: 65010, peerIP: 172.16.0.1, peerAsNumber: 65001, nodeSelector: all()}
---
apiVersion: network.openyurt.io/v1alpha1
kind: RouteSlice
metadata: {name: routes-1}
entries: [{node: edge-1, addresses: [172.16.0.11], podCIDRs: [10.0.0.0/25], peers: [lan]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: terway-edge-controller, namespace: kube-system}
`

async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    tls: { rejectUnauthorized: false },
    proxy: '',
  })
  return { status: answer.status, text: await answer.text() }
}

interface Attributes {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly namespace?: string
  readonly name?: string
}

async function may(resourceAttributes: Attributes): Promise<boolean> {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  }
  const { text } = await ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review)
  return JSON.parse(text).status.allowed
}

interface Served {
  readonly group: string
  readonly name: string
  readonly namespaced: boolean
}

async function servedResources(): Promise<Served[]> {
  const { groups } = JSON.parse((await ask('GET', '/apis')).text)
  const versions = [
    ['', '/api/v1'],
    ...groups.map(({ name, preferredVersion: { groupVersion } }: Group) => [name, `/apis/${groupVersion}`]),
  ]
  const lists = await Promise.all(
    versions.map(async ([group, path]) => {
      const { resources }: { resources: Omit<Served, 'group'>[] } = JSON.parse((await ask('GET', path)).text)
      return resources.map(({ name, namespaced }) => ({ group, name, namespaced }))
    }),
  )
  return lists.flat()
}

interface Group {
  readonly name: string
  readonly preferredVersion: { readonly groupVersion: string }
}

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
const NAMESPACES = ['default', 'kube-system', NODE_NAMESPACE]

/** Whatever the API server grants to everybody who has a token. */
const EVERYBODYS = /^create (selfsubjectaccessreviews|selfsubjectrulesreviews|selfsubjectreviews)\./

test('of all verbs on all resources these are allowed, and no others', async () => {
  const served = await servedResources()
  expect(served.length).toBeGreaterThan(50)
  const questions = served.flatMap(({ group, name, namespaced }) => {
    const [resource = '', subresource] = name.split('/')
    const places = namespaced ? NAMESPACES : [undefined]
    const more = ['users', 'groups', 'serviceaccounts'].includes(resource) ? ['impersonate'] : []
    const verbs = [...VERBS, ...more, ...(/roles$/.test(resource) ? ['bind', 'escalate'] : [])]
    return verbs.flatMap(verb =>
      places.map(namespace => ({
        ...{ verb, group, resource },
        ...(subresource !== undefined && { subresource }),
        ...(namespace !== undefined && { namespace }),
      })),
    )
  })
  const allowed: string[] = []
  for (let at = 0; at < questions.length; at += 40) {
    const some = questions.slice(at, at + 40)
    const answers = await Promise.all(some.map(may))
    allowed.push(...some.filter((_, index) => answers[index]).map(textOf))
  }
  expect(allowed.filter(line => !EVERYBODYS.test(line)).sort()).toEqual(
    [
      ...['bgppeers', 'routeslices', 'eninodes'].flatMap(kind =>
        ['get', 'list', 'watch'].map(verb => `${verb} ${kind}.network.openyurt.io`),
      ),
      'patch bgppeers/status.network.openyurt.io',
      'create events in default',
      'patch events in default',
    ].sort(),
  )
}, 300_000)

function textOf({ verb, group, resource, subresource, namespace }: Attributes): string {
  const what = subresource === undefined ? resource : `${resource}/${subresource}`
  const place = namespace === undefined ? '' : ` in ${namespace}`
  return `${verb} ${what}${group === '' ? '' : `.${group}`}${place}`
}

test('by name: its own account, token and ENINode, the passwords of its LAN, the identity of the cluster', async () => {
  const account = { group: '', resource: 'serviceaccounts', namespace: NODE_NAMESPACE }
  const secret = { group: '', resource: 'secrets', namespace: 'kube-system', verb: 'get' }
  const status = { group: 'network.openyurt.io', resource: 'eninodes', subresource: 'status', verb: 'patch' }
  const rows: [Attributes, boolean][] = [
    [{ ...account, verb: 'patch', name: 'edge-1' }, true],
    [{ ...account, verb: 'patch', name: 'edge-2' }, false],
    [{ ...account, verb: 'delete', name: 'edge-1' }, false],
    [{ ...account, verb: 'impersonate', name: 'edge-2' }, false],
    [{ ...account, verb: 'create', subresource: 'token', name: 'edge-1' }, true],
    [{ ...account, verb: 'create', subresource: 'token', name: 'edge-2' }, false],
    [
      { ...account, verb: 'create', subresource: 'token', name: 'terway-edge-controller', namespace: 'kube-system' },
      false,
    ],
    [{ ...secret, name: 'lan-a' }, true],
    [{ ...secret, name: 'lan-b' }, false],
    [{ ...secret, name: 'lan-a', verb: 'update' }, false],
    [{ ...status, name: 'edge-1' }, true],
    [{ ...status, name: 'edge-2' }, false],
    [{ group: '', resource: 'namespaces', verb: 'get', name: 'kube-system' }, true],
    [{ group: '', resource: 'namespaces', verb: 'get', name: 'default' }, false],
    [
      {
        group: '',
        resource: 'configmaps',
        verb: 'get',
        name: 'terway-edge-former-pod-cidrs',
        namespace: 'kube-system',
      },
      false,
    ],
  ]
  for (const [attributes, expected] of rows) expect([attributes, await may(attributes)]).toEqual([attributes, expected])
})

const PEERS = '/apis/network.openyurt.io/v1alpha1/bgppeers'
const ACCOUNTS = `/api/v1/namespaces/${NODE_NAMESPACE}/serviceaccounts`

test('what an attacker would try is refused', async () => {
  const spec = {
    localSpeakers: ['edge-1'],
    localAsNumber: 1,
    peerIP: '192.0.2.1',
    peerAsNumber: 2,
    nodeSelector: 'all()',
  }
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } }
  const rows: [string, string, (object | undefined)?, Record<string, string>?][] = [
    ['POST', PEERS, { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'BGPPeer', metadata: { name: 'mine' }, spec }],
    ['PATCH', `${PEERS}/lan`, { spec: { peerIP: '192.0.2.1' } }],
    ['DELETE', `${PEERS}/lan`],
    ['PATCH', '/apis/network.openyurt.io/v1alpha1/routeslices/routes-1', { entries: [] }],
    ['GET', '/api/v1/nodes'],
    ['PATCH', '/api/v1/nodes/edge-1', { spec: { podCIDRs: ['192.168.0.8/29'] } }],
    ['PATCH', '/api/v1/nodes/edge-1', { metadata: { labels: { lan: 'b' } } }],
    ['GET', '/api/v1/secrets'],
    ['GET', '/api/v1/namespaces/kube-system/secrets'],
    ['GET', '/api/v1/namespaces/kube-system/secrets/lan-b'],
    ['POST', `${ACCOUNTS}/edge-2/token`, request],
    ['GET', ACCOUNTS],
    [
      'GET',
      '/api/v1/nodes/edge-1',
      undefined,
      { 'Impersonate-User': 'system:node:edge-1', 'Impersonate-Group': 'system:nodes' },
    ],
    ['GET', '/api/v1/nodes/edge-1/proxy/pods'],
    ['GET', '/api/v1/pods'],
    ['GET', '/metrics'],
    ['GET', '/logs/'],
    ['DELETE', '/api/v1/namespaces/default/events'],
    ['POST', '/api/v1/namespaces/kube-system/events', { metadata: { name: 'x' }, involvedObject: {} }],
  ]
  for (const [method, path, body, headers] of rows) {
    const { status } = await ask(method, path, body, headers)
    expect([method, path, status]).toEqual([method, path, 403])
  }
  expect((await ask('GET', '/api/v1/namespaces/kube-system/secrets/lan-a')).status).toBe(200)
  expect((await ask('POST', `${ACCOUNTS}/edge-1/token`, request)).status).toBe(201)
})

test("the status of a BGPPeer: another's entry is refused where the API server knows policies, and can be written before", async () => {
  const patch = (...speakers: object[]) => ask('PATCH', `${PEERS}/lan/status`, { status: { speakers } })
  expect((await patch({ node: 'edge-1', state: 'Established' })).status).toBe(200)
  // 422: a policy without a reason says Invalid
  expect((await patch({ node: 'edge-1', state: 'Established' }, { node: 'edge-2', state: 'Idle' })).status).toBe(
    hasPolicies() ? 422 : 200,
  )
  const schema = await patch({ node: 'edge-1', state: 7 })
  expect(schema.status).toBe(422)
})
