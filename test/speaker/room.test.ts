/**
 * The speaker room with a clock that is told to go on, and with a speaker and an API server that do
 * what the test says: faults and times that real ones give too slowly. The real ones are in
 * test/e2e/speaker.test.ts.
 */
import { expect, test } from 'bun:test'
import type { Announcement, PeerConfig, SessionEvent, SessionView, Speaker } from '../../src/bgp/speaker-types.ts'
import { ApiError, type ApplyOptions, type KubeEvent } from '../../src/kube/api.ts'
import type { ClusterView } from '../../src/kube/cluster-view-types.ts'
import type { KubeObject, ResourceType } from '../../src/kube/resources.ts'
import { speakerFieldManager } from '../../src/kube/speaker-entry.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createSpeakerRoom, type SpeakerRoomOptions } from '../../src/speaker/reconcile.ts'
import type { Marker } from '../../src/speaker/restart-marker.ts'
import { PlainView } from '../support/cluster.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { bgpPeer, established, failure, lan, localOfNode1, NEIGHBOR, session, view } from './fixtures.ts'

class ToldSpeaker implements Speaker {
  peers: readonly PeerConfig[] | undefined
  announcements = new Map<string, readonly Announcement[]>()
  closed: unknown
  now: readonly SessionView[] = []
  readonly #events = new Set<(event: SessionEvent) => void>()
  readonly #changes = new Set<() => void>()
  setPeers(peers: readonly PeerConfig[]): void {
    this.peers = peers
  }
  setAnnouncements(key: string, announcements: readonly Announcement[]): void {
    this.announcements.set(key, announcements)
  }
  /** Whether packets of the peer bear enough; undefined: the answer does not come. */
  ttlPasses: boolean | undefined
  tried: number[] = []
  /** Tells how the trial that runs came out, and how many were ended. */
  tell: (passes: boolean | undefined) => void = () => {}
  ended = 0
  tryTtl(_key: string, minimum: number, done: (passes: boolean | undefined) => void): () => void {
    this.tried.push(minimum)
    this.tell = done
    if (this.ttlPasses !== undefined) done(this.ttlPasses)
    return () => {
      this.ended++
    }
  }
  failed: unknown[] = []
  holdSession(): void {}
  failSession(...failure: Parameters<Speaker['failSession']>): void {
    this.failed.push(failure)
  }
  sessions(): readonly SessionView[] {
    return this.now
  }
  advertised(): undefined {}
  onEvent(listener: (event: SessionEvent) => void): () => void {
    this.#events.add(listener)
    return () => this.#events.delete(listener)
  }
  onChange(listener: () => void): () => void {
    this.#changes.add(listener)
    return () => this.#changes.delete(listener)
  }
  async close(how: unknown): Promise<void> {
    this.closed = how
  }
  /** The sessions become these, and this happens. */
  become(sessions: readonly SessionView[], event?: SessionEvent): void {
    this.now = sessions
    if (event !== undefined) for (const listener of this.#events) listener(event)
    for (const listener of this.#changes) listener()
  }
}

interface Applied {
  readonly name: string
  readonly status: unknown
  readonly options: ApplyOptions
}

/** The one call that the room makes. `fault` is thrown instead while it is set. */
class ApplyOnly {
  readonly applied: Applied[] = []
  tries = 0
  fault: ApiError | undefined
  async apply<T extends KubeObject>(_type: ResourceType, object: T, options: ApplyOptions): Promise<T> {
    this.tries++
    if (this.fault !== undefined) throw this.fault
    this.applied.push({ name: object.metadata.name, status: 'status' in object ? object.status : undefined, options })
    return object
  }
}

function setUp(first: ClusterView | 'none' = view(), change: Partial<SpeakerRoomOptions> = {}) {
  const clock = new FakeClock()
  const speaker = new ToldSpeaker()
  const api = new ApplyOnly()
  const recorded: KubeEvent[] = []
  const source = PlainView.of(first === 'none' ? undefined : first)
  const room = createSpeakerRoom({
    self: 'node-1',
    view: source,
    api,
    events: { record: event => recorded.push(event), close: async () => {} },
    speaker,
    marker: undefined,
    localAddresses: () => localOfNode1,
    linkTo: () => 'eth0',
    clock,
    log: silentLog,
    ...change,
  })
  const show = async (next: ClusterView) => {
    source.showView(next)
    await clock.advance(1)
  }
  return { clock, speaker, api, recorded, room, show, source }
}

test('no view yet: the speaker is told nothing, not even that there are no peers', async () => {
  const { clock, speaker, show } = setUp('none')
  await clock.advance(10_000)
  expect(speaker.peers).toBeUndefined()
  await show(view())
  expect(speaker.peers?.map(({ key }) => key)).toEqual(['peer'])
  expect(speaker.announcements.get('peer')).toHaveLength(3)
})

test('a session that comes up is reported once, under the field manager of the node', async () => {
  const { clock, speaker, api } = setUp()
  await clock.advance(100)
  speaker.become([session({ state: 'Connect' })])
  speaker.become([session({ state: 'OpenSent' })])
  speaker.become([established()], { kind: 'established', key: 'peer', session: established() })
  await clock.advance(60_000)
  for (let count = 0; count < 5; count++) {
    speaker.become([established({ neighbor: { ...NEIGHBOR, sent: { ...NEIGHBOR.sent, keepalive: count } } })])
    await clock.advance(30_000)
  }
  expect(api.applied).toMatchObject([
    {
      name: 'peer',
      status: { speakers: [{ node: 'node-1', state: 'Established', advertisedPrefixes: 3 }] },
      options: { fieldManager: 'terway-edge-speaker-node-1', subresource: 'status' },
    },
  ])
})

test('a session that fails every second is written once and recorded every 30 s', async () => {
  const { clock, speaker, api, recorded } = setUp()
  const error = failure('refused', 'connection refused')
  for (let second = 0; second < 60; second++) {
    speaker.become([session({ state: 'Connect', since: clock.now() })])
    await clock.advance(500)
    const idle = session({ state: 'Idle', since: clock.now(), lastError: error })
    speaker.become([idle], { kind: 'failed', key: 'peer', session: idle, error })
    await clock.advance(500)
  }
  expect(api.applied).toHaveLength(1)
  expect(api.applied[0]?.status).toMatchObject({ speakers: [{ state: 'Active', lastError: 'connection refused' }] })
  expect(recorded.map(({ reason }) => reason)).toEqual(['FailedEstablish', 'FailedEstablish'])
})

test('the API server out of reach: the newest report is kept and written once it answers; BGP is not disturbed', async () => {
  const { clock, speaker, api } = setUp()
  api.fault = new ApiError('out of reach', { status: 0 })
  speaker.become([session()])
  await clock.advance(60_000)
  speaker.become([established({ advertisedPrefixes: 1 })])
  await clock.advance(60_000)
  speaker.become([established({ advertisedPrefixes: 2 })])
  await clock.advance(300_000)
  expect(api.tries).toBeLessThan(30)
  expect(speaker.peers).toHaveLength(1)
  expect(speaker.closed).toBeUndefined()
  api.fault = undefined
  await clock.advance(31_000)
  expect(api.applied).toMatchObject([{ status: { speakers: [{ state: 'Established', advertisedPrefixes: 2 }] } }])
})

test('a node that is no longer a speaker takes its entry away', async () => {
  const { clock, speaker, api, show } = setUp()
  speaker.become([established()])
  await clock.advance(10_000)
  await show(view({ peers: [bgpPeer('peer', { localSpeakers: ['node-2'] })] }))
  expect(speaker.peers).toEqual([])
  speaker.become([])
  await clock.advance(10_000)
  expect(api.applied.at(-1)).toMatchObject({ name: 'peer', status: {} })
  expect(api.applied).toHaveLength(2)
})

test('a BGPPeer that is gone needs no report and is not tried again', async () => {
  const { clock, speaker, api, show } = setUp()
  speaker.become([established()])
  await clock.advance(10_000)
  api.fault = new ApiError('not found', { status: 404, reason: 'NotFound' })
  await show(view({ peers: [] }))
  speaker.become([])
  await clock.advance(300_000)
  expect(api.tries).toBe(2)
})

test('a BGPPeer that is made anew under its name, too fast for the session to notice, gets the entry too', async () => {
  const { clock, speaker, api, show } = setUp()
  speaker.become([established()])
  await clock.advance(10_000)
  expect(api.applied).toHaveLength(1)
  await show(view({ peers: [{ ...bgpPeer(), uid: 'uid-of-the-next' }] }))
  await clock.advance(10_000)
  expect(api.applied.map(({ status }) => status)).toEqual([api.applied[0]?.status, api.applied[0]?.status])
  await clock.advance(300_000)
  expect(api.applied).toHaveLength(2)
})

test('TTL security that the switch does not do takes no live session down: tried first, named, tried again', async () => {
  const { clock, speaker, recorded, room, show } = setUp()
  await clock.advance(100)
  speaker.become([established()])
  speaker.ttlPasses = false
  const secured = bgpPeer('peer', { ttlSecurity: 1, holdTimeSeconds: 30 })
  await show(view({ peers: [secured] }))
  await clock.advance(10_000)
  expect(speaker.tried).toEqual([255])
  // what else was changed is in force
  expect(speaker.peers?.[0]).not.toHaveProperty('ttlSecurity')
  expect(speaker.peers?.[0]?.holdTimeSeconds).toBe(30)
  expect(room.problems()).toEqual([expect.stringContaining('packets of 172.16.0.1 come with a TTL below 255')])
  expect(recorded).toMatchObject([{ type: 'Warning', reason: 'TtlTooLow' }])
  await clock.advance(60_000)
  expect(speaker.tried).toEqual([255, 255])

  // now the switch sends with 255
  speaker.ttlPasses = true
  await clock.advance(60_000)
  expect(speaker.peers?.[0]?.ttlSecurity).toBe(1)
  expect(room.problems()).toEqual([])
  expect(speaker.tried).toHaveLength(3)
})

test('TTL security is in force with the next session at once, and held no longer when it is taken back', async () => {
  const { clock, speaker, room, show } = setUp()
  await clock.advance(100)
  speaker.become([established()])
  speaker.ttlPasses = false
  const secured = view({ peers: [bgpPeer('peer', { ttlSecurity: 1 })] })
  await show(secured)
  expect(speaker.peers?.[0]).not.toHaveProperty('ttlSecurity')
  await show(view())
  expect(room.problems()).toEqual([])
  await show(secured)
  speaker.become([session({ state: 'Connect' })])
  room.wake()
  await clock.advance(1000)
  expect(speaker.peers?.[0]?.ttlSecurity).toBe(1)
  expect(room.problems()).toEqual([])
})

test('TTL security that is asked for again is tried anew: the trial before is ended and counts no more', async () => {
  const { clock, speaker, room, show } = setUp()
  await clock.advance(100)
  speaker.become([established()])
  const secured = view({ peers: [bgpPeer('peer', { ttlSecurity: 1 })] })
  await show(secured)
  const first = speaker.tell
  await show(view())
  expect(speaker.ended).toBe(1)
  await show(secured)
  expect(speaker.tried).toEqual([255, 255])
  first(true)
  await clock.advance(1000)
  expect(speaker.peers?.[0]).not.toHaveProperty('ttlSecurity')
  speaker.tell(true)
  await clock.advance(1000)
  expect(speaker.peers?.[0]?.ttlSecurity).toBe(1)
  expect(room.problems()).toEqual([])
})

test('TTL security that could not be tried takes no live session down: it is said, and tried again', async () => {
  const { clock, speaker, recorded, room, show } = setUp()
  await clock.advance(100)
  speaker.become([established()])
  await show(view({ peers: [bgpPeer('peer', { ttlSecurity: 1 })] }))
  speaker.tell(undefined)
  await clock.advance(1000)
  expect(speaker.peers?.[0]).not.toHaveProperty('ttlSecurity')
  expect(room.problems()).toEqual([expect.stringContaining('could not be tried')])
  expect(recorded).toEqual([])
  await clock.advance(60_000)
  speaker.tell(true)
  await clock.advance(1000)
  expect(speaker.tried).toEqual([255, 255])
  expect(speaker.peers?.[0]?.ttlSecurity).toBe(1)
  expect(room.problems()).toEqual([])
})

const withPassword = bgpPeer('peer', { authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } })

test('a missing Secret: no session, an Event, an Idle entry and a line for the operator; mended when it comes', async () => {
  const { clock, speaker, api, recorded, room, show } = setUp(
    view({ peers: [withPassword], passwordProblems: new Map([['peer', 'there is no Secret kube-system/bgp-secret']]) }),
  )
  await clock.advance(10_000)
  expect(speaker.peers).toEqual([])
  expect(recorded).toMatchObject([{ type: 'Warning', reason: 'SecretNotFound', regarding: { uid: 'uid-of-peer' } }])
  expect(api.applied[0]?.status).toMatchObject({
    speakers: [{ state: 'Idle', lastError: expect.stringContaining('kube-system/bgp-secret') }],
  })
  expect(room.sessions()).toMatchObject([{ bgpPeer: 'peer', state: 'Idle', peerIP: '172.16.0.1' }])
  expect(room.problems()).toMatchObject([expect.stringContaining('kube-system/bgp-secret')])
  await show(view({ peers: [withPassword], passwords: new Map([['peer', new Secret('mySecretValue')]]) }))
  expect(speaker.peers).toHaveLength(1)
  expect(room.problems()).toEqual([])
})

test('a Secret that comes a moment after its BGPPeer was never missing', async () => {
  const { clock, speaker, recorded, show } = setUp(
    view({ peers: [withPassword], passwordProblems: new Map([['peer', 'there is no Secret kube-system/bgp-secret']]) }),
  )
  await clock.advance(1_000)
  await show(view({ peers: [withPassword], passwords: new Map([['peer', new Secret('mySecretValue')]]) }))
  await clock.advance(10_000)
  expect(speaker.peers).toHaveLength(1)
  expect(recorded).toEqual([])
})

test('no text that leaves the room holds the password', async () => {
  const { clock, speaker, api, recorded, room } = setUp(
    view({ peers: [withPassword], passwords: new Map([['peer', new Secret('mySecretValue')]]) }),
  )
  const error = failure('timed-out', 'no answer')
  speaker.become([session({ lastError: error })], { kind: 'failed', key: 'peer', session: session(), error })
  await clock.advance(100)
  speaker.become([session({ lastError: error })], { kind: 'failed', key: 'peer', session: session(), error })
  await clock.advance(10_000)
  expect(recorded[0]?.message).toContain('no answer')
  expect(JSON.stringify([api.applied, recorded, room.sessions(), room.problems()])).not.toContain('mySecretValue')
})

test('a restart leaves status and routes; a shutdown takes the entry away', async () => {
  const restarted = setUp()
  restarted.speaker.become([established()])
  await restarted.clock.advance(10_000)
  await restarted.room.close({ mode: 'restart' })
  expect(restarted.speaker.closed).toEqual({ mode: 'restart' })
  expect(restarted.api.applied).toHaveLength(1)

  const drained = setUp()
  drained.speaker.become([established()])
  await drained.clock.advance(10_000)
  await drained.room.close({ mode: 'shutdown', reason: 'drained' })
  expect(drained.speaker.closed).toEqual({ mode: 'shutdown', reason: 'drained' })
  expect(drained.api.applied.at(-1)?.status).toEqual({})
  expect(drained.recorded.at(-1)).toMatchObject({ reason: 'Drained', type: 'Normal' })
  expect(restarted.recorded.map(({ reason }) => reason)).not.toContain('Drained')
})

test('the marker says that we speak once a session was up, and how the process ended', async () => {
  const noted: (Omit<Marker, 'endedAt'> | string)[] = []
  const marker = {
    restarting: false,
    rebooted: false,
    formerBfd: [],
    formerPeers: ['former'],
    running: (state: Omit<Marker, 'endedAt'>) => noted.push(state),
    restart: () => noted.push('restart'),
    shutdown: () => noted.push('shutdown'),
  }
  const { clock, speaker, api, room } = setUp(view(), { marker })
  await clock.advance(10_000)
  expect(api.applied).toMatchObject([{ name: 'former', status: {} }])
  speaker.become([session()])
  expect(noted.at(-1)).toEqual({ bgpPeers: ['peer'], spoke: false, restartTimeSeconds: 600 })
  speaker.become([established()], { kind: 'established', key: 'peer', session: established() })
  expect(noted.at(-1)).toEqual({ bgpPeers: ['peer'], spoke: true, restartTimeSeconds: 600 })
  await room.close({ mode: 'restart' })
  expect(noted.at(-1)).toBe('restart')
})

test('an entry that the controller took away, because the Node was deleted, is written anew when the node is one again', async () => {
  const { clock, speaker, api, show, source } = setUp()
  await clock.advance(100)
  speaker.become([established()])
  await clock.advance(10_000)
  expect(api.applied).toHaveLength(1)
  source.seen = true
  await clock.advance(400_000)
  expect(api.applied).toHaveLength(1)
  // the Node is gone, and the controller would take the entry away again
  await show(view({ entries: lan.slice(1) }))
  source.seen = false
  await clock.advance(400_000)
  expect(api.applied).toHaveLength(1)
  await show(view())
  await clock.advance(10_000)
  expect(api.applied.slice(1)).toMatchObject([{ status: { speakers: [{ node: 'node-1', state: 'Established' }] } }])
  source.seen = undefined // out of reach: nobody can say
  await clock.advance(400_000)
  expect(api.applied).toHaveLength(2)
})

test('prefixes that a session does not announce: one Event when it begins, whatever their count and however often the session flaps', async () => {
  const { clock, speaker, api, recorded, room } = setUp()
  await clock.advance(100)
  const lacking = (...counts: number[]) =>
    counts.map((prefixes, index) => ({
      family: index === 0 ? ('ipv4' as const) : ('ipv6' as const),
      reason: 'family-not-negotiated' as const,
      prefixes,
      message: '',
    }))
  const events = () => recorded.filter(({ reason }) => reason === 'NotAnnounced').map(({ message }) => message)
  speaker.become([established({ notAnnounced: lacking(2) })])
  const text =
    'not announced: 2 IPv4 prefixes: the peer did not agree to IPv4 unicast (RFC 4760): enable that address family for this session there'
  const first = `node-1 to 172.16.0.1 AS 65001: ${text}`
  expect(events()).toEqual([first])
  expect(room.sessions()[0]?.lastError).toBe(text)
  await clock.advance(10_000)
  expect(api.applied.at(-1)?.status).toMatchObject({
    speakers: [{ state: 'Established', lastError: text }],
  })
  speaker.become([established({ notAnnounced: lacking(3) })])
  speaker.become([session({ state: 'Idle' })])
  await clock.advance(60_000)
  speaker.become([established({ notAnnounced: lacking(3) })])
  expect(events()).toEqual([first])
  await clock.advance(60_000)
  speaker.become([established({ notAnnounced: lacking(3, 1) })])
  expect(events()).toHaveLength(2)
  speaker.become([established()])
  await clock.advance(60_000)
  expect(api.applied.at(-1)?.status).not.toMatchObject({ speakers: [{ lastError: expect.anything() }] })
  speaker.become([established({ notAnnounced: lacking(2) })])
  expect(events()).toEqual([
    first,
    expect.stringContaining('1 IPv6 prefix: the peer did not agree to IPv6 unicast'),
    first,
  ])
})

test('a change of the LAN goes to the speaker, and the page is told', async () => {
  const { clock, speaker, room, show } = setUp()
  await clock.advance(10)
  let changes = 0
  room.onChange(() => changes++)
  await show(view({ entries: lan.slice(0, 2) }))
  expect(speaker.announcements.get('peer')).toHaveLength(2)
  expect(changes).toBeGreaterThan(0)
})

test('a field manager fits the 128 characters that the API server allows and is unique', () => {
  const long = 'n'.repeat(200)
  expect(speakerFieldManager(`${long}a`).length).toBeLessThanOrEqual(128)
  expect(speakerFieldManager(`${long}a`)).not.toBe(speakerFieldManager(`${long}b`))
})
