/**
 * The whole cluster from a desk: `status`, `nodes`, `peers` and `events` with `--kubeconfig`, from
 * a real API server alone; no process of ours runs.
 */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import { CONTROLLER_LEASE } from '../../src/kube/resources.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { run } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { USER_DOCUMENT } from '../support/user-document.ts'

const NEEDS = ['KUBEBUILDER_ASSETS'] as const
const test = testNeeding(...NEEDS)
let server: TestApiServer | undefined

function started(): TestApiServer {
  if (server === undefined) throw new Error('the API server did not start')
  return server
}

function terwayEdge(...args: string[]) {
  return run([process.execPath, 'src/main.ts', ...args, '--kubeconfig', started().kubeconfig], { mayFail: true })
}

const NODES = ['node-1', 'node-2', 'node-3'] as const

/** node-1 has its session, node-2 lost it; node-3 is not heard and has a podCIDR that overlaps. */
function speakers(): object[] {
  const common = { peerIP: '172.16.0.1', since: '2026-11-01T08:00:00Z', advertisedPrefixes: 3, receivedPrefixes: 0 }
  return [
    { node: 'node-1', state: 'Established', ...common, flaps: 0, holdTimeSeconds: 90 },
    { node: 'node-2', state: 'Active', ...common, flaps: 4, lastError: 'Hold Timer Expired (sent)' },
  ]
}

beforeAll(async () => {
  if (missing(NEEDS).length > 0) return
  server = await TestApiServer.start()
  const kubectl = (args: string[], stdin?: string) => started().kubectl(args, stdin === undefined ? {} : { stdin })
  for (const [index, name] of NODES.entries()) {
    const podCIDR = `10.0.${index === 2 ? 0 : index}.0/25`
    const spec = `spec: {podCIDR: ${podCIDR}, podCIDRs: [${podCIDR}]}`
    const labels = 'labels: {alibabacloud.com/nodepool-id: npxxx}'
    kubectl(['create', '-f', '-'], `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}, ${labels}}\n${spec}\n`)
    const heard = {
      type: 'Ready',
      status: index === 2 ? 'Unknown' : 'True',
      lastTransitionTime: '2026-11-01T08:00:00Z',
    }
    const status = { addresses: [{ type: 'InternalIP', address: `172.16.0.${11 + index}` }], conditions: [heard] }
    kubectl(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })])
  }
  kubectl(['apply', '-f', '-'], USER_DOCUMENT)
  const status = { status: { speakers: speakers(), selectedNodes: NODES } }
  kubectl(['patch', 'bgppeer', 'peer', '--subresource=status', '--type=merge', '-p', JSON.stringify(status)])
  const event = (component: string, reason: string, message: string) => ({
    ...{ apiVersion: 'v1', kind: 'Event', metadata: { name: reason.toLowerCase(), namespace: 'default' } },
    ...{ type: 'Warning', reason, message, count: 3, lastTimestamp: '2026-11-01T09:00:00Z' },
    involvedObject: { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'BGPPeer', name: 'peer' },
    source: { component },
  })
  for (const one of [
    event('terway-edge-node', 'SessionLost', 'the switch went away'),
    event('kubelet', 'Other', 'of somebody else'),
  ])
    kubectl(['create', '-f', '-'], JSON.stringify(one))
  holdLease('controller-1', new Date())
}, 300_000)

/** Says that a controller leads, and when it said so last. */
function holdLease(holderIdentity: string, at: Date): void {
  const lease = {
    ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
    metadata: { name: CONTROLLER_LEASE, namespace: 'kube-system' },
    spec: { holderIdentity, leaseDurationSeconds: 15, renewTime: at.toISOString().replace('Z', '000Z') },
  }
  started().kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(lease) })
}

afterAll(async () => {
  await server?.close()
})

describe('from a desk', () => {
  test('status: the cluster in numbers, every problem, exit status 1', () => {
    const { status, stdout, stderr } = terwayEdge('status')
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^Nodes: +3 in 1 BGPPeer$/m)
    expect(stdout).toMatch(/^Sessions: +1 of 2 Established$/m)
    expect(stdout).toMatch(/^Leader: +controller-1$/m)
    expect(stdout).not.toContain('Running for')
    expect(stdout).toContain('BGPPeer peer: the session of node-2 with 172.16.0.1 is Active: Hold Timer Expired (sent)')
    expect(stdout).toMatch(/Node node-3: \w+: .*10\.0\.0\.0\/25/)
    expect(status).toBe(1)
    const json: { role: string; problems: string[] } = JSON.parse(terwayEdge('status', '-o', 'json').stdout)
    expect(json.role).toBe('controller')
    expect(json.problems.every(problem => stdout.includes(problem))).toBe(true)
  })

  test('a Lease that nobody renews has no holder', () => {
    holdLease('controller-1', new Date(Date.now() - 600_000))
    expect(terwayEdge('status').stdout).toMatch(/^Leader: +none known$/m)
  })

  test('who may not read the Lease is told that the leader is not known, and no name', () => {
    started().grant('user-2', [
      { apiGroups: [''], resources: ['nodes', 'events', 'configmaps'], verbs: ['get', 'list'] },
      { apiGroups: ['network.openyurt.io'], resources: ['*'], verbs: ['get', 'list'] },
    ])
    const status = ['src/main.ts', 'status', '-o', 'json', '--kubeconfig', started().userKubeconfig('user-2')]
    const { stdout } = run([process.execPath, ...status], { mayFail: true })
    const { controller, problems, remedies } = JSON.parse(stdout)
    expect(controller).not.toHaveProperty('leader')
    const problem = problems.find((one: string) => one.startsWith('who leads is not known'))
    expect(problem).toContain('forbidden')
    expect(remedies[problem]).toContain('leases')
  })

  test('nodes: each with its addresses, podCIDRs and BGPPeers, and what is wrong', () => {
    const { status, stdout } = terwayEdge('nodes')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^node-1 +True +172\.16\.0\.11 +10\.0\.0\.0\/25 .* peer +peer +-$/m)
    expect(stdout).toMatch(/^node-3 +False .* its pod CIDR 10\.0\.0\.0\/25 overlaps /m)
    expect(terwayEdge('nodes', '-o', 'name').stdout).toBe('node-1\nnode-2\nnode-3\n')
  })

  test('peers: as the speakers report them; one by its name', () => {
    const { stdout } = terwayEdge('peers')
    expect(stdout).toMatch(/^peer +node-1 +172\.16\.0\.1 +65001 +Established/m)
    expect(stdout).toMatch(/^peer +node-2 +172\.16\.0\.1 +65001 +Active/m)
    expect(terwayEdge('peers', 'peer').stdout).toContain('Hold Timer Expired')
    expect(terwayEdge('peers', 'none')).toMatchObject({ status: 1, stderr: expect.stringContaining('there are: peer') })
    expect(terwayEdge('peers', 'peer', 'advertised')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('only a speaker knows'),
    })
  })

  test('events: ours alone, counted', () => {
    const { stdout } = terwayEdge('events')
    expect(stdout).toContain('the switch went away (3 times)')
    expect(stdout).not.toContain('of somebody else')
  })

  test('an API server that refuses is told in one line', () => {
    const kubeconfig = started().userKubeconfig('user-1')
    const { status, stderr } = run([process.execPath, 'src/main.ts', 'status', '--kubeconfig', kubeconfig], {
      mayFail: true,
    })
    expect(status).toBe(1)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain('forbidden')
  })
})
