/**
 * `terway-edge switch-config` as an operator calls it: from a file, passwords hidden, what is
 * missing is asked for, `--verify`.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VENDORS } from '../../src/planner/vendors/vendors.ts'
import { DOCUMENT } from '../planner/networks.ts'
import { run } from '../support/namespaces.ts'
import { PASSWORD, USER_DOCUMENT } from '../support/user-document.ts'

const folder = mkdtempSync(join(tmpdir(), 'switch-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const BGPPEER = file('bgppeer.yaml', USER_DOCUMENT)
const SPEAKERS = ['--speaker', 'node-1=172.16.0.11', 'node-2=172.16.0.12']

function switchConfig(args: readonly string[], stdin?: string) {
  const command = [process.execPath, 'src/main.ts', 'switch-config', ...args]
  return run(command, { mayFail: true, ...(stdin !== undefined && { stdin }) })
}

test("the user's own file, for every vendor: speakers, AS numbers, the pools with the nodes' mask; the password is a placeholder", () => {
  const network = file('network.yaml', DOCUMENT)
  for (const { name } of VENDORS) {
    const { status, stdout, stderr } = switchConfig([
      '--file',
      BGPPEER,
      '--network',
      network,
      ...SPEAKERS,
      '--vendor',
      name,
    ])
    expect({ name, status, stderr }).toEqual({ name, status: 0, stderr: '' })
    for (const part of [
      '172.16.0.11',
      '172.16.0.12',
      '65010',
      '65001',
      '10.0.0.0',
      '25',
      'REPLACE-WITH-THE-PASSWORD',
      'To look:',
      'To take all of it back:',
    ])
      expect(stdout, `${name}: ${part}`).toContain(part)
    expect(stdout).not.toContain(PASSWORD)
    expect(stdout).toContain('120') // 40 nodes and 10 more each year: 90 in five, and a quarter
  }
}, 300_000)

test('the password only when asked for', () => {
  const args = ['--file', BGPPEER, '--pods', '10.0.0.0/8', ...SPEAKERS, '--vendor', 'frr']
  expect(switchConfig([...args, '--password']).stdout).toContain(`password ${PASSWORD}\n`)
  const path = file('password', 'other\n')
  expect(switchConfig([...args, '--password-file', path]).stdout).toContain('password other\n')
})

test('what is missing is asked for, with the flag that gives it: exit status 2', () => {
  const args = ['--file', BGPPEER, '--vendor', 'frr']
  expect(switchConfig([...args, '--pods', '10.0.0.0/8'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('--speaker node-1=ADDRESS --speaker node-2=ADDRESS'),
  })
  expect(switchConfig([...args, ...SPEAKERS])).toMatchObject({ status: 2, stderr: expect.stringContaining('--pods') })
  expect(switchConfig(['--file', BGPPEER])).toMatchObject({ status: 2, stderr: expect.stringContaining('--vendor') })
  expect(switchConfig([...args, '--vendor', 'acme'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('Allowed choices are frr'),
  })
  expect(switchConfig([...args, 'another'])).toMatchObject({ status: 2, stderr: expect.stringContaining('peer') })
  const bad = file('bad.yaml', USER_DOCUMENT.replace('65001', '65535'))
  expect(switchConfig(['--file', bad, '--vendor', 'frr'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('peerAsNumber'),
  })
})

test('a password that would end the line of a switch is not printed', () => {
  const path = file('evil', 'a" b\nno router bgp')
  const args = ['--file', BGPPEER, '--pods', '10.0.0.0/8', ...SPEAKERS, '--vendor', 'bird', '--password-file', path]
  expect(switchConfig(args)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('by hand') })
})

test('--verify: 0 for its own output, 3 with a table of what is missing', () => {
  const args = ['--file', BGPPEER, '--pods', '10.0.0.0/8', ...SPEAKERS, '--vendor', 'frr']
  const { stdout } = switchConfig(args)
  expect(switchConfig([...args, '--verify', '-'], stdout)).toMatchObject({
    status: 0,
    stdout: 'The switch is configured for BGPPeer peer.\n',
  })
  const verdict = switchConfig([...args, '--verify', '-'], stdout.replace(/^.*172\.16\.0\.12.*$/gm, ''))
  expect(verdict.status).toBe(3)
  expect(verdict.stdout).toMatch(/^neighbour 172\.16\.0\.12 \(node-2\) +missing +the neighbour is not there/m)
  const json = JSON.parse(switchConfig([...args, '--verify', '-', '-o', 'json'], '').stdout)
  expect(json).toMatchObject({ ok: false })
})

test('--list names every vendor and says honestly how it was tested', () => {
  const { stdout } = switchConfig(['--list'])
  for (const { name, ranWith } of VENDORS)
    expect(stdout).toMatch(new RegExp(`^${name} .*${ranWith ?? 'not run on a device'}`, 'm'))
})
