/**
 * How a process knows that it restarts: the file that the one before left, real, on a clock that
 * the test holds.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  isRebooted,
  isRestarting,
  openRestartMarker,
  parseMarker,
  waitingBfd,
} from '../../src/speaker/restart-marker.ts'
import { FakeClock } from '../support/fake-clock.ts'

const spoke = { bgpPeers: ['peer'], spoke: true, restartTimeSeconds: 600 }

test('a first start and a process that never had a session are no restart', () => {
  expect(isRestarting(undefined, 0)).toBe(false)
  expect(isRestarting({ ...spoke, spoke: false }, 0)).toBe(false)
})

test('a restart within the restart time is one, a later one is not', () => {
  expect(isRestarting({ ...spoke, endedAt: 1_000 }, 601_000)).toBe(true)
  expect(isRestarting({ ...spoke, endedAt: 1_000 }, 601_001)).toBe(false)
})

test('a start of the machine is told from one of the process; a marker that does not say counts as the latter', () => {
  expect(isRebooted({ ...spoke, bootId: 'a' }, 'b')).toBe(true)
  expect(isRebooted({ ...spoke, bootId: 'a' }, 'a')).toBe(false)
  expect(isRebooted(spoke, 'a')).toBe(false)
  expect(isRebooted(undefined, 'a')).toBe(false)
})

test('a clock that went back, and a crash, count as a restart', () => {
  expect(isRestarting({ ...spoke, endedAt: 1_000_000 }, 0)).toBe(true)
  expect(isRestarting(spoke, 1e12)).toBe(true)
})

test('a file that is not a marker means a first start', () => {
  for (const text of ['', '{', 'null', '[]', '{"bgpPeers":1,"restartTimeSeconds":1}'])
    expect(parseMarker(text)).toBeUndefined()
})

function inFolder(body: (folder: string, clock: FakeClock) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'te-marker-'))
  try {
    body(folder, new FakeClock())
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('the next process learns of a restart and of the BGPPeers', () =>
  inFolder((folder, clock) => {
    const first = openRestartMarker(folder, clock)
    expect(first.restarting).toBe(false)
    first.running(spoke)
    expect(statSync(join(folder, 'speaker.json')).mode & 0o777).toBe(0o600)
    first.restart()
    const second = openRestartMarker(folder, clock)
    expect(second.restarting).toBe(true)
    expect(second.formerPeers).toEqual(['peer'])
  }))

test('after a crash the next process restarts, after a shutdown it starts afresh', () =>
  inFolder((folder, clock) => {
    openRestartMarker(folder, clock).running(spoke)
    const second = openRestartMarker(folder, clock)
    expect(second.restarting).toBe(true)
    second.shutdown()
    const third = openRestartMarker(folder, clock)
    expect(third.restarting).toBe(false)
    expect(third.formerPeers).toEqual([])
  }))

test('a damaged file is a first start', () =>
  inFolder((folder, clock) => {
    writeFileSync(join(folder, 'speaker.json'), 'half of a fi')
    expect(openRestartMarker(folder, clock).restarting).toBe(false)
  }))

test('BFD sessions are left for the next process of the same boot, for as long as their peers wait', () => {
  const remote = {
    state: 'Up',
    diagnostic: 0,
    discriminator: 8,
    desiredMinTxInterval: 300_000,
    requiredMinRxInterval: 300_000,
    detectMult: 3,
    demand: false,
  } as const
  const kept = { discriminator: 7, remote, desiredMinTxInterval: 200_000_000, requiredMinRxInterval: 300_000 }
  const sessions = [{ peerAddress: '10.9.0.254', interface: 'eth0', waitsMilliseconds: 600_000, kept }]
  const written = {
    bgpPeers: ['lan'],
    spoke: true,
    restartTimeSeconds: 600,
    endedAt: 1000,
    bfd: { bootId: 'b', sessions },
  }
  const marker = parseMarker(JSON.stringify(written))
  expect(waitingBfd(marker, 'b', 600_999)).toEqual(sessions)
  expect(waitingBfd(marker, 'b', 601_000)).toEqual([])
  expect(waitingBfd(marker, 'another', 2_000)).toEqual([])
  expect(waitingBfd(undefined, 'b', 2_000)).toEqual([])
  // a crash after it has come up leaves nothing to go on with
  const { endedAt: _, ...running } = written
  expect(waitingBfd(parseMarker(JSON.stringify(running)), 'b', 2_000)).toEqual([])
  const damaged = parseMarker(JSON.stringify({ ...written, bfd: { bootId: 'b', sessions: [{ peerAddress: 1 }] } }))
  expect(damaged).toMatchObject({ bgpPeers: ['lan'], endedAt: 1000 })
  expect(waitingBfd(damaged, 'b', 2_000)).toEqual([])
})
