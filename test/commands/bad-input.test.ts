/** Each wrong input: one clear message, the right exit status, nothing left behind. The program is run as a user runs it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testNeeding } from '../support/requires.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bad-input-'))
const state = join(folder, 'state')
const nowhere = join(folder, 'nowhere.kubeconfig')
beforeAll(() => {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
  writeFileSync(nowhere, JSON.stringify(config))
  writeFileSync(join(folder, 'unknown-key.yaml'), 'netwrok: {}\nroute: {protocol: 2}\n')
  writeFileSync(join(folder, 'broken.kubeconfig'), '{a')
})
afterAll(() => rmSync(folder, { recursive: true }))

async function terwayEdge(
  args: readonly string[],
  wrapper: readonly string[] = [],
): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...wrapper, process.execPath, 'src/main.ts', ...args], {
    stdout: 'pipe',
    stderr: 'pipe',
    stdin: 'ignore',
    timeout: 20_000,
  })
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { status, stdout, stderr }
}

const node = ['node', '--state', state, '--status-listen', '127.0.0.1:0']

const cases: { name: string; args: string[]; status: number; says: string[] }[] = [
  { name: 'no command', args: [], status: 2, says: [] },
  { name: 'an unknown command', args: ['frob'], status: 2, says: ['there is no command "frob"', '--help'] },
  { name: 'an unknown option', args: ['node', '--frob'], status: 2, says: ["unknown option '--frob'"] },
  {
    name: 'a configuration with problems',
    args: ['node', '--config', join(folder, 'unknown-key.yaml')],
    status: 2,
    says: ['has 2 problems', 'netwrok: unknown key', 'route.protocol: '],
  },
  {
    name: 'a configuration that is not there',
    args: ['node', '--config', join(folder, 'none.yaml')],
    status: 2,
    says: ['cannot read the configuration file'],
  },
  {
    name: 'a broken kubeconfig',
    args: [...node, '--kubeconfig', join(folder, 'broken.kubeconfig')],
    status: 2,
    says: ['broken.kubeconfig', 'not YAML'],
  },
  {
    name: 'a kubeconfig that is not there',
    args: [...node, '--kubeconfig', join(folder, 'none')],
    status: 2,
    says: ['there is no such file'],
  },
  { name: 'no API server at all', args: node, status: 2, says: ['--kubeconfig FILE'] },
  {
    name: 'a status address that the network reaches, without protection',
    args: [
      'controller',
      '--config',
      join(folder, 'controller.yaml'),
      '--kubeconfig',
      nowhere,
      '--status-listen',
      '0.0.0.0:0',
    ],
    status: 2,
    says: ['status.tokenFile'],
  },
  {
    name: 'a controller without pools',
    args: ['controller', '--kubeconfig', nowhere],
    status: 2,
    says: ['network.podCIDRs is empty'],
  },
  {
    name: 'a page that nobody serves',
    args: ['status', '--address', 'http://127.0.0.1:1'],
    status: 1,
    says: ['no terway-edge answers', 'systemctl status'],
  },
  {
    name: 'draining what does not run',
    args: ['drain', '--state', state],
    status: 1,
    says: ['no terway-edge works with'],
  },
  {
    name: 'an impossible Secret name',
    args: ['manifests', '--bgp-secret', 'A b'],
    status: 2,
    says: ['not a name of a Secret'],
  },
]

for (const { name, args, status, says } of cases) {
  test(`${name} ends with status ${status} and a message without a stack trace`, async () => {
    writeFileSync(join(folder, 'controller.yaml'), 'network: {podCIDRs: [10.0.0.0/8]}')
    const done = await terwayEdge(args)
    expect([done.status, done.stderr]).toEqual([status, done.stderr])
    for (const part of says) expect(done.stderr).toContain(part)
    expect(done.stderr).not.toMatch(/^\s+at /m)
    expect(existsSync(state)).toBe(false)
  })
}

test('a port in use is named', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    writeFileSync(join(folder, 'controller.yaml'), 'network: {podCIDRs: [10.0.0.0/8]}')
    const done = await terwayEdge([
      'controller',
      '--config',
      join(folder, 'controller.yaml'),
      '--kubeconfig',
      nowhere,
      '--status-listen',
      `127.0.0.1:${port}`,
    ])
    expect(done.status).toBe(1)
    expect(done.stderr).toContain(String(port))
    expect(done.stderr).toContain('in use')
  } finally {
    server.close()
  }
})

testNeeding('root', 'setpriv')('missing rights are named before anything is done', async () => {
  const done = await terwayEdge(
    [...node, '--kubeconfig', nowhere],
    ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
  )
  expect([done.status, done.stderr]).toEqual([1, expect.stringContaining('needs CAP_NET_ADMIN')])
  expect(existsSync(state)).toBe(false)
})

testNeeding('root', 'unshare')(
  'a node that cannot reach the API server goes on, says so once, and ends cleanly',
  async () => {
    const child = Bun.spawn(
      [
        'unshare',
        '--net',
        '--',
        'timeout',
        '--preserve-status',
        '-s',
        'TERM',
        '3',
        process.execPath,
        'src/main.ts',
        ...node,
        '--kubeconfig',
        nowhere,
        '--node',
        'n1',
      ],
      {
        stdout: 'pipe',
        stderr: 'pipe',
      },
    )
    const [stderr, status] = await Promise.all([child.stderr.text(), child.exited])
    expect(status).toBe(0)
    const lines = stderr
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { msg: string; reason?: string })
    expect(lines[0]).toMatchObject({ msg: 'terway-edge started', command: 'node' })
    expect(lines.filter(({ reason }) => reason?.includes('does not answer')).length).toBeGreaterThan(0)
    expect(lines.length).toBeLessThan(12)
    expect(existsSync(join(state, 'process.json'))).toBe(false)
    rmSync(state, { recursive: true, force: true })
  },
)
