/** `install` and `uninstall` of a compiled executable, below a folder that stands for a machine's file system. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
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

test("the loopback of the CNI project's package stays", () => {
  const { root, plugin } = machine('with-plugins')
  mkdirSync(join(root, 'opt/cni/bin'), { recursive: true })
  writeFileSync(plugin('loopback'), 'of the package')
  run([executable, 'install', '--root', root, '--no-start'])
  run([executable, 'uninstall', '--root', root])
  expect([existsSync(plugin('terway-edge')), existsSync(plugin('loopback'))]).toEqual([false, true])
})
