/** The live stream on a clock of the test's own: what is sent when, to whom, and what is not. */
import { expect, test } from 'bun:test'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { SnapshotFeed } from '../../src/status/feed.ts'
import { withChanges } from '../../ui/changes.ts'
import { FakeClock, settle } from '../support/fake-clock.ts'
import { controllerSnapshot, SampleSource } from './sample.ts'

class Reader {
  text = ''
  ended = false
  failed = false
  readonly #reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>; cancel(): Promise<void> }
  constructor(stream: ReadableStream<Uint8Array> | undefined) {
    if (stream === undefined) throw new Error('no stream')
    this.#reader = stream.getReader()
  }
  async readOne(): Promise<void> {
    const { done, value } = await this.#reader.read()
    this.ended = done
    this.text += new TextDecoder().decode(value ?? new Uint8Array())
  }
  /** Reads on for ever. */
  async readAll(): Promise<void> {
    try {
      while (!this.ended) await this.readOne()
    } catch {
      this.failed = true
    }
  }
  cancel(): Promise<void> {
    return this.#reader.cancel()
  }
  /** The versions of the snapshots that came. */
  get versions(): string[] {
    return [...this.text.matchAll(/^event: (snapshot|changes)\ndata: (.*)\n\n/gm)].map(([, kind, data = '']) => {
      const value = JSON.parse(data)
      return kind === 'snapshot' ? value.version : value.set.version
    })
  }
}

function feedOf(maximumClients?: number) {
  const clock = new FakeClock()
  const source = new SampleSource(controllerSnapshot({ version: 'a' }))
  const errors: unknown[] = []
  const options = {
    snapshot: source.snapshot,
    onChange: source.onChange,
    clock,
    maximumClients,
    onError: (error: unknown) => void errors.push(error),
  }
  return { clock, source, errors, feed: new SnapshotFeed(options) }
}

test('a snapshot comes at once, and after each change; many changes at a time are one', async () => {
  const { clock, source, feed } = feedOf()
  const reader = new Reader(feed.open())
  void reader.readAll()
  await settle()
  expect(reader.versions).toEqual(['a'])
  for (const version of ['b', 'c']) source.change({ version })
  await clock.advance(0)
  expect(reader.versions).toEqual(['a', 'c'])
  for (const version of ['d', 'e', 'f']) source.change({ version })
  await clock.advance(249)
  expect(reader.versions).toEqual(['a', 'c'])
  await clock.advance(1)
  expect(reader.versions).toEqual(['a', 'c', 'f'])
})

test('a stream of changes is at most four snapshots a second', async () => {
  const { clock, source, feed } = feedOf()
  const reader = new Reader(feed.open())
  void reader.readAll()
  for (let change = 0; change < 1000; change++) {
    source.change({ version: `v${change}` })
    await clock.advance(10)
  }
  await clock.advance(250)
  expect(reader.versions.length).toBeLessThanOrEqual(1 + 4 * 10 + 2)
  expect(reader.versions.length).toBeGreaterThan(30)
  expect(reader.versions.at(-1)).toBe('v999')
})

test('a quiet stream carries a heartbeat each 15 seconds', async () => {
  const { clock, feed } = feedOf()
  const reader = new Reader(feed.open())
  void reader.readAll()
  await clock.advance(45_000)
  expect(reader.text.match(/^: heartbeat$/gm)?.length).toBe(3)
})

test('a slow client gets the newest snapshot when it is ready, not a queue', async () => {
  const { clock, source, feed } = feedOf()
  const slow = new Reader(feed.open())
  for (const version of ['b', 'c', 'd', 'e', 'f', 'g']) {
    source.change({ version })
    await clock.advance(1000)
  }
  for (let reads = 0; reads < 3; reads++) await slow.readOne()
  expect(slow.versions).toEqual(['a', 'b', 'g'])
})

test('a client that never reads is dropped, others stay', async () => {
  const { clock, source, feed } = feedOf()
  const dead = new Reader(feed.open())
  const alive = new Reader(feed.open())
  void alive.readAll()
  source.change({ version: 'b' })
  await clock.advance(15_000 * 4)
  expect(feed.clients).toBe(1)
  await dead.readAll()
  expect(dead.failed).toBe(true)
  source.change({ version: 'c' })
  await clock.advance(1000)
  expect(alive.versions).toEqual(['a', 'b', 'c'])
})

test('the number of clients is bounded; one that leaves makes room', async () => {
  const { feed, source, clock } = feedOf(2)
  const first = new Reader(feed.open())
  const second = new Reader(feed.open())
  expect(feed.open()).toBeUndefined()
  await first.cancel()
  const third = new Reader(feed.open())
  expect(source.listeners).toBe(1)
  await second.cancel()
  await third.cancel()
  expect([feed.clients, source.listeners, clock.pending]).toEqual([0, 0, 0])
})

test('closing ends the streams and leaves nothing behind', async () => {
  const { feed, source, clock } = feedOf()
  const reader = new Reader(feed.open())
  const reading = reader.readAll()
  source.change({ version: 'b' })
  feed.close()
  await reading
  expect([reader.ended, feed.clients, source.listeners, clock.pending]).toEqual([true, 0, 0, 0])
  expect(feed.open()).toBeUndefined()
})

test('a snapshot that fails is told once and the stream lives on', async () => {
  const clock = new FakeClock()
  const source = new SampleSource(controllerSnapshot({ version: 'a' }))
  let broken = false
  const errors: unknown[] = []
  const feed = new SnapshotFeed({
    snapshot: () => {
      if (broken) throw new Error('a bug')
      return source.snapshot()
    },
    onChange: source.onChange,
    clock,
    onError: error => void errors.push(error),
  })
  const reader = new Reader(feed.open())
  void reader.readAll()
  broken = true
  source.change({ version: 'b' })
  await clock.advance(250)
  expect(errors.length).toBe(1)
  broken = false
  source.change({ version: 'c' })
  await clock.advance(250)
  expect(reader.versions).toEqual(['a', 'c'])
})

test('after the first snapshot only what changed is sent, and the page has the same as the server', async () => {
  const many = Array.from({ length: 5000 }, (_, index) => {
    return { name: `edge-${index}`, addresses: ['172.16.0.11'], podCIDRs: ['10.0.0.0/25'], peers: [], speakerOf: [] }
  })
  const { clock, source, feed } = feedOf()
  source.change({ nodes: many })
  const reader = new Reader(feed.open())
  void reader.readAll()
  await settle()
  const whole = reader.text.length
  const [first, second, ...others] = many
  if (first === undefined || second === undefined) throw new Error('no nodes')
  const { heldRemovals: _, ...rest } = source.snapshot()
  source.change({ ...rest, nodes: [{ ...second, podCIDRs: [] }, ...others, { ...first, name: 'new' }], sessions: [] })
  await clock.advance(250)
  expect(reader.text.length - whole).toBeLessThan(2000)
  expect(whole).toBeGreaterThan(300_000)
  const messages = [...reader.text.matchAll(/^event: (snapshot|changes)\ndata: (.*)\n\n/gm)]
  const shown = messages.reduce<Snapshot | undefined>((snapshot, [, kind, data = '']) => {
    return kind === 'snapshot' || snapshot === undefined ? JSON.parse(data) : withChanges(snapshot, JSON.parse(data))
  }, undefined)
  const byName = (snapshot: Snapshot | undefined) =>
    [...(snapshot?.nodes ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))
  expect(byName(shown)).toEqual(byName(source.snapshot()))
  expect({ ...shown, nodes: [] }).toEqual({ ...source.snapshot(), nodes: [] })
})
