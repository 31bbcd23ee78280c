import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { claimStateFolder, runningProcess } from '../../src/commands/service.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-service-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a state folder belongs to one living process', async () => {
  const state = join(folder, 'claimed')
  const release = claimStateFolder(state)
  expect(runningProcess(state)?.pid).toBe(process.pid)
  const other = Bun.spawn(
    [
      process.execPath,
      '-e',
      `(await import(${JSON.stringify(join(import.meta.dir, '../../src/commands/service.ts'))})).claimStateFolder(${JSON.stringify(state)})`,
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
  claimStateFolder(state)
  const file = join(state, 'process.json')
  const claim: { pid: number; startTicks: string } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...claim, startTicks: '1' }))
  expect(runningProcess(state)).toBeUndefined()
  writeFileSync(file, 'half a fi')
  expect(runningProcess(state)).toBeUndefined()
  claimStateFolder(state)()
})

test('a state folder that cannot be written is named', () => {
  expect(() => claimStateFolder('/proc/nowhere')).toThrow('the state folder /proc/nowhere cannot be written')
})
