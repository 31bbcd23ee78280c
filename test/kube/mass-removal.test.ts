/** Which removals go at once and which are held, for how long, and what lets them go. */
import { expect, test } from 'bun:test'
import { holdRemovals, NO_REMOVALS, type RemovalInput, type RemovalState } from '../../src/kube/mass-removal.ts'

const LIMITS = { share: 0.5, number: 2, delayMilliseconds: 600_000 }

/** A cluster whose things are removed one call after another. */
class Cluster {
  state: RemovalState = NO_REMOVALS
  now = 0
  listedAt = 0
  word = ''
  readonly #standing: Map<string, readonly string[]>

  constructor(count: number, groups: (index: number) => readonly string[] = () => ['entries']) {
    this.#standing = new Map(Array.from({ length: count }, (_, index) => [`n${index}`, groups(index)]))
  }

  /** Keys that left are wanted again. */
  comeBack(keys: readonly string[]): void {
    this.remove([], { wanted: new Set([...this.#standing.keys(), ...keys]) })
    for (const key of keys) this.#standing.set(key, ['entries'])
  }

  /** What stays of `gone`; the rest leaves. */
  remove(gone: readonly string[], change: Partial<RemovalInput> = {}): string[] {
    const input = {
      standing: this.#standing,
      gone: new Set(gone),
      explained: new Set<string>(),
      now: this.now,
      listedAt: this.listedAt,
      word: this.word,
      ...change,
    }
    const { state, kept } = holdRemovals(this.state, input, LIMITS)
    this.state = state
    for (const key of gone) if (!kept.has(key)) this.#standing.delete(key)
    return [...kept].sort()
  }
}

test('one node of four goes at once; three of four are held', () => {
  expect(new Cluster(4).remove(['n0'])).toEqual([])
  expect(new Cluster(4).remove(['n0', 'n1', 'n2'])).toEqual(['n0', 'n1', 'n2'])
  expect(new Cluster(100).remove(['n0', 'n1', 'n2'])).toEqual([])
  expect(new Cluster(100).remove(Array.from({ length: 50 }, (_, index) => `n${index}`))).toHaveLength(50)
})

test('three deleted one after another by one command are one removal: the first goes, the others are held', () => {
  const cluster = new Cluster(4)
  expect(cluster.remove(['n0'])).toEqual([])
  cluster.now = 100
  expect(cluster.remove(['n1'])).toEqual(['n1'])
  cluster.now = 200
  expect(cluster.remove(['n1', 'n2'])).toEqual(['n1', 'n2'])
})

test('what went by the word and came back is held like anything else', () => {
  const cluster = new Cluster(4)
  const keys = ['n0', 'n1', 'n2']
  cluster.word = '2026-01-01T00:00:00Z'
  expect(cluster.remove(keys)).toEqual([])
  cluster.now = 61_000
  cluster.comeBack(keys)
  cluster.now = 62_000
  expect(cluster.remove(keys)).toEqual(keys)
})

test('a word of yesterday that a process finds at its start lets nothing go; one of now does', () => {
  const keys = ['n0', 'n1', 'n2']
  for (const [time, kept] of [
    ['2026-01-02T00:00:00Z', keys],
    ['2026-01-01T00:05:00Z', []],
  ] as const) {
    const cluster = new Cluster(4)
    cluster.word = '2026-01-01T00:00:00Z'
    expect(cluster.remove(keys, { time: Date.parse(time) })).toEqual([...kept])
  }
})

test('with a pause of more than ten minutes each is a removal of its own', () => {
  const cluster = new Cluster(4)
  for (const key of ['n0', 'n1', 'n2']) {
    expect(cluster.remove([key])).toEqual([])
    cluster.now += 600_000
  }
})

test('a whole LAN of many is held, because it is most of its LAN', () => {
  const cluster = new Cluster(40, index => ['entries', `entries of lan-${Math.floor(index / 4)}`])
  expect(cluster.remove(['n0', 'n1', 'n2', 'n3'])).toEqual(['n0', 'n1', 'n2', 'n3'])
  expect(new Cluster(40).remove(['n0', 'n4', 'n8'])).toEqual([])
})

test('it goes on after the delay and a list that is newer, not before, and not without the list', () => {
  const cluster = new Cluster(4)
  const gone = ['n0', 'n1', 'n2']
  cluster.remove(gone)
  cluster.now = cluster.listedAt = 599_999
  expect(cluster.remove(gone)).toEqual(gone)
  cluster.now = 600_001
  expect(cluster.remove(gone)).toEqual(gone)
  cluster.listedAt = 600_000
  expect(cluster.remove(gone)).toEqual([])
  expect(cluster.remove(['n3'])).toEqual(['n3']) // the last of all: a second list is asked for
})

test('what comes back is held no more, and the rest is counted anew', () => {
  const cluster = new Cluster(4)
  cluster.remove(['n0', 'n1', 'n2'])
  expect(cluster.remove([])).toEqual([])
  expect(cluster.state.held.size).toBe(0)
  expect(cluster.remove(['n0'])).toEqual([])
})

test("the operator's word lets go what is held and what is removed in the next minute, once", () => {
  const cluster = new Cluster(8)
  cluster.remove(['n0', 'n1', 'n2', 'n3'])
  cluster.word = '2026-01-01T00:00:00Z'
  expect(cluster.remove(['n0', 'n1', 'n2', 'n3'])).toEqual([])
  cluster.now = 59_000
  expect(cluster.remove(['n4', 'n5'])).toEqual([])
  cluster.now = 120_000
  expect(cluster.remove(['n6', 'n7'])).toEqual(['n6', 'n7'])
  cluster.word = '' // the annotation went with its object
  expect(cluster.remove(['n6', 'n7'])).toEqual(['n6', 'n7'])
})

test('what is explained goes at once and counts for nothing', () => {
  const cluster = new Cluster(4)
  expect(cluster.remove(['n0', 'n1', 'n2'], { explained: new Set(['n0', 'n1', 'n2']) })).toEqual([])
  const other = new Cluster(4)
  expect(other.remove(['n0', 'n1'], { explained: new Set(['n0']) })).toEqual([])
})

test('the last of its kind goes after five seconds and a second list; longer where its kind is gone', () => {
  const peers = () => new Cluster(1, () => ['peers'])
  const cluster = peers()
  expect(cluster.remove(['n0'])).toEqual(['n0'])
  cluster.now = cluster.listedAt = 5_000
  expect(cluster.remove(['n0'])).toEqual([])
  const vanished = peers()
  vanished.remove(['n0'])
  vanished.now = 1000
  vanished.remove(['n0'], { isKindUnknown: true })
  vanished.now = vanished.listedAt = 20_000
  expect(vanished.remove(['n0'])).toEqual(['n0'])
  vanished.now = vanished.listedAt = 600_000
  expect(vanished.remove(['n0'])).toEqual([])
})
