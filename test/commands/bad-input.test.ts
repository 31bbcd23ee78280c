/**
 * Each wrong input: one clear message, the right exit status, nothing left behind. The program is
 * run as a user runs it.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bad-input-'))
const state = join(folder, 'state')
const nowhere = join(folder, 'nowhere.kubeconfig')
const controller = ['controller', '--config', join(folder, 'controller.yaml'), '--kubeconfig', nowhere]
beforeAll(() => {
  writeFileSync(nowhere, kubeconfigText('http://127.0.0.1:1'))
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
    args: [...controller, '--status-listen', '0.0.0.0:0'],
    status: 2,
    says: ['status.tokenFile'],
  },
  {
    name: 'a controller without pools',
    args: ['controller', '--kubeconfig', nowhere],
    status: 2,
    says: ['network.podCIDRs: is empty', 'network.edgeNodes: is required'],
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
    name: 'a time to wait that is none',
    args: ['drain', '--state', state, '--timeout', 'soon'],
    status: 2,
    says: ['--timeout soon: write a number of seconds'],
  },
  {
    name: 'an unknown option in place of a command',
    args: ['--frob'],
    status: 2,
    says: ['there is no option "--frob"'],
  },
  { name: 'help about an unknown command', args: ['help', 'frob'], status: 2, says: ['there is no command "frob"'] },
  {
    name: 'a server that is no URL',
    args: ['kubeconfig', '--node', 'edge-1', '--kubeconfig', nowhere, '--server', 'api.example'],
    status: 2,
    says: ['--server: api.example: write a URL'],
  },
  { name: 'an image without a name', args: ['manifests', '--image', ''], status: 2, says: ['--image: name the image'] },
  {
    name: 'a capture that is not there',
    args: ['bgp', 'decode', '--pcap', join(folder, 'none.pcap')],
    status: 1,
    says: ['cannot read the capture'],
  },
  {
    name: 'an impossible Secret name',
    args: ['manifests', '--bgp-secret', 'A b'],
    status: 2,
    says: ['is not the name of a Secret'],
  },
]

for (const { name, args, status, says } of cases) {
  test(`${name} ends with status ${status} and a message without a stack trace`, async () => {
    writeFileSync(join(folder, 'controller.yaml'), 'network: {podCIDRs: [10.0.0.0/8], edgeNodes: all()}')
    const done = await terwayEdge(args)
    expect([done.status, done.stderr]).toEqual([status, done.stderr])
    for (const part of says) expect(done.stderr).toContain(part)
    expect(done.stderr).not.toMatch(/^\s+at /m)
    expect(existsSync(state)).toBe(false)
  })
}

test('help COMMAND is COMMAND --help, and -v is the version', async () => {
  for (const words of [['drain'], ['bgp', 'decode'], ['cni']]) {
    const asked = await terwayEdge(['help', ...words])
    expect(asked).toEqual(await terwayEdge([...words, '--help']))
    expect([asked.status, asked.stdout]).toEqual([0, expect.stringContaining(`Usage: terway-edge ${words.join(' ')}`)])
  }
  expect((await terwayEdge(['-v'])).stdout).toStartWith('terway-edge ')
})

/** Runs a shell's line in which `te` is the program; the exit statuses of its pipeline. */
async function pipeline(line: string): Promise<{ statuses: string; stderr: string }> {
  const script = `te() { ${process.execPath} src/main.ts "$@"; }; ${line}; echo "\${PIPESTATUS[@]}" >&3`
  const child = Bun.spawn(['bash', '-c', `${script}`], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], timeout: 20_000 })
  const [stderr, statuses] = await Promise.all([
    child.stderr.text(),
    Bun.file(child.stdio[3] ?? -1).text(),
    child.exited,
  ])
  return { statuses: statuses.trim(), stderr }
}

test('a reader of stdout that goes away is no failure; a full disk is one, in a line', async () => {
  expect(await pipeline('te manifests --part crds | true')).toEqual({ statuses: '0 0', stderr: '' })
  for (const words of ['manifests --part crds', 'config', 'help']) {
    const { statuses, stderr } = await pipeline(`te ${words} >/dev/full`)
    expect([statuses, stderr]).toEqual([
      '1',
      expect.stringMatching(/^terway-edge \w+: cannot write to stdout: ENOSPC.*\n$/),
    ])
  }
})

test('a folder that cannot be entered is named, and what goes with no plugin alone is refused', async () => {
  const missing = await terwayEdge(['node', '--chroot', join(folder, 'nowhere')])
  expect([missing.status, missing.stderr]).toEqual([2, expect.stringMatching(/--chroot .*nowhere: .*CAP_SYS_CHROOT/)])
  const both = await terwayEdge(['install', '--plugin-only', '--controller', '--dry-run'])
  expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('--plugin-only goes with neither')])
})

test('a port in use is named', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    writeFileSync(join(folder, 'controller.yaml'), 'network: {podCIDRs: [10.0.0.0/8], edgeNodes: all()}')
    const done = await terwayEdge([...controller, '--status-listen', `127.0.0.1:${port}`])
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
    const words = [...node, '--kubeconfig', nowhere, '--node', 'n1']
    const child = Bun.spawn(['unshare', '--net', '--', process.execPath, 'src/main.ts', ...words], { stderr: 'pipe' })
    let stderr = ''
    const read = (async () => {
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) stderr += chunk
    })()
    await eventually('it says that nobody answers', () => stderr.split('does not answer').length > 2)
    await Bun.sleep(1500) // in which it tries again, and says nothing
    child.kill('SIGTERM')
    const [status] = await Promise.all([child.exited, read])
    if (status !== 0) throw new Error(`exit status ${status}: ${stderr}`)
    const lines = stderr
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { msg: string; name?: string; reason?: string })
    expect(lines[0]).toMatchObject({ msg: 'terway-edge started', command: 'node' })
    const unanswered = lines.filter(({ reason }) => reason?.includes('does not answer'))
    expect(unanswered.map(({ name }) => name?.split(' ').at(-1)).sort()).toEqual([
      'bgppeers',
      'eninodes',
      'routeslices',
    ])
    expect(lines.length).toBeLessThan(12)
    expect(existsSync(join(state, 'process.json'))).toBe(false)
    rmSync(state, { recursive: true, force: true })
  },
)
