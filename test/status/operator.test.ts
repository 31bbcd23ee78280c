/**
 * The operator's hand beside plain lists: other outputs, what differs, watching, a terminal's width
 * and colours, a live trace, and completion in a real bash.
 */
import { afterAll, afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { traceText } from '../../src/commands/trace.ts'
import { silentLog } from '../../src/lib/log.ts'
import type { TraceLine } from '../../src/model/session.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { type StatusServer, startStatusServer } from '../../src/status/server.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { controllerSnapshot, nodeSnapshot, SampleSource } from './sample.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-operator-'))
const open: StatusServer[] = []
const children: Bun.Subprocess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const server of open.splice(0)) await server.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

const MAIN = join(import.meta.dir, '../../src/main.ts')

function serve(source: SampleSource, trace?: Parameters<typeof startStatusServer>[0]['trace']): string {
  const server = startStatusServer({ ...source, listen: '127.0.0.1:0', log: silentLog, trace })
  open.push(server)
  return `127.0.0.1:${server.port}`
}

async function said(
  snapshot: Snapshot,
  ...args: string[]
): Promise<{ stdout: string; status: number; stderr: string }> {
  const address = serve(new SampleSource(snapshot))
  const child = Bun.spawn([process.execPath, MAIN, ...args, '--address', address], { stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { stdout, stderr, status }
}

test('names and YAML', async () => {
  expect((await said(controllerSnapshot(), 'peers', '-o', 'name')).stdout).toBe('lan-a/edge-1\nlan-b/edge-3\n')
  expect((await said(controllerSnapshot(), 'nodes', '-o', 'name')).stdout).toBe('edge-1\nedge-2\nedge-3\n')
  const yaml = await said(controllerSnapshot(), 'peers', '-o', 'yaml')
  expect(Bun.YAML.parse(yaml.stdout)).toEqual(controllerSnapshot().sessions as unknown as object)
})

test('events, and what differs of the routes', async () => {
  expect((await said(controllerSnapshot(), 'events')).stdout).toContain('FailedEstablish   BGPPeer/lan-b')
  const diff = await said(nodeSnapshot(), 'routes', '--diff')
  expect([diff.status, diff.stdout.split('\n').length]).toEqual([1, 3])
  expect(diff.stdout).toContain('10.0.1.0/25')
  const routes = nodeSnapshot().routes.filter(({ state }) => state === 'present')
  const same = await said(nodeSnapshot({ routes }), 'routes', '--diff')
  expect(same).toEqual({ status: 0, stdout: '', stderr: 'All 1 routes are as wanted, and packets take them.\n' })
  const astray = routes.map(route => ({ ...route, problem: 'packets go another way' }))
  expect((await said(nodeSnapshot({ routes: astray }), 'routes', '--diff')).status).toBe(1)
})

test('the history of a session, and since when it is not up', async () => {
  const [session] = controllerSnapshot().sessions
  if (session === undefined) throw new Error('no session')
  const history = [
    { time: '2026-03-01T11:50:00Z', what: 'failed', reason: 'refused', times: 3, lastTime: '2026-03-01T11:59:00Z' },
    { time: '2026-03-01T11:40:00Z', what: 'down', reason: 'hold timer expired', notification: 'sent', times: 1 },
  ] as const
  const down = { ...session, state: 'Active', since: '2026-03-01T11:40:00Z', lastUp: '2026-03-01T11:40:00Z', history }
  const notifications = [{ direction: 'received', code: 6, subcode: 2, count: 2 }] as const
  const { stdout } = await said(nodeSnapshot({ sessions: [{ ...down, notifications }] }), 'peers', 'lan-a')
  expect(stdout).toContain('Active, not up for 20m, last up 20m ago')
  expect(stdout).toMatch(/History +10m ago failed 3 times, last 60s ago ago: refused|History +10m ago failed 3 times/)
  expect(stdout).toContain('20m ago went down: hold timer expired')
  expect(stdout).toContain('2 received: Cease/2')
})

test('--watch prints again what has changed, and only that', async () => {
  const source = new SampleSource(nodeSnapshot())
  const address = serve(source)
  const child = Bun.spawn([process.execPath, MAIN, 'routes', '--watch', '--address', address], { stdout: 'pipe' })
  children.push(child)
  let text = ''
  void (async () => {
    for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk)
  })()
  await eventually('the first table', () => text.includes('failed'))
  source.change(nodeSnapshot({ routes: nodeSnapshot().routes.filter(({ state }) => state === 'present') }))
  await eventually('the second table', () => text.split('DESTINATION').length === 3)
  expect(text.split('DESTINATION').at(-1)).not.toContain('failed')
})

testNeeding('script')('on a terminal a table fits and has colours; NO_COLOR and pipes have none', async () => {
  const long = 'connection refused: '.repeat(20)
  const sessions = controllerSnapshot().sessions.map(session => ({ ...session, lastError: long }))
  const address = serve(new SampleSource(controllerSnapshot({ sessions })))
  const onTerminal = async (environment: string) => {
    const command = `stty cols 130; ${environment} ${process.execPath} ${MAIN} peers --address ${address}`
    const child = Bun.spawn(['script', '-qec', command, '/dev/null'], { stdout: 'pipe', stdin: 'ignore' })
    await child.exited
    return child.stdout.text()
  }
  const coloured = await onTerminal('TERM=xterm NO_COLOR=')
  expect(coloured).toContain('\x1b[32mEstablished\x1b[39m')
  expect(coloured).toContain('\x1b[31mActive')
  expect(coloured).toContain('…')
  const plain = await onTerminal('NO_COLOR=1')
  expect(plain).not.toContain('\x1b[3')
  for (const line of plain.split(/\r?\n/)) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(130)
})

test('a trace of a session: every message as it comes, until the reader goes', async () => {
  const listeners = new Set<(line: TraceLine) => void>()
  const address = serve(new SampleSource(nodeSnapshot()), (name, listener) => {
    if (name !== 'lan-a') return undefined
    listeners.add(listener)
    return () => listeners.delete(listener)
  })
  const child = Bun.spawn([process.execPath, MAIN, 'peers', 'lan-a', 'trace', '--address', address], { stdout: 'pipe' })
  children.push(child)
  let text = ''
  void (async () => {
    for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk)
  })()
  await eventually('somebody listens', () => listeners.size === 1)
  const time = '2026-03-01T12:00:00Z'
  for (const listener of listeners) listener({ time, direction: 'sent', type: 'KEEPALIVE', outcome: 'ok' })
  await eventually('the message', () => text === '2026-03-01T12:00:00Z  sent      KEEPALIVE\n')
  child.kill('SIGKILL')
  await eventually('nobody listens', () => {
    for (const listener of listeners) listener({ time, direction: 'sent', type: 'KEEPALIVE', outcome: 'ok' })
    return listeners.size === 0
  })
  const unknown = await said(nodeSnapshot(), 'peers', 'lan-x', 'trace')
  expect([unknown.status, unknown.stderr.includes('404')]).toEqual([1, true])
})

test('the words of a trace', () => {
  const line = { time: 'T', direction: 'received' } as const
  const update = { type: 'UPDATE', withdrawn: [], attributes: { NEXT_HOP: '172.16.0.12' }, nlri: ['10.0.2.0/24'] }
  expect(traceText({ ...line, ...update, outcome: 'ok' })).toBe(
    'T  received  UPDATE         10.0.2.0/24 via 172.16.0.12',
  )
  expect(traceText({ ...line, type: 'UPDATE', withdrawn: [], attributes: {}, nlri: [] })).toEndWith('End-of-RIB')
  expect(traceText({ ...line, type: 'NOTIFICATION', text: 'Cease\u001b[2J' })).toEndWith('Cease\\x1b[2J')
  expect(traceText({ missed: 7 })).toContain('7 messages were not shown')
})

test('completion of commands, options, their values and names of BGPPeers, in bash', async () => {
  const bin = join(folder, 'terway-edge')
  const address = serve(new SampleSource(controllerSnapshot()))
  writeFileSync(bin, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@" --address ${address}\n`, { mode: 0o755 })
  const script = Bun.spawnSync([process.execPath, MAIN, 'completion', 'bash']).stdout.toString()
  writeFileSync(join(folder, 'completion.bash'), script)
  const complete = async (...words: string[]) => {
    const array = words.map(word => `'${word}'`).join(' ')
    const run = `source ${folder}/completion.bash; COMP_WORDS=(terway-edge ${array}); COMP_CWORD=${words.length}; _terway_edge; printf '%s\\n' "\${COMPREPLY[@]}"`
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` }
    const child = Bun.spawn(['bash', '-c', run], { env, stdout: 'pipe', stderr: 'pipe' })
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
    expect(stderr).toBe('')
    return stdout.split('\n').filter(Boolean).sort()
  }
  expect(await complete('st')).toEqual(['status'])
  expect(await complete('peers', '--ou')).toEqual(['--output'])
  expect(await complete('peers', '-o', '')).toEqual(['json', 'name', 'table', 'wide', 'yaml'])
  expect(await complete('peers', '')).toEqual(['lan-a', 'lan-b'])
  expect(await complete('peers', '-o', 'json', '')).toEqual(['lan-a', 'lan-b'])
  expect(await complete('peers', '--watch', 'lan-a', '-o', 'json', 'ad')).toEqual(['advertised'])
  expect(await complete('node', '--log-level', 'd')).toEqual(['debug'])
  expect(await complete('manifests', '--part', 'r')).toEqual(['ram-policy', 'rbac'])
  expect(await complete('switch-config', 'peer', '--vendor', 'f')).toEqual(['frr'])
  expect(await complete('peers', 'lan-a', 'tr')).toEqual(['trace'])
  expect(await complete('completion', '')).toEqual(['bash', 'fish', 'zsh'])
  expect(await complete('routes', '--')).toContain('--diff')
}, 300_000)

for (const shell of ['zsh', 'fish']) {
  test(`completion for ${shell} names every command and option`, () => {
    const script = Bun.spawnSync([process.execPath, MAIN, 'completion', shell]).stdout.toString()
    for (const word of ['status', 'routes', 'diff', 'kubeconfig', 'trace', 'table']) expect(script).toContain(word)
    // both quote as sh does
    expect(Bun.spawnSync(['bash', '-c', `: ${script.match(/'[^']*'/g)?.join(' ')}`]).exitCode).toBe(0)
  })
}
