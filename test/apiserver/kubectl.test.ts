/**
 * The lab's API server under the real kubectl: what a person does with a cluster in the documented
 * flow.
 */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ApiServer, serveApi } from '../../src/apiserver/serve.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { testNeeding } from '../support/requires.ts'
import { COLUMNS, USER_DOCUMENT } from '../support/user-document.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-kubectl-'))
let server: ApiServer

/** kubectl runs beside the server in this process, so it must not block it. */
async function kubectl(words: string, options: { stdin?: string; env?: Record<string, string> } = {}) {
  const child = Bun.spawn(['kubectl', ...words.split(' ')], {
    stdin: options.stdin === undefined ? 'ignore' : Buffer.from(options.stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, HOME: folder, KUBECONFIG: join(folder, 'kubeconfig'), ...options.env },
  })
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { status, stdout, stderr }
}

async function must(words: string, options: { stdin?: string; env?: Record<string, string> } = {}): Promise<string> {
  const { status, stdout, stderr } = await kubectl(words, options)
  if (status !== 0) throw new Error(`kubectl ${words}: ${stderr}`)
  return stdout
}

beforeAll(() => {
  server = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock, stateFile: join(folder, 'state.json') })
  writeFileSync(join(folder, 'kubeconfig'), kubeconfigText(`http://127.0.0.1:${server.port}`))
})

afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('kubectl', () => {
  const kubectlTest = testNeeding('kubectl')

  kubectlTest(
    'applies, prints, describes, edits and deletes the documented BGPPeer',
    async () => {
      await must('apply -f config/crd-bgppeers.yaml')
      await must('wait --for=condition=Established crd/bgppeers.network.openyurt.io --timeout=10s')
      expect(await must('apply -f -', { stdin: USER_DOCUMENT })).toContain('bgppeer.network.openyurt.io/peer created')
      expect(await must('apply -f -', { stdin: USER_DOCUMENT })).toContain('bgppeer.network.openyurt.io/peer unchanged')
      const [header, row] = (await must('get bgppeer peer')).split('\n')
      expect(header?.split(/\s+/).filter(Boolean)).toEqual(COLUMNS)
      expect(row).toMatch(/^peer\s+\["node-1","node-2"\]\s+65010\s+172\.16\.0\.1\s+65001\s+\d+s/)
      const uid = await must('get bgppeer peer -o jsonpath={.metadata.uid}')
      const event = {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'peer.1', namespace: 'default' },
        involvedObject: { kind: 'BGPPeer', name: 'peer', uid },
        reason: 'FailedEstablish',
        message: 'connection refused',
        type: 'Warning',
      }
      await must('create -f -', { stdin: JSON.stringify(event) })
      expect(await must('describe bgppeers peer')).toMatch(/Warning\s+FailedEstablish\s.*connection refused/)
      await must('edit bgppeer peer', { env: { EDITOR: 'sed -i s/65001/65009/' } })
      expect(await must('get bgppeer peer -o jsonpath={.spec.peerAsNumber},{.metadata.generation}')).toBe('65009,2')
      expect(await must('explain bgppeer.spec.localAsNumber')).toContain('localAsNumber <integer>')
      expect(await must('delete bgppeer peer')).toContain('deleted')
      expect((await kubectl('get bgppeer peer')).stderr).toContain('NotFound')
    },
    300_000,
  )

  kubectlTest(
    'creates secrets and namespaces, and labels, patches and waits for nodes',
    async () => {
      await must('create secret generic lab-secret -n kube-system --from-literal=password=mySecretValue')
      expect(await must('get secret lab-secret -n kube-system -o jsonpath={.data.password}')).toBe(
        'bXlTZWNyZXRWYWx1ZQ==',
      )
      await must('create namespace extra')
      await must('create configmap -n extra map --from-literal=a=b')
      await must('delete namespace extra')
      expect((await kubectl('get configmap -n extra map')).status).toBe(1)
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } }
      await must('create -f -', { stdin: JSON.stringify(node) })
      await must('label node node-1 alibabacloud.com/nodepool-id=npxxx')
      const patch =
        '{"status":{"addresses":[{"type":"InternalIP","address":"172.16.0.11"}],"conditions":[{"type":"Ready","status":"True"}]}}'
      await must(`patch node node-1 --subresource=status --type=merge -p ${patch}`)
      await must('wait --for=condition=Ready node/node-1 --timeout=10s')
      const [, row] = (await must('get nodes -o wide -l alibabacloud.com/nodepool-id=npxxx')).split('\n')
      expect(row).toMatch(/^node-1\s+Ready\s+<none>\s+\d+s\s+172\.16\.0\.11/)
      expect(await must('describe node node-1')).toContain('InternalIP:  172.16.0.11')
    },
    300_000,
  )

  kubectlTest(
    'server-side apply tells of conflicts',
    async () => {
      const map = (value: string) =>
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'ssa', namespace: 'default' },
          data: { value },
        })
      await must('apply --server-side --field-manager=one -f -', { stdin: map('1') })
      const refused = await kubectl('apply --server-side --field-manager=two -f -', { stdin: map('2') })
      expect(refused.stderr).toContain('conflict with "one"')
      await must('apply --server-side --field-manager=two --force-conflicts -f -', { stdin: map('2') })
      expect(await must('get configmap ssa -o jsonpath={.data.value}')).toBe('2')
    },
    300_000,
  )
})
