/** Draining, both ends of it in one process: asked by the signal, told by the file. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askToDrain, prepareDrain } from '../../src/host/drain.ts'
import { drainedPath } from '../../src/host/drained-file.ts'
import { claimStateFolder } from '../../src/host/state-folder.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog as log } from '../../src/lib/log.ts'

let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'te-drain-'))
})
afterEach(() => rmSync(stateDir, { recursive: true }))

test('the process that serves leaves once, and who asked hears it', async () => {
  const release = claimStateFolder(stateDir, { clock: systemClock, log })
  writeFileSync(drainedPath(stateDir), '') // of a former process
  const said: string[] = []
  const leave = async () => void said.push('leaves')
  const drain = prepareDrain({ stateDir, log, leave, onDrained: () => said.push('left') })
  expect(existsSync(drainedPath(stateDir))).toBe(false)
  process.on('SIGUSR2', drain.begin)
  try {
    await askToDrain(stateDir, systemClock, 20)
    await askToDrain(stateDir, systemClock, 20)
  } finally {
    process.off('SIGUSR2', drain.begin)
    release()
  }
  expect([drain.drained, said]).toEqual([true, ['leaves', 'left']])
})

test('a process that announces nothing says so at once', () => {
  const drain = prepareDrain({ stateDir, log, leave: () => undefined, onDrained: () => {} })
  drain.begin()
  expect([drain.drained, existsSync(drainedPath(stateDir))]).toEqual([false, true])
})

test('without a process there is nobody to ask', async () => {
  await expect(askToDrain(stateDir, systemClock, 1)).rejects.toThrow('no terway-edge works with')
})
