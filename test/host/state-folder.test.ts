/**
 * One process to a state folder: claimed by real processes at the same instant, and free again when
 * its owner was killed.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { claimStateFolder, runningProcess } from '../../src/host/state-folder.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { eventually } from '../support/namespaces.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-service-'))
afterAll(() => rmSync(folder, { recursive: true }))

const claimFolder = (state: string) => claimStateFolder(state, { clock: systemClock, log: silentLog })

test('a state folder belongs to one living process', async () => {
  const state = join(folder, 'claimed')
  const release = claimFolder(state)
  expect(runningProcess(state)?.pid).toBe(process.pid)
  const other = Bun.spawn(
    [
      process.execPath,
      '-e',
      `(await import(${JSON.stringify(join(import.meta.dir, '../../src/host/state-folder.ts'))})).claimStateFolder(${JSON.stringify(state)}, {})`,
    ],
    {
      stdout: 'pipe',
      stderr: 'pipe',
    },
  )
  expect(await other.stderr.text()).toContain(`another terway-edge (process ${process.pid}) works with ${state}`)
  expect(await other.exited).not.toBe(0)
  release()
  expect(runningProcess(state)).toBeUndefined()
})

test('a process of the same number that started at another time is not ours', () => {
  const state = join(folder, 'stale')
  const release = claimFolder(state)
  const file = join(state, 'process.json')
  const claim: { pid: number; startTicks: string } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...claim, startTicks: '1' }))
  expect(runningProcess(state)).toBeUndefined()
  writeFileSync(file, 'half a fi')
  expect(runningProcess(state)).toBeUndefined()
  release()
  claimFolder(state)()
})

/**
 * A process that says that it is ready, claims `state` at a word, says `mine` or why it cannot, and
 * waits for the end of its input.
 */
function claimant(state: string) {
  const service = JSON.stringify(join(import.meta.dir, '../../src/host/state-folder.ts'))
  const script = `
    const { claimStateFolder } = await import(${service})
    console.log('ready')
    await Bun.stdin.stream().getReader().read() // the word to start
    try { claimStateFolder(${JSON.stringify(state)}, {}); console.log('mine') } catch (error) { console.log(error.message) }
    Bun.spawn(['sleep', '5'], { stdio: ['ignore', 'ignore', 'ignore'] }) // inherits nothing
    await new Promise(() => setInterval(() => {}, 1000))`
  const child = Bun.spawn([process.execPath, '-e', script], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' })
  const said = child.stdout.getReader()
  return {
    pid: child.pid,
    start: () => {
      child.stdin.write('go\n')
      child.stdin.flush()
    },
    said: async () => new TextDecoder().decode((await said.read()).value).trim(),
    kill: async () => {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

test('of processes that claim a folder at the same instant one has it, and the others name it; killed, it is free', async () => {
  const state = join(folder, 'race')
  for (let round = 0; round < 15; round++) {
    const claimants = Array.from({ length: 4 }, () => claimant(state))
    try {
      for (const one of claimants) expect(await one.said()).toBe('ready')
      for (const one of claimants) one.start()
      const answers = await Promise.all(claimants.map(one => one.said()))
      const winner = claimants[answers.indexOf('mine')]?.pid
      const refusal = `another terway-edge (process ${winner}) works with ${state}: stop it first, or name another folder with --state`
      expect(answers.toSorted()).toEqual([refusal, refusal, refusal, 'mine'])
    } finally {
      await Promise.all(claimants.map(one => one.kill()))
    }
    claimFolder(state)()
  }
}, 300_000)

test('a state folder that cannot be written is named', () => {
  expect(() => claimFolder('/proc/nowhere')).toThrow('the state folder /proc/nowhere cannot be written')
})

test('a folder in use that cannot be written now is claimed, and says by whom as soon as it can', async () => {
  const state = join(folder, 'unwritable')
  claimFolder(state)()
  mkdirSync(join(state, 'process.json', 'in the way'), { recursive: true })
  const release = claimFolder(state)
  rmSync(join(state, 'process.json'), { recursive: true })
  expect(runningProcess(state)).toBeUndefined()
  await eventually('it says by whom', () => runningProcess(state)?.pid === process.pid)
  release()
  expect(runningProcess(state)).toBeUndefined()
})
