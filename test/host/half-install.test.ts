/**
 * Installations that end half-way, killed between any two steps or without room on the disk: the
 * next one completes them, an older version stays whole, and `uninstall` leaves nothing of either.
 */
import { afterEach, expect } from 'bun:test'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { parseConfig } from '../../src/config/load.ts'
import { carryOut } from '../../src/host/carry-out.ts'
import { pathsToSee, planInstall, type WantedInstall } from '../../src/host/install-plan.ts'
import { EXECUTABLE, NODE_UNIT, PREVIOUS_EXECUTABLE, partOf, UNITS } from '../../src/host/installed-files.ts'
import { lookAt } from '../../src/host/look.ts'
import { sha256 } from '../../src/host/seen-machine.ts'
import { changes, type Step } from '../../src/host/steps.ts'
import { pathsToSeeForUninstall, planUninstall } from '../../src/host/uninstall-plan.ts'
import { run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const test = testNeeding('root', 'systemd-sysusers')
const TEXT = 'kubeconfig: /etc/terway-edge/kubeconfig'
const config = parseConfig(TEXT, 'test')
const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function emptyMachine(): string {
  const folder = mkdtempSync(join(tmpdir(), 'te-half-'))
  folders.push(folder)
  const root = join(folder, 'root')
  mkdirSync(root)
  return root
}

function executable(root: string, content: string): WantedInstall['executable'] {
  const from = join(dirname(root), `${sha256(content).slice(0, 8)}.bin`)
  writeFileSync(from, content)
  return { from, sha256: sha256(content) }
}

function wanted(root: string, content: string): WantedInstall {
  const texts = { configText: TEXT, kubeconfigText: 'a kubeconfig' }
  return { role: 'node', executable: executable(root, content), config, ...texts, start: false, root }
}

function planned(root: string, content = 'one'): readonly Step[] {
  const of = wanted(root, content)
  return planInstall(of, lookAt(root, pathsToSee(of), UNITS)).steps
}

const does = (steps: readonly Step[], root: string) => carryOut(steps, { root, say: () => {} })

/** All that is on the machine but its accounts: each with its mode, owner and content. */
function treeOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !/^etc\/(passwd|group|shadow|gshadow|\.pwd\.lock)-?$/.test(relative(root, path)))
    .map(path => {
      const { mode, uid, gid } = lstatSync(path)
      const link = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : ''
      const content = lstatSync(path).isFile() ? sha256(readFileSync(path)) : link
      return `${relative(root, path)} ${mode.toString(8)} ${uid}:${gid} ${content}`
    })
    .sort()
}

async function uninstalled(root: string): Promise<readonly Step[]> {
  const of = { role: 'node', config, purge: true, root, running: false } as const
  const steps = planUninstall(of, lookAt(root, pathsToSeeForUninstall(of), UNITS))
  await does(steps, root)
  return steps
}

const files = (root: string) => treeOf(root).filter(line => !/ 4[0-7]{4} /.test(line))

test('killed between any two steps, the next one completes it; uninstalled then, nothing is left', async () => {
  const whole = emptyMachine()
  await does(planned(whole), whole)
  const count = planned(emptyMachine()).length
  expect(count).toBeGreaterThan(8)
  for (let done = 0; done < count; done++) {
    const root = emptyMachine()
    await does(planned(root).slice(0, done), root)
    for (const path of [EXECUTABLE, NODE_UNIT]) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, partOf(path)), 'half')
    }
    if (done % 2 === 0) {
      await does(planned(root), root)
      expect(treeOf(root).filter(line => !line.includes('.part '))).toEqual(treeOf(whole))
      expect(planned(root).filter(changes)).toEqual([])
    }
    await uninstalled(root)
    expect(files(root)).toEqual([])
    expect((await uninstalled(root)).filter(changes)).toEqual([]) // twice
  }
})

testNeeding(
  'root',
  'mounts',
  'mount',
  'umount',
  'systemd-sysusers',
)('without room for the executable nothing is replaced, and going back needs none', async () => {
  const root = emptyMachine()
  const full = join(root, 'usr/local')
  mkdirSync(full, { recursive: true })
  run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', full])
  try {
    await does(planned(root, '1'.repeat(60_000)), root)
    await does(planned(root, '2'.repeat(60_000)), root)
    const before = treeOf(root)
    await expect(does(planned(root, '3'.repeat(200_000)), root)).rejects.toThrow(
      `cannot write ${join(root, EXECUTABLE)}`,
    )
    expect(treeOf(root)).toEqual(before)
    writeFileSync(join(full, 'filler'), '')
    run(['sh', '-c', `dd if=/dev/zero of=${full}/filler bs=4k 2>/dev/null || true`])
    const previous = join(root, PREVIOUS_EXECUTABLE)
    const back = { ...wanted(root, ''), executable: { from: previous, sha256: sha256('1'.repeat(60_000)) } }
    await does(planInstall(back, lookAt(root, pathsToSee(back), UNITS)).steps, root)
    expect(readFileSync(join(root, EXECUTABLE), 'utf8')[0]).toBe('1')
    expect(readFileSync(previous, 'utf8')[0]).toBe('2')
  } finally {
    run(['umount', full])
  }
})

testNeeding(
  'root',
  'systemd-sysusers',
  'strace',
)('going back, killed at any change of a name: the version to go back to is in one of the two places', async () => {
  let [killed, ended] = [0, 0]
  const calls = ['link', 'linkat', 'rename', 'renameat', 'renameat2']
  // each call has a counter of its own; `?`: not every machine has all of them
  for (const call of calls) {
    for (let count = 1; count < 20; count++) {
      const root = emptyMachine()
      for (const version of ['one', 'two']) await does(planned(root, version), root)
      const child = [process.execPath, 'test/host/go-back-child.ts', root]
      const fault = ['-e', `inject=?${call}:signal=KILL:when=${count}`]
      const { status } = run(['strace', '-qq', '-f', '-o', '/dev/null', ...fault, ...child], { mayFail: true })
      const versions = [EXECUTABLE, PREVIOUS_EXECUTABLE].map(path => readFileSync(join(root, path), 'utf8'))
      expect(versions).toContain('one')
      if (status !== 0) killed++
      else {
        expect(versions).toEqual(['one', 'two'])
        ended++
        break
      }
    }
  }
  expect(killed).toBeGreaterThan(3)
  expect(ended).toBe(calls.length)
})
