/** `plan --diff`, `plan --from-cluster` and `switch-config PEER` with a real API server. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commands, runDocumented } from '../docs/markdown.ts'
import { DOCUMENT } from '../planner/networks.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { run } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { PASSWORD, USER_DOCUMENT } from '../support/user-document.ts'

const NEEDS = ['KUBEBUILDER_ASSETS'] as const
const test = testNeeding(...NEEDS)
const folder = mkdtempSync(join(tmpdir(), 'plan-cluster-'))
let server: TestApiServer | undefined

const NODES = ['node-1', 'node-2', 'node-3']
const CONFIG = `apiVersion: v1
kind: ConfigMap
metadata: {name: terway-edge-controller, namespace: kube-system}
data:
  config.yaml: |
    network:
      podCIDRs: [10.0.0.0/8]
      edgeNodes: all()
      serviceCIDRs: [172.21.0.0/20]
      vpcCIDRs: [192.168.0.0/16]
      dataCenterCIDRs: [172.16.0.0/16]
`

function started(): TestApiServer {
  if (server === undefined) throw new Error('the API server did not start')
  return server
}

function terwayEdge(...args: string[]) {
  return run([process.execPath, 'src/main.ts', ...args, '--kubeconfig', started().kubeconfig], { mayFail: true })
}

beforeAll(async () => {
  if (missing(NEEDS).length > 0) return
  server = await TestApiServer.start()
  for (const [index, name] of NODES.entries()) {
    const spec = `spec: {podCIDR: 10.0.${index}.0/25, podCIDRs: [10.0.${index}.0/25]}`
    server.kubectl(['create', '-f', '-'], { stdin: `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n${spec}\n` })
    const addresses = JSON.stringify({
      status: { addresses: [{ type: 'InternalIP', address: `172.16.0.${11 + index}` }] },
    })
    server.kubectl(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', addresses])
  }
  server.kubectl(['apply', '-f', '-'], { stdin: CONFIG })
  server.kubectl(['apply', '-f', '-'], { stdin: USER_DOCUMENT.replace('  - node-2\n', '  - node-2\n  - node-3\n') })
  const status = JSON.stringify({ status: { selectedNodes: NODES } })
  server.kubectl(['patch', 'bgppeer', 'peer', '--subresource=status', '--type=merge', '-p', status])
}, 300_000)

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await server?.close()
})

test('--diff: exit status 0 and a sentence where all is as planned, 3 and a table where not', () => {
  const path = join(folder, 'network.yaml')
  writeFileSync(path, DOCUMENT)
  expect(terwayEdge('plan', '--diff', path)).toMatchObject({ status: 0, stdout: 'The cluster is as planned.\n' })
  writeFileSync(path, DOCUMENT.replace('localAsNumber: 65010', 'localAsNumber: 65020').replace('nodes: 40', 'nodes: 3'))
  const { status, stdout } = terwayEdge('plan', '--diff', path)
  expect(status).toBe(3)
  expect(stdout).toMatch(/^BGPPeer peer: localAsNumber +65020 +65010$/m)
  expect(JSON.parse(terwayEdge('plan', '--diff', path, '-o', 'json').stdout)).toMatchObject({ ok: false })
})

test('the commands of the planning guide that need a cluster', () => {
  writeFileSync(join(folder, 'network.yaml'), DOCUMENT)
  writeFileSync(join(folder, 'admin.kubeconfig'), readFileSync(started().kubeconfig))
  const lines = commands(readFileSync('docs/planning.md', 'utf8')).filter(line => line.includes('--kubeconfig'))
  expect(lines.length).toBe(2)
  for (const line of lines) expect(runDocumented(line, folder), line).toMatchObject({ status: 0, stderr: '' })
  expect(readFileSync(join(folder, 'network.yaml'), 'utf8')).toContain('speakers: [node-1, node-2, node-3]')
})

test("switch-config PEER: addresses of the nodes, pools of the controller, the Secret's password when asked for", () => {
  const { status, stdout } = terwayEdge('switch-config', 'peer', '--vendor', 'frr')
  expect(status).toBe(0)
  for (const part of [
    'neighbor 172.16.0.13 description node-3',
    '10.0.0.0/8 ge 25 le 25',
    'password REPLACE-WITH-THE-PASSWORD',
  ])
    expect(stdout).toContain(part)
  expect(terwayEdge('switch-config', 'peer', '--vendor', 'frr', '--password').stdout).toContain(
    `password ${PASSWORD}\n`,
  )
  expect(terwayEdge('switch-config', 'none', '--vendor', 'frr')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('there is no BGPPeer none'),
  })
})
