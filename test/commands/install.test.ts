/** `install` and `uninstall` of a compiled executable, below a folder that stands for a machine's file system. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { run } from '../support/namespaces.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-install-'))
const executable = join(folder, 'terway-edge')

beforeAll(() => {
  const flags = [
    '--compile',
    '--format=esm',
    '--splitting',
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
  ]
  run([process.execPath, 'build', ...flags, resolve('src/main.ts'), '--outfile', executable])
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true }))

function machine(name: string): { root: string; plugin: (name: string) => string } {
  const root = join(folder, name)
  mkdirSync(root)
  return { root, plugin: plugin => join(root, 'opt/cni/bin', plugin) }
}

test('both names of the CNI plugin are links to the executable, and go with it', () => {
  const { root, plugin } = machine('fresh')
  run([executable, 'install', '--root', root, '--no-start'])
  expect(['terway-edge', 'loopback'].map(name => readlinkSync(plugin(name)))).toEqual([
    '/usr/local/bin/terway-edge',
    '/usr/local/bin/terway-edge',
  ])
  expect(run([executable, 'install', '--root', root, '--no-start']).stdout).not.toContain('(written)')
  run([executable, 'uninstall', '--root', root])
  expect(
    [plugin('terway-edge'), plugin('loopback'), join(root, 'usr/local/bin/terway-edge')].filter(existsSync),
  ).toEqual([])
})

test('a kubeconfig that cannot work replaces none that does', () => {
  const { root } = machine('kubeconfig')
  const good = join(folder, 'good.kubeconfig')
  const cluster = { name: 'c', cluster: { server: 'https://127.0.0.1:1' } }
  const context = { name: 'x', context: { cluster: 'c' } }
  writeFileSync(
    good,
    JSON.stringify({ kind: 'Config', clusters: [cluster], contexts: [context], 'current-context': 'x' }),
  )
  const bad = join(folder, 'bad.kubeconfig')
  writeFileSync(bad, 'root:x:0:0:root:/root:/bin/bash')
  run([executable, 'install', '--root', root, '--no-start', '--kubeconfig', good])
  const refused = run([executable, 'install', '--root', root, '--no-start', '--kubeconfig', bad], { mayFail: true })
  expect(refused).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('bad.kubeconfig: it is not a kubeconfig'),
  })
  expect(readFileSync(join(root, 'etc/terway-edge/kubeconfig'), 'utf8')).toBe(readFileSync(good, 'utf8'))
  const gone = run([executable, 'uninstall', '--root', root]).stdout
  expect(gone).toContain(`kept: ${root}/etc/terway-edge/config.yaml, ${root}/etc/terway-edge/kubeconfig (`)
})

test('the unit lets the service write the folders that its configuration names', () => {
  const { root } = machine('with-folders')
  mkdirSync(join(root, 'etc/terway-edge'), { recursive: true })
  writeFileSync(
    join(root, 'etc/terway-edge/config.yaml'),
    JSON.stringify({ state: '/srv/100% "state"', cni: { confDir: '/srv/net.d' } }),
  )
  run([executable, 'install', '--root', root, '--no-start'])
  const unit = (name: string) => readFileSync(join(root, 'etc/systemd/system', name), 'utf8')
  const state = '\nReadWritePaths=/proc/sys/net "-/srv/100%% \\"state\\""'
  expect(unit('terway-edge.service')).toContain(`${state} "-/srv/net.d"\n`)
  expect(unit('terway-edge-cni.service')).toContain(`${state}\n`)
  expect([join(root, 'srv/100% "state"'), join(root, 'srv/net.d')].every(folder => existsSync(folder))).toBe(true)
})

test('a configuration that names what is hidden from the services is refused before anything is done', () => {
  const { root } = machine('with-hidden-folders')
  mkdirSync(join(root, 'etc/terway-edge'), { recursive: true })
  const file = join(root, 'etc/terway-edge/config.yaml')
  const cni = { confDir: 'net.d', binDir: '/var/tmp/../tmp/bin' }
  writeFileSync(file, JSON.stringify({ state: '/tmp/te', kubeconfig: '/root/.kube/config', cni }))
  const refused = run([executable, 'install', '--root', root, '--no-start'], { mayFail: true })
  expect(refused.status).toBe(2)
  const outside = (folder: string) => `the services see nothing of ${folder}: name a place outside of it`
  expect(refused.stderr.trim().split('\n').slice(1)).toEqual([
    `  state: ${outside('/tmp')}`,
    '  cni.confDir: net.d is nowhere for a service: begin it with /',
    `  cni.binDir: ${outside('/var/tmp')}`,
    `  kubeconfig: ${outside('/root')}`,
  ])
  expect(existsSync(join(root, 'usr'))).toBe(false)
  writeFileSync(file, JSON.stringify({ state: '/tmpfs/te', kubeconfig: '/homely/config' }))
  const { stdout } = run([executable, 'install', '--root', root, '--no-start'])
  expect(stdout).toContain(`systemctl --root=${root} enable terway-edge terway-edge-cni\n`)
})

test("the loopback of the CNI project's package stays", () => {
  const { root, plugin } = machine('with-plugins')
  mkdirSync(join(root, 'opt/cni/bin'), { recursive: true })
  writeFileSync(plugin('loopback'), 'of the package')
  run([executable, 'install', '--root', root, '--no-start'])
  run([executable, 'uninstall', '--root', root])
  expect([existsSync(plugin('terway-edge')), existsSync(plugin('loopback'))]).toEqual([false, true])
})
