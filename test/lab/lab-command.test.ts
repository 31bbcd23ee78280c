/**
 * `terway-edge lab` on the command line: help, wrong usage, what is missing. Exit statuses 0, 1, 2.
 */
import { afterAll, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { requirePrograms } from '../../src/lab/run.ts'
import { testNeeding } from '../support/requires.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-lab-command-'))
chmodSync(folder, 0o777)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function lab(words: readonly string[], before: readonly string[] = []) {
  const command = [...before, process.execPath, resolve('src/main.ts'), 'lab', ...words]
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  return { status: exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

describe('help', () => {
  for (const words of [[], ['up'], ['status'], ['check'], ['exec'], ['kubectl'], ['down'], ['api']]) {
    test(`lab ${[...words, '--help'].join(' ')}`, () => {
      const { status, stdout } = lab([...words, '--help'])
      expect(status).toBe(0)
      expect(stdout).toContain('Examples:')
    })
  }
})

describe('wrong usage is exit status 2 with what to do', () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['dance'], 'lab --help'],
    [['up', '--switch', 'cisco'], '--switch'],
    [['up', '--nodes', 'a,b,c'], 'an even number'],
    [['up', '--port', '99999', '--dir', join(folder, 'x')], '--port'],
    [['up', '--kubeconfig', '/no/such/file', '--dir', join(folder, 'x')], 'cannot use the kubeconfig /no/such/file'],
    [['exec', 'node-1'], 'command'],
    [['api', '--listen', '127.0.0.1:x'], 'not a port'],
  ]
  for (const [words, text] of cases) {
    testNeeding('root', 'bird')(`lab ${words.join(' ')}`, () => {
      const { status, stderr } = lab(words)
      expect({ status, said: stderr.includes(text), stderr }).toEqual({ status: 2, said: true, stderr })
      expect(existsSync(join(folder, 'x'))).toBe(false)
    })
  }
})

describe('what is missing is said in one line', () => {
  test('programs, with the packages that have them', () => {
    expect(() => requirePrograms(['ip-that-is-not-there'])).toThrow('apt-get install')
    expect(() => requirePrograms(['sh'])).not.toThrow()
  })
  testNeeding('root', 'setpriv')('root', () => {
    const { status, stderr } = lab(['up', '--dir', join(folder, 'lab')], ['setpriv', '--reuid=65534', '--clear-groups'])
    expect(status).toBe(1)
    expect(stderr).toContain('run it with sudo')
  })
  test('a lab', () => {
    const { status, stderr } = lab(['exec', '--dir', join(folder, 'none'), 'node-1', '--', 'true'])
    expect(status).toBe(1)
    expect(stderr).toMatch(/there is no lab|run it with sudo/)
  })
})
