/**
 * `install` and `uninstall` of a compiled executable, below a folder that stands for a machine's
 * file system.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
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
  run([process.execPath, 'build', ...flags, resolve('src/main.ts'), '--outfile', executable], {
    timeoutMilliseconds: 180_000,
  })
}, 300_000)

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

test('a dry run says what would change, and changes nothing', () => {
  const { root } = machine('dry')
  const said = run([executable, 'install', '--root', root, '--dry-run']).stdout
  expect(said).toContain(`executable     ${root}/usr/local/bin/terway-edge (would be written)\n`)
  expect(said).toContain(`unit           ${root}/etc/systemd/system/terway-edge-cni.service (would be written)\n`)
  expect(readdirSync(root)).toEqual([])
  run([executable, 'install', '--root', root, '--no-start'])
  expect(run([executable, 'install', '--root', root, '--dry-run']).stdout).not.toContain('would')
  const before = readdirSync(root, { recursive: true }).sort()
  const gone = run([executable, 'uninstall', '--root', root, '--dry-run', '--purge']).stdout
  expect(gone).toContain(`would remove ${root}/etc/terway-edge\n`)
  expect(readdirSync(root, { recursive: true }).sort()).toEqual(before)
})

test('a configuration that is named replaces what is there, which is kept; a wrong one changes nothing', () => {
  const { root } = machine('named-config')
  const at = (path: string) => join(root, path)
  const file = join(folder, 'shop-7.yaml')
  const install = (mayFail = false) =>
    run([executable, 'install', '--root', root, '--no-start', '--config', file], { mayFail })
  writeFileSync(file, 'kubeconfig: /etc/terway-edge/kubeconfig\nnode: shop-7\n')
  install()
  writeFileSync(file, 'kubeconfig: /etc/terway-edge/kubeconfig\nnode: shop-8\n')
  install()
  expect(readFileSync(at('etc/terway-edge/config.yaml'), 'utf8')).toContain('node: shop-8')
  expect(readFileSync(at('etc/terway-edge/config.yaml.previous'), 'utf8')).toContain('node: shop-7')
  for (const [text, says] of [
    ['nodes: shop-9', 'nodes: unknown key'],
    [
      'node: shop-9',
      'kubeconfig: the configuration names none: add the line "kubeconfig: /etc/terway-edge/kubeconfig"',
    ],
  ] as const) {
    writeFileSync(file, text)
    expect(install(true)).toMatchObject({ status: 2, stderr: expect.stringContaining(says) })
  }
  expect(readFileSync(at('etc/terway-edge/config.yaml'), 'utf8')).toContain('node: shop-8')
})

test('a kubeconfig that names files which do not come along is refused', () => {
  const { root } = machine('with-files')
  const file = join(folder, 'with-files.kubeconfig')
  writeFileSync(join(folder, 'ca.crt'), '-----BEGIN CERTIFICATE-----')
  const cluster = { name: 'c', cluster: { server: 'https://127.0.0.1:1', 'certificate-authority': 'ca.crt' } }
  const context = { name: 'x', context: { cluster: 'c' } }
  writeFileSync(
    file,
    JSON.stringify({ kind: 'Config', clusters: [cluster], contexts: [context], 'current-context': 'x' }),
  )
  const refused = run([executable, 'install', '--root', root, '--no-start', '--kubeconfig', file], { mayFail: true })
  expect(refused.status).toBe(2)
  expect(refused.stderr).toContain('its certificate-authority is the file ca.crt, which the service will not find')
  expect(readdirSync(root)).toEqual([])
})

test('the controller is installed with a unit of its own, and stays when the node goes', () => {
  const { root } = machine('controller')
  const at = (path: string) => join(root, path)
  const config = join(folder, 'controller.yaml')
  const install = (...words: string[]) =>
    run([executable, 'install', '--root', root, '--no-start', ...words], { mayFail: true })
  expect(install('--controller')).toMatchObject({ status: 2, stderr: expect.stringContaining('with --config FILE') })
  writeFileSync(config, 'network: {podCIDRs: []}')
  expect(install('--controller', '--config', config)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('network.podCIDRs: is empty'),
  })
  expect(readdirSync(root)).toEqual([])
  writeFileSync(config, 'network: {podCIDRs: [10.0.0.0/8], edgeNodes: all()}')
  expect(install('--controller', '--config', config)).toMatchObject({ status: 0 })
  install()
  run([executable, 'uninstall', '--root', root, '--purge'])
  expect(
    ['terway-edge.service', 'terway-edge-controller.service'].map(unit => existsSync(at(`etc/systemd/system/${unit}`))),
  ).toEqual([false, true])
  expect(readdirSync(at('etc/terway-edge'))).toEqual(['controller.yaml'])
  expect(existsSync(at('usr/local/bin/terway-edge'))).toBe(true)
  run([executable, 'uninstall', '--root', root, '--controller', '--purge'])
  expect(existsSync(at('etc/terway-edge')) || existsSync(at('usr/local/bin/terway-edge'))).toBe(false)
})

test('the unit lets the service write the folders that its configuration names', () => {
  const { root } = machine('with-folders')
  mkdirSync(join(root, 'etc/terway-edge'), { recursive: true })
  writeFileSync(
    join(root, 'etc/terway-edge/config.yaml'),
    JSON.stringify({
      kubeconfig: '/etc/terway-edge/kubeconfig',
      state: '/srv/100% "state"',
      cni: { confDir: '/srv/net.d' },
    }),
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
