/**
 * What a configured peer decides, value by value: when to dial, whom to let in, what an end means
 * and how long to rest. What comes of it on connections: test/bgp/peer.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import { cease, hardReset, notification } from '../../../src/bgp/codec/errors.ts'
import { Cease } from '../../../src/bgp/codec/registry.ts'
import type { Down } from '../../../src/bgp/machine/fsm-types.ts'
import { type Negotiated, negotiate } from '../../../src/bgp/machine/negotiation.ts'
import { newPeer, peerStep } from '../../../src/bgp/machine/peer-machine.ts'
import { settingsOf } from '../../../src/bgp/machine/peer-settings.ts'
import type {
  Circumstances,
  ConnectionFacts,
  PeerAction,
  PeerEvent,
  PeerState,
} from '../../../src/bgp/machine/peer-types.ts'
import { peerConfig } from '../peer-fixtures.ts'
import { peerOpen } from '../peer-world.ts'

const SETTINGS = settingsOf(peerConfig(), 'outgoing', { restarting: false, hadSession: false, capabilities: true })
const NEGOTIATED = (() => {
  const outcome = negotiate(SETTINGS.local, peerOpen())
  if (!('negotiated' in outcome)) throw new Error(outcome.reason)
  return outcome.negotiated
})()

function connection(changes: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    id: 1,
    direction: 'outgoing',
    state: 'OpenSent',
    settings: SETTINGS,
    negotiated: undefined,
    localAddress: '10.0.0.1',
    ...changes,
  }
}

const AROUND: Circumstances = { connections: [], complete: false, monotonic: 1000, now: 5000, random: 0 }
const fresh = (changes: Partial<PeerState> = {}): PeerState => ({
  ...newPeer(peerConfig(), undefined, 0),
  ...changes,
})

function decide(peer: PeerState, event: PeerEvent, around: Partial<Circumstances> = {}) {
  const [after, actions] = peerStep(peer, event, { ...AROUND, ...around })
  return { after, actions, does: actions.filter(({ do: what }) => what !== 'log').map(({ do: what }) => what) }
}

const down = (reason: Down, was?: Negotiated): PeerEvent => ({ kind: 'down', id: 1, reason, was })
const received = (code: number, subcode: number): Down => ({
  kind: 'notification-received',
  notification: notification(code, subcode),
})
const REFUSED: Down = { kind: 'tcp', problem: { kind: 'refused', detail: '' } }

describe('dialling', () => {
  test('the first is a manual start, the next an automatic one', () => {
    const first = decide(fresh(), { kind: 'start' })
    expect(first.actions).toMatchObject([{ do: 'dial', start: 'ManualStart' }])
    expect(decide(first.after, { kind: 'rest-over' }).actions).toMatchObject([{ do: 'dial', start: 'AutomaticStart' }])
  })
  test.each<[string, Partial<PeerState>, ConnectionFacts[]]>([
    ['a passive peer', { config: peerConfig({ passive: true }) }, []],
    ['one that is closed', { closed: true }, []],
    ['one that dials already', {}, [connection({ state: 'Connect' })]],
    ['one whose own connection is confirmed', {}, [connection({ direction: 'incoming', state: 'OpenConfirm' })]],
    ['one with a session', {}, [connection({ direction: 'incoming', state: 'Established' })]],
  ])('%s is not dialled', (_, state, connections) => {
    expect(decide(fresh(state), { kind: 'rest-over' }, { connections }).does).toEqual([])
  })
  test('a peer that dialled in and said nothing yet is dialled all the same', () => {
    const connections = [connection({ direction: 'incoming' })]
    expect(decide(fresh(), { kind: 'rest-over' }, { connections }).does).toEqual(['dial'])
  })
})

describe('a connection of the peer', () => {
  const arrives: PeerEvent = { kind: 'incoming', id: 7 }
  test('is taken; the one before, which said nothing, goes', () => {
    expect(decide(fresh(), arrives).actions).toMatchObject([{ do: 'take', id: 7 }])
    const connections = [connection({ id: 3, direction: 'incoming' })]
    const { actions } = decide(fresh({ visible: { state: 'OpenSent', since: 0 } }), arrives, { connections })
    expect(actions).toMatchObject([
      { do: 'feed', id: 3, event: { kind: 'OpenCollisionDump' } },
      { do: 'take', id: 7 },
    ])
  })
  test('is refused while the peer rests for what it did wrong, not a moment longer', () => {
    expect(decide(fresh({ refuseUntil: 1001 }), arrives).does).toEqual(['refuse'])
    expect(decide(fresh({ refuseUntil: 1000 }), arrives).does).toEqual(['take'])
  })
})

describe('the rest after an end', () => {
  const cases: [string, Down, number, number, boolean][] = [
    ['connection refused', REFUSED, 1000, 2000, false],
    ['the peer resets the session', received(6, Cease.AdministrativeReset), 1000, 2000, false],
    ['the peer does not agree', received(2, 7), 5000, 10_000, false],
    ['the peer rejects the connection', received(6, Cease.ConnectionRejected), 5000, 10_000, false],
    ['an operator of the peer has to act', received(6, Cease.MaximumPrefixesReached), 30_000, 60_000, false],
    ['the peer has no room', received(6, Cease.OutOfResources), 30_000, 60_000, false],
    [
      'the same inside a Hard Reset',
      { kind: 'notification-received', notification: hardReset(cease(Cease.MaximumPrefixesReached)) },
      30_000,
      60_000,
      false,
    ],
    [
      'an upper bound of prefixes, bare in a Hard Reset',
      {
        kind: 'notification-received',
        notification: notification(6, Cease.HardReset, Uint8Array.of(0, 1, 1, 0, 0, 0, 1)),
      },
      30_000,
      60_000,
      false,
    ],
    [
      'the peer is wrong',
      { kind: 'notification-sent', notification: notification(2, 2), reason: '' },
      5000,
      10_000,
      true,
    ],
  ]
  test.each(cases)('%s', (_, reason, first, second, refuses) => {
    const connections = [connection({ state: 'Idle' })]
    const one = decide(fresh(), down(reason), { connections })
    expect(one.actions).toContainEqual({ do: 'rest', milliseconds: first })
    expect(one.after.refuseUntil).toBe(refuses ? AROUND.monotonic + first : 0)
    const two = decide(one.after, down(reason), { connections })
    expect(two.actions).toContainEqual({ do: 'rest', milliseconds: second })
  })
  test('another reason starts anew, an end that nobody caused does not count', () => {
    const connections = [connection({ state: 'Idle' })]
    const tired = decide(fresh({ attempt: 4 }), down(REFUSED), { connections }).after
    expect(decide(tired, down({ kind: 'collision' }), { connections }).after.attempt).toBe(tired.attempt)
    expect(decide(tired, down(received(2, 7)), { connections }).actions).toContainEqual({
      do: 'rest',
      milliseconds: 5000,
    })
  })
  test('a session that lasted forgives what was before', () => {
    const connections = [connection({ state: 'Idle' })]
    const peer = fresh({
      attempt: 5,
      hold: { initialMilliseconds: 1000, maximumMilliseconds: 30_000, refusesIncoming: false },
      established: { id: 1, at: 0 },
    })
    const rested = (monotonic: number) =>
      decide(peer, down(REFUSED, NEGOTIATED), { connections, monotonic }).actions.find(
        ({ do: what }) => what === 'rest',
      )
    expect(rested(119_999)).toEqual({ do: 'rest', milliseconds: 30_000 })
    expect(rested(120_000)).toEqual({ do: 'rest', milliseconds: 1000 })
  })
  test('the next OPEN goes without capabilities after the peer refused them, and with them after any other end', () => {
    const connections = [connection({ state: 'Idle' })]
    const without = decide(fresh(), down(received(2, 4)), { connections }).after
    expect(without.capabilities).toBe(false)
    const [dialled] = decide(without, { kind: 'rest-over' }).actions
    expect(dialled).toMatchObject({ do: 'dial', settings: { local: { capabilities: false } } })
    expect(decide(without, down(REFUSED), { connections }).after.capabilities).toBe(true)
  })
  test('a second connection under way is enough: nothing is scheduled', () => {
    const connections = [connection({ state: 'Idle', direction: 'incoming' }), connection({ id: 2, state: 'Connect' })]
    expect(decide(fresh(), down(REFUSED), { connections }).does).not.toContain('rest')
  })
})

describe('what is told', () => {
  const told = (actions: readonly PeerAction[]) =>
    actions.flatMap(action => (action.do === 'tell' ? [action.what.kind] : []))
  test('a session that ends: lost, one flap more, and that the peer keeps our routes', () => {
    const connections = [connection({ state: 'Idle' })]
    const { after, actions } = decide(fresh({ established: { id: 1, at: 0 }, flaps: 2 }), down(REFUSED, NEGOTIATED), {
      connections,
    })
    expect(told(actions)).toEqual(['lost', 'graceful-restart'])
    expect(after).toMatchObject({ flaps: 3, established: undefined, lastError: { kind: 'refused', at: 5000 } })
  })
  test('a failure beside a connection that is further is nobody’s concern', () => {
    const connections = [connection({ state: 'Idle' }), connection({ id: 2, direction: 'incoming' })]
    expect(told(decide(fresh(), down(REFUSED), { connections }).actions)).toEqual([])
  })
  test('nothing after the end of the peer, but the routes go', () => {
    const connections = [connection({ state: 'Idle' })]
    const closed = fresh({ closed: true, established: { id: 1, at: 0 } })
    expect(decide(closed, down(REFUSED, NEGOTIATED), { connections }).does).toEqual(['forget', 'end-announcing'])
  })
})

test('whatever happens in whatever order: one dial at a time, nothing for connections that are gone, nothing when closed', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed % below
  }
  const STATES = ['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established'] as const
  for (let run = 0; run < 2000; run++) {
    const connections = Array.from({ length: random(3) }, (_, index) =>
      connection({
        id: index + 1,
        direction: random(2) === 0 ? 'incoming' : 'outgoing',
        state: STATES[random(STATES.length)] ?? 'Idle',
      }),
    )
    const reasons: Down[] = [REFUSED, { kind: 'collision' }, { kind: 'stopped' }, received(6, 2), received(2, 4)]
    const events: PeerEvent[] = [
      { kind: 'start' },
      { kind: 'rest-over' },
      { kind: 'incoming', id: 9 },
      { kind: 'configured', config: peerConfig({ passive: random(2) === 0 }), reopen: random(2) === 0 },
      { kind: 'begin-anew' },
      { kind: 'path-down', failure: { kind: 'bfd-down', reason: '' } },
      { kind: 'stop', closing: 'restart' },
      { kind: 'opening', id: 1, open: peerOpen() },
      { kind: 'up', id: 1, negotiated: NEGOTIATED },
      { ...down(reasons[random(reasons.length)] ?? REFUSED, random(2) === 0 ? NEGOTIATED : undefined) } as PeerEvent,
    ]
    const closed = random(4) === 0
    const peer = fresh({ closed, config: peerConfig({ passive: random(3) === 0 }), attempt: random(9) })
    const event = events[random(events.length)] ?? { kind: 'start' }
    const { after, actions, does } = decide(peer, event, { connections, random: random(100) / 100 })
    const known = new Set([...connections.map(({ id }) => id), 9])
    for (const action of actions) if ('id' in action) expect(known).toContain(action.id)
    if (does.includes('dial')) {
      expect(connections.every(({ direction }) => direction === 'incoming')).toBe(true)
      expect(after.config.passive).toBe(false)
    }
    if (closed) expect(does.some(what => ['dial', 'take', 'rest'].includes(what))).toBe(false)
    if (does.includes('rest')) expect(after.resting).toBe(true)
  }
})
