/** A change on trial when the process ends: the next one takes it back, or lets it be. */
import { afterEach, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { announcedAnew } from '../../src/kube/announced-anew.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { createSoundView, type SoundView } from '../../src/kube/sound-view.ts'
import { silentLog } from '../../src/lib/log.ts'
import { desiredPeers } from '../../src/speaker/desired-peers.ts'
import { bgpPeer, entry, PlainView } from '../support/cluster.ts'
import { FakeClock } from '../support/fake-clock.ts'

const SELF = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])
const OTHER = entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan'])
/** Over the far end of a VPN, which no process knows of. */
const BAD = { ...OTHER, podCIDRs: ['10.0.2.0/25', '198.51.100.0/28'] }
const BEFORE = ['10.0.1.0/25', '10.0.2.0/25']
const AFTER = [...BEFORE, '198.51.100.0/28']

const LOCAL = [{ address: '172.16.0.11', prefixLength: 24, interface: 'eth0', carrier: true }]

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A node whose API server answers as `answers` says of the podCIDRs in force. */
class Node {
  wayIsKnown = false
  readonly stateDir = mkdtempSync(join(tmpdir(), 'te-sound-view-'))
  clock = new FakeClock()
  source = new PlainView()
  #view: SoundView | undefined

  constructor(
    readonly answers: (podCIDRs: readonly string[], announced: readonly string[]) => boolean,
    readonly speaker = 'nobody',
  ) {
    folders.push(this.stateDir)
  }

  /** A process that finds `entries` in its state folder; the one before was killed. */
  start(entries: readonly RouteEntry[]): void {
    this.clock = new FakeClock(this.clock.now()) // its timers are over
    this.source = new PlainView(entries, this.#peers)
    const answers = () => this.answers(this.podCIDRs(), this.announced())
    this.#view = createSoundView({
      source: this.source,
      self: 'edge-1',
      lifelines: {
        current: () => [],
        onChange: () => () => {},
        probePath() {},
        pathIsDown: () => false,
        wayIsKnown: () => this.wayIsKnown,
      },
      ask: async () => {
        if (!answers()) throw new Error('silent')
      },
      ...{ stateDir: this.stateDir, clock: this.clock, log: silentLog },
    })
  }
  /** The API server says something else. */
  show(entries: readonly RouteEntry[]): void {
    this.source.show(entries, this.#peers)
  }
  get #peers() {
    return [bgpPeer('lan', { peerIP: '172.16.0.254', localSpeakers: [this.speaker] })]
  }
  podCIDRs(): readonly string[] {
    return this.#view?.current()?.entries.flatMap(({ podCIDRs }) => podCIDRs) ?? []
  }
  /** The podCIDRs that a switch is told of. */
  announced(): readonly string[] {
    const view = this.#view?.current()
    if (view === undefined) return []
    const { announcements } = desiredPeers({ self: 'edge-1', view, local: LOCAL })
    return (announcements.get('lan') ?? []).map(({ prefix }) => prefix)
  }
  problems(): string {
    return this.#view?.problems.join() ?? ''
  }
  pass(seconds: number): Promise<void> {
    return this.clock.advance(seconds * 1000)
  }
}

test('a process that is killed before the server fell silent: the next one takes the change back and holds it', async () => {
  const node = new Node(podCIDRs => !podCIDRs.includes('198.51.100.0/28'))
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  expect(node.podCIDRs()).toEqual(AFTER)
  node.start([SELF, BAD])
  expect(node.podCIDRs()).toEqual(AFTER)
  await node.pass(120)
  expect([node.podCIDRs(), node.problems()]).toEqual([BEFORE, expect.stringContaining('is held')])
  node.start([SELF, BAD])
  expect(node.podCIDRs()).toEqual(BEFORE)
})

test('a server that answers with it ends the trial, and an outage later than that changes nothing', async () => {
  let answers = true
  const node = new Node(() => answers)
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  node.start([SELF, BAD])
  expect(existsSync(join(node.stateDir, 'held.json'))).toBe(true)
  await node.pass(120)
  expect(existsSync(join(node.stateDir, 'held.json'))).toBe(false)
  answers = false
  node.start([SELF, BAD])
  for (let minute = 0; minute < 3; minute++) {
    await node.pass(60)
    expect(node.podCIDRs()).toEqual(AFTER)
  }
})

test('an outage from before the restart on: what was on trial is put back when the former ways did not help', async () => {
  const node = new Node(() => false)
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  node.start([SELF, BAD])
  await node.pass(120)
  expect([node.podCIDRs(), node.problems()]).toEqual([AFTER, ''])
})

test('where the way to the server is known an outage changes nothing, however soon it comes', async () => {
  let answers = true
  const node = new Node(() => answers)
  node.wayIsKnown = true
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  answers = false
  for (let second = 0; second < 120; second++) {
    await node.pass(1)
    expect([node.podCIDRs(), node.problems()]).toEqual([AFTER, ''])
  }
})

test('there a speaker withdraws what it announced last, and not a route; what costs contact again is held', async () => {
  const node = new Node((_, announced) => !announced.includes('198.51.100.0/28'), 'edge-1')
  node.wayIsKnown = true
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  expect(node.announced()).toEqual(AFTER)
  let withdrawn = 0
  for (let second = 0; second < 120; second++) {
    await node.pass(1)
    if (node.problems().includes('is held')) break
    expect(node.podCIDRs()).toEqual(AFTER)
    if (!node.announced().includes('198.51.100.0/28')) withdrawn++
  }
  expect(withdrawn).toBeGreaterThan(0)
  expect([node.podCIDRs(), node.announced()]).toEqual([BEFORE, BEFORE])
})

test('there an announcement stays on trial for as long as switches need to pass it on', async () => {
  let passedOn = false
  const node = new Node((_, announced) => !(passedOn && announced.includes('198.51.100.0/28')), 'edge-1')
  node.wayIsKnown = true
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  await node.pass(30)
  expect(node.announced()).toEqual(AFTER)
  passedOn = true
  await node.pass(120)
  expect([node.announced(), node.problems()]).toEqual([BEFORE, expect.stringContaining('is held')])
})

test('there only nodes that are announced anew are held: one of another LAN keeps its new routes', async () => {
  const far = entry('edge-7', ['172.16.9.7'], ['10.0.7.0/25'], ['far'])
  const moved = { ...far, podCIDRs: ['10.0.7.0/25', '10.0.8.0/25'] }
  const node = new Node((_, announced) => !announced.includes('198.51.100.0/28'), 'edge-1')
  node.wayIsKnown = true
  node.start([SELF, OTHER, far])
  node.show([SELF, BAD, moved])
  for (let second = 0; second < 120; second++) {
    await node.pass(1)
    expect(node.podCIDRs()).toContain('10.0.8.0/25')
  }
  expect([node.podCIDRs(), node.announced()]).toEqual([[...BEFORE, ...moved.podCIDRs], BEFORE])
  expect(node.problems()).not.toContain('edge-7')
})

test('there a podCIDR that was of a node of another LAN is announced anew, one of a node that is selected anew is not', () => {
  const peers = [bgpPeer('lan', { peerIP: '172.16.0.254', localSpeakers: ['edge-1'] })]
  const elsewhere = entry('edge-7', ['172.16.9.7'], ['198.51.100.0/28'], ['far'])
  const anew = (now: readonly RouteEntry[], former: readonly RouteEntry[]) =>
    announcedAnew('edge-1', { entries: now, peers }, { entries: former })
  expect(anew([SELF, BAD], [SELF, OTHER, elsewhere])).toEqual(['198.51.100.0/28'])
  expect(anew([SELF, BAD], [SELF, { ...BAD, peers: [] }])).toEqual([])
  expect(anew([SELF, { ...BAD, node: 'edge-5' }], [SELF, BAD])).toEqual([])
})

test('there a speaker whose server is silent all the same announces it again, and for good once it was proven', async () => {
  let answers = true
  const node = new Node(() => answers, 'edge-1')
  node.wayIsKnown = true
  node.start([SELF, OTHER])
  node.show([SELF, BAD])
  answers = false
  await node.pass(15)
  expect([node.podCIDRs(), node.announced()]).toEqual([AFTER, BEFORE])
  await node.pass(60)
  expect([node.podCIDRs(), node.announced()]).toEqual([AFTER, AFTER])
  answers = true
  await node.pass(60)
  node.show([SELF, { ...BAD, podCIDRs: [...AFTER.slice(1), '10.0.4.0/25'] }])
  await node.pass(90)
  answers = false
  for (let second = 0; second < 60; second++) {
    await node.pass(1)
    expect(node.announced()).toContain('10.0.4.0/25')
  }
})
