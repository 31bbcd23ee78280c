/** Verdicts over memory and files of long runs. */
import { describe, expect, test } from 'bun:test'
import { growthOf, type Sample } from './growth.ts'

const MIB = 1024 * 1024

/** A sample a minute of one process. */
function minutes(count: number, memory: (minute: number) => number, files = (_: number) => 20): Sample[] {
  return Array.from({ length: count }, (_, minute) => ({
    at: minute * 60,
    name: 'node-1',
    pid: 7,
    memory: memory(minute) * MIB,
    files: files(minute),
  }))
}

describe('growthOf', () => {
  test('what is warm after a while is steady, however cold it began', () => {
    const [row] = growthOf(minutes(60, minute => 60 - 40 * Math.exp(-minute / 6) + (minute % 3)))
    expect(row?.verdict).toBe('steady')
    expect(Math.abs(row?.perHour ?? Number.NaN)).toBeLessThan(4 * MIB)
  })

  test('what goes on growing is told, by how much an hour', () => {
    const [row] = growthOf(minutes(60, minute => 30 + minute / 3 + (minute % 3)))
    expect(row?.verdict).toBe('memory grows')
    expect((row?.perHour ?? 0) / MIB).toBeCloseTo(20, -1)
  })

  test('a few descriptors that stay are told', () => {
    const [row] = growthOf(
      minutes(
        60,
        () => 40,
        minute => 20 + Math.floor(minute / 10),
      ),
    )
    expect(row?.verdict).toBe('files grow')
    expect(row?.files).toEqual([20, 24])
  })

  test('each life of a process is judged for itself, and a short one is not', () => {
    const before = minutes(20, () => 40)
    const after = minutes(10, minute => 20 + minute).map(sample => ({ ...sample, pid: 8, at: sample.at + 1260 }))
    expect(growthOf([...before, ...after]).map(({ pid, verdict }) => [pid, verdict])).toEqual([
      [7, 'steady'],
      [8, 'too short to tell'],
    ])
  })
})
