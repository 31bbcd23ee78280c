/**
 * The machine of a session: every state and event, the intervals of RFC 5880 section 6.8.2 to
 * 6.8.4, Poll Sequences, and chance.
 */
import { describe, expect, test } from 'bun:test'
import { detectionTime, jittered, keptOf, newSession, step, transmitInterval } from '../../src/bfd/machine.ts'
import type { Action, Event, Parameters, Session } from '../../src/bfd/machine-types.ts'
import type { ControlPacket } from '../../src/bfd/packet.ts'
import { BFD_STATES, type BfdState, Diagnostic } from '../../src/bfd/registry.ts'
import { seeded } from '../support/seeded.ts'
import { OUR_DISCRIMINATOR, PEER_DISCRIMINATOR, peerPacket } from './packets.ts'

const both = (interval: number, detectMult: number): Parameters => ({
  desiredMinTxInterval: interval,
  requiredMinRxInterval: interval,
  detectMult,
})
const FAST = both(300_000, 3)
const FASTER = both(100_000, 3)
const SLOW = both(2_000_000, 5)

const packet = (change: Partial<ControlPacket>): Event => ({ kind: 'packet', packet: peerPacket(change) })

function after(session: Session, ...events: Event[]): Session {
  return events.reduce((now, event) => step(now, event)[0], session)
}

/** A session that got into `state` on the usual way; Up has its Poll Sequence done. */
function sessionIn(state: BfdState, parameters = FAST): Session {
  const fresh = newSession(parameters, OUR_DISCRIMINATOR)
  if (state === 'AdminDown') return fresh
  const down = after(fresh, { kind: 'enable' })
  if (state === 'Down') return down
  const init = after(down, packet({ state: 'Down' }))
  if (state === 'Init') return init
  return after(init, packet({ state: 'Up' }), packet({ state: 'Up', final: true }))
}

const sent = (actions: readonly Action[]): ControlPacket[] =>
  actions.flatMap(action => (action.do === 'send' ? [action.packet] : []))
const intervals = (actions: readonly Action[]): (number | undefined)[] =>
  actions.flatMap(action => (action.do === 'transmit-every' ? [action.milliseconds] : []))
const detections = (actions: readonly Action[]): (number | undefined)[] =>
  actions.flatMap(action => (action.do === 'detect-within' ? [action.milliseconds] : []))

interface Cell {
  readonly to: BfdState
  readonly diagnostic?: number
}

const EVENTS = {
  enable: { kind: 'enable' },
  disable: { kind: 'disable' },
  configure: { kind: 'configure', parameters: FASTER },
  'receive AdminDown': packet({ state: 'AdminDown' }),
  'receive Down': packet({ state: 'Down' }),
  'receive Init': packet({ state: 'Init' }),
  'receive Up': packet({ state: 'Up' }),
  'receive Up with Poll': packet({ state: 'Up', poll: true }),
  'receive Up with Final': packet({ state: 'Up', final: true }),
  'transmit timer': { kind: 'transmit-timer-expired' },
  'detection timer': { kind: 'detection-timer-expired' },
} as const satisfies Record<string, Event>

const { NoDiagnostic, ControlDetectionTimeExpired, NeighborSignaledSessionDown, AdministrativelyDown } = Diagnostic
const STAYS = (state: BfdState): Cell => ({ to: state })
const TO_UP: Cell = { to: 'Up', diagnostic: NoDiagnostic }
const NEIGHBOR: Cell = { to: 'Down', diagnostic: NeighborSignaledSessionDown }
const EXPIRED: Cell = { to: 'Down', diagnostic: ControlDetectionTimeExpired }
const DISABLED: Cell = { to: 'AdminDown', diagnostic: AdministrativelyDown }

/** RFC 5880 section 6.2 and 6.8.6. */
const CELLS: Record<BfdState, Record<keyof typeof EVENTS, Cell>> = {
  AdminDown: {
    enable: { to: 'Down', diagnostic: NoDiagnostic },
    disable: STAYS('AdminDown'),
    configure: STAYS('AdminDown'),
    'receive AdminDown': STAYS('AdminDown'),
    'receive Down': STAYS('AdminDown'),
    'receive Init': STAYS('AdminDown'),
    'receive Up': STAYS('AdminDown'),
    'receive Up with Poll': STAYS('AdminDown'),
    'receive Up with Final': STAYS('AdminDown'),
    'transmit timer': STAYS('AdminDown'),
    'detection timer': STAYS('AdminDown'),
  },
  Down: {
    enable: STAYS('Down'),
    disable: DISABLED,
    configure: STAYS('Down'),
    'receive AdminDown': STAYS('Down'),
    'receive Down': { to: 'Init' },
    'receive Init': TO_UP,
    'receive Up': STAYS('Down'),
    'receive Up with Poll': STAYS('Down'),
    'receive Up with Final': STAYS('Down'),
    'transmit timer': STAYS('Down'),
    'detection timer': STAYS('Down'),
  },
  Init: {
    enable: STAYS('Init'),
    disable: DISABLED,
    configure: STAYS('Init'),
    'receive AdminDown': NEIGHBOR,
    'receive Down': STAYS('Init'),
    'receive Init': TO_UP,
    'receive Up': TO_UP,
    'receive Up with Poll': TO_UP,
    'receive Up with Final': TO_UP,
    'transmit timer': STAYS('Init'),
    'detection timer': EXPIRED,
  },
  Up: {
    enable: STAYS('Up'),
    disable: DISABLED,
    configure: STAYS('Up'),
    'receive AdminDown': NEIGHBOR,
    'receive Down': NEIGHBOR,
    'receive Init': STAYS('Up'),
    'receive Up': STAYS('Up'),
    'receive Up with Poll': STAYS('Up'),
    'receive Up with Final': STAYS('Up'),
    'transmit timer': STAYS('Up'),
    'detection timer': EXPIRED,
  },
}

describe('every state and event', () => {
  for (const state of BFD_STATES) {
    for (const [name, event] of Object.entries(EVENTS)) {
      test(`${state}: ${name}`, () => {
        const before = sessionIn(state)
        const cell = CELLS[state][name as keyof typeof EVENTS]
        const [now, actions] = step(before, event)
        expect(now.state).toBe(cell.to)
        if (cell.diagnostic !== undefined) expect(now.diagnostic).toBe(cell.diagnostic)
        else expect(now.diagnostic).toBe(before.diagnostic)
        const moves = actions.filter(action => action.do === 'state')
        expect(moves.map(move => [move.from, move.to])).toEqual(cell.to === state ? [] : [[state, cell.to]])
        // section 6.8.7: a change of state is told at once, and a Poll is answered, except in
        // AdminDown
        const answers = name === 'receive Up with Poll' && state !== 'AdminDown' ? 1 : 0
        const told = cell.to === state ? (name === 'transmit timer' ? 1 : 0) : 1
        expect(sent(actions).filter(({ final }) => final)).toHaveLength(answers)
        expect(sent(actions).filter(({ final }) => !final)).toHaveLength(told)
        for (const out of sent(actions)) {
          expect(out).toMatchObject({ state: now.state, diagnostic: now.diagnostic, demand: false })
          expect(out.poll && out.final).toBe(false)
        }
        // section 6.8.4: a packet that counts starts the Detection Time anew
        expect(detections(actions)).toEqual(event.kind === 'packet' ? [900] : [])
      })
    }
  }
})

test('the three-way handshake, and what the packets say', () => {
  const [down, first] = step(newSession(FAST, OUR_DISCRIMINATOR), { kind: 'enable' })
  expect(sent(first)).toEqual([
    peerPacket({
      state: 'Down',
      myDiscriminator: OUR_DISCRIMINATOR,
      yourDiscriminator: 0,
      desiredMinTxInterval: 1_000_000,
      requiredMinRxInterval: 300_000,
    }),
  ])
  const [init, second] = step(down, packet({ state: 'Down', yourDiscriminator: 0 }))
  expect(sent(second)[0]).toMatchObject({ state: 'Init', yourDiscriminator: peerPacket().myDiscriminator })
  const [up, third] = step(init, packet({ state: 'Init' }))
  expect(up.state).toBe('Up')
  expect(sent(third)[0]).toMatchObject({ state: 'Up', poll: true, desiredMinTxInterval: 300_000 })
})

describe('intervals (sections 6.8.2 to 6.8.4)', () => {
  test('not below a second until Up, and again when down', () => {
    for (const state of ['AdminDown', 'Down', 'Init'] as const) {
      expect(transmitInterval(sessionIn(state))).toBe(1_000_000)
      expect(sessionIn(state).desiredMinTxInterval).toBe(1_000_000)
    }
    const up = sessionIn('Up')
    expect(transmitInterval(up)).toBe(300_000)
    const [down, actions] = step(up, { kind: 'detection-timer-expired' })
    expect(transmitInterval(down)).toBe(1_000_000)
    expect(intervals(actions)).toEqual([1000])
    expect(transmitInterval(sessionIn('Down', SLOW))).toBe(2_000_000)
  })

  test('never faster than the peer can receive', () => {
    const up = sessionIn('Up')
    const [slower, actions] = step(up, packet({ state: 'Up', requiredMinRxInterval: 800_000 }))
    expect(transmitInterval(slower)).toBe(800_000)
    expect(intervals(actions)).toEqual([800])
    const [faster, again] = step(slower, packet({ state: 'Up', requiredMinRxInterval: 10_000 }))
    expect(transmitInterval(faster)).toBe(300_000)
    expect(intervals(again)).toEqual([300])
  })

  test('a peer that wants no packets gets none, but answers', () => {
    const [silent, actions] = step(sessionIn('Up'), packet({ state: 'Up', requiredMinRxInterval: 0, poll: true }))
    expect(transmitInterval(silent)).toBeUndefined()
    expect(intervals(actions)).toEqual([undefined])
    expect(sent(actions)).toMatchObject([{ final: true }])
    expect(sent(step(silent, { kind: 'transmit-timer-expired' })[1])).toEqual([])
  })

  test("Detection Time: the peer's multiplier and the slower of both", () => {
    expect(detectionTime(sessionIn('Down'))).toBeUndefined()
    expect(detectionTime(sessionIn('Up'))).toBe(900_000)
    const slowPeer = after(sessionIn('Up'), packet({ state: 'Up', detectMult: 5, desiredMinTxInterval: 1_000_000 }))
    expect(detectionTime(slowPeer)).toBe(5_000_000)
    const fastPeer = after(sessionIn('Up'), packet({ state: 'Up', detectMult: 4, desiredMinTxInterval: 10_000 }))
    expect(detectionTime(fastPeer)).toBe(1_200_000)
  })

  test('after a Detection Time without a packet the peer is forgotten', () => {
    for (const state of ['Down', 'Init', 'Up'] as const) {
      const heard = after(sessionIn(state), packet({ state: 'Up', requiredMinRxInterval: 0 }))
      const [silent, actions] = step(heard, { kind: 'detection-timer-expired' })
      expect(silent.remote).toMatchObject({ discriminator: 0, state: 'Down', requiredMinRxInterval: 1 })
      expect(intervals(actions)).toEqual([1000])
    }
  })

  test('jitter: 75 to 100 %, and with a multiplier of 1 to 90 %', () => {
    expect(jittered(1000, 3, 0)).toBe(750)
    expect(jittered(1000, 3, 0.999999)).toBeCloseTo(1000, 2)
    expect(jittered(1000, 1, 0)).toBe(750)
    expect(jittered(1000, 1, 0.999999)).toBeCloseTo(900, 2)
    expect(jittered(1000, 2, 0.5)).toBe(875)
  })
})

describe('a peer in Demand mode (section 6.8.7)', () => {
  const demand = packet({ state: 'Up', demand: true })

  test('gets no periodic packets while both are Up', () => {
    const [quiet, actions] = step(sessionIn('Up'), demand)
    expect(intervals(actions)).toEqual([undefined])
    expect(transmitInterval(quiet)).toBeUndefined()
    expect(transmitInterval(after(quiet, packet({ state: 'Up', demand: false })))).toBe(300_000)
  })

  test('is still missed when it falls silent, and gets Polls', () => {
    const quiet = after(sessionIn('Up'), demand)
    expect(detectionTime(quiet)).toBe(900_000)
    const [polling, actions] = step(quiet, { kind: 'configure', parameters: FASTER })
    expect(intervals(actions)).toEqual([300])
    expect(sent(step(polling, { kind: 'transmit-timer-expired' })[1])).toMatchObject([{ poll: true }])
    const [answered, ended] = step(polling, packet({ state: 'Up', demand: true, final: true }))
    expect(intervals(ended)).toEqual([undefined])
    expect(transmitInterval(answered)).toBeUndefined()
  })

  test('gets packets while not both are Up', () => {
    expect(transmitInterval(after(sessionIn('Init'), packet({ state: 'Down', demand: true })))).toBe(1_000_000)
  })
})

describe('Poll Sequences (sections 6.5 and 6.8.3)', () => {
  test('Up begins with one, which a Final ends', () => {
    const polling = after(sessionIn('Init'), packet({ state: 'Up' }))
    const [, actions] = step(polling, { kind: 'transmit-timer-expired' })
    expect(sent(actions)).toMatchObject([{ poll: true }])
    const done = after(polling, packet({ state: 'Up', final: true }))
    expect(sent(step(done, { kind: 'transmit-timer-expired' })[1])).toMatchObject([{ poll: false }])
  })

  test('none where nothing changes', () => {
    expect(after(sessionIn('Init', SLOW), packet({ state: 'Up' })).poll).toBe('none')
    expect(after(sessionIn('Up'), { kind: 'configure', parameters: FAST }).poll).toBe('none')
    expect(after(sessionIn('Down'), { kind: 'configure', parameters: SLOW }).poll).toBe('none')
  })

  test('a longer transmit interval counts when the peer knows it', () => {
    const polling = after(sessionIn('Up'), { kind: 'configure', parameters: SLOW })
    expect(polling).toMatchObject({ poll: 'polling', desiredMinTxInterval: 2_000_000 })
    expect(transmitInterval(polling)).toBe(300_000)
    expect(detectionTime(polling)).toBe(6_000_000)
    const [done, actions] = step(polling, packet({ state: 'Up', final: true }))
    expect(transmitInterval(done)).toBe(2_000_000)
    expect(intervals(actions)).toEqual([2000])
  })

  test('a shorter receive interval counts when the peer knows it, a shorter transmit interval at once', () => {
    const quick = packet({ state: 'Up', desiredMinTxInterval: 10_000, requiredMinRxInterval: 10_000 })
    const [polling, actions] = step(after(sessionIn('Up'), quick), { kind: 'configure', parameters: FASTER })
    expect(intervals(actions)).toEqual([100])
    expect(detectionTime(polling)).toBe(900_000)
    const done = after(polling, packet({ state: 'Up', final: true, desiredMinTxInterval: 10_000 }))
    expect(detectionTime(done)).toBe(300_000)
  })

  test('a change during one: its Final ends nothing, the next begins after a packet without Final', () => {
    let session = after(sessionIn('Up'), { kind: 'configure', parameters: SLOW })
    session = after(session, { kind: 'configure', parameters: FASTER }, packet({ state: 'Up', final: true }))
    expect(session.poll).toBe('wanted')
    expect(session.activeMinRxInterval).toBe(2_000_000)
    session = after(session, packet({ state: 'Up', final: true }))
    expect(session.poll).toBe('wanted')
    session = after(session, packet({ state: 'Up' }))
    expect(session.poll).toBe('polling')
    session = after(session, packet({ state: 'Up', final: true }))
    expect(session).toMatchObject({ poll: 'none', activeMinRxInterval: 100_000, activeMinTxInterval: 100_000 })
  })

  test('going down ends it; that the intervals of Down are others is polled anew', () => {
    const polling = after(sessionIn('Up'), { kind: 'configure', parameters: SLOW })
    expect(after(polling, packet({ state: 'Down' }))).toMatchObject({ poll: 'none', activeMinTxInterval: 2_000_000 })
    const [down, actions] = step(sessionIn('Up'), packet({ state: 'Down' }))
    expect(sent(actions)).toMatchObject([{ poll: true, desiredMinTxInterval: 1_000_000 }])
    expect(after(down, packet({ state: 'Down', final: true })).poll).toBe('none')
  })

  test('outside of Up: new values count at once and are polled, where a peer is there to know them', () => {
    const [init, actions] = step(sessionIn('Init'), { kind: 'configure', parameters: SLOW })
    expect(init).toMatchObject({ poll: 'polling', activeMinTxInterval: 2_000_000, activeMinRxInterval: 2_000_000 })
    expect(sent(step(init, { kind: 'transmit-timer-expired' })[1])).toMatchObject([{ poll: true }])
    expect(actions).toContainEqual({ do: 'detect-since-last', milliseconds: 6000 })
    expect(after(sessionIn('Down'), { kind: 'configure', parameters: SLOW }).poll).toBe('none')
    expect(after(sessionIn('AdminDown'), { kind: 'configure', parameters: SLOW }).poll).toBe('none')
  })

  test('a Poll that is out in Down goes on in Init', () => {
    const [down] = step(sessionIn('Up'), packet({ state: 'Down' }))
    expect(down).toMatchObject({ state: 'Down', poll: 'polling' })
    expect(after(down, packet({ state: 'Down' }))).toMatchObject({ state: 'Init', poll: 'polling' })
  })

  test('nothing is sent and no timer is set for new values in AdminDown', () => {
    const gone = after(sessionIn('Up'), { kind: 'disable' })
    expect(step(gone, { kind: 'configure', parameters: SLOW })[1]).toEqual([])
  })

  test('another multiplier needs none, but towards a peer in Demand mode', () => {
    const more = { ...FAST, detectMult: 9 }
    expect(after(sessionIn('Up'), { kind: 'configure', parameters: more }).poll).toBe('none')
    const quiet = after(sessionIn('Up'), packet({ state: 'Up', demand: true }))
    expect(after(quiet, { kind: 'configure', parameters: more }).poll).toBe('polling')
    expect(after(quiet, { kind: 'configure', parameters: FAST }).poll).toBe('none')
  })
})

describe('a session that is taken over (RFC 5882 sections 3.3 and 4.3.2.2)', () => {
  const LONG: Parameters = { ...FAST, desiredMinTxInterval: 200_000_000 }
  const asked = after(sessionIn('Up'), { kind: 'configure', parameters: LONG })

  test('until the peer agrees, packets go on as before', () => {
    expect(transmitInterval(asked)).toBe(300_000)
    expect(sent(step(asked, { kind: 'transmit-timer-expired' })[1])).toMatchObject([
      { poll: true, desiredMinTxInterval: 200_000_000, requiredMinRxInterval: 300_000, detectMult: 3 },
    ])
    expect(transmitInterval(after(asked, packet({ state: 'Up', final: true })))).toBe(200_000_000)
  })

  test('goes on in Up with its discriminators, and polls the intervals of before', () => {
    const kept = keptOf(after(asked, packet({ state: 'Up', final: true })))
    const [resumed, actions] = step(newSession(FAST, kept.discriminator), { kind: 'resume', kept })
    expect(resumed).toMatchObject({ state: 'Up', poll: 'polling', discriminator: OUR_DISCRIMINATOR })
    expect(sent(actions)).toMatchObject([
      {
        state: 'Up',
        poll: true,
        myDiscriminator: OUR_DISCRIMINATOR,
        yourDiscriminator: kept.remote.discriminator,
        desiredMinTxInterval: 300_000,
      },
    ])
    expect(intervals(actions)).toEqual([300])
    expect(detections(actions)).toEqual([900])
    expect(after(resumed, packet({ state: 'Up', final: true }))).toMatchObject({ poll: 'none', state: 'Up' })
    expect(step(resumed, { kind: 'resume', kept })).toEqual([resumed, []])
  })

  test('is missed when the peer is not there any more, and down when it says so', () => {
    const kept = keptOf(after(asked, packet({ state: 'Up', final: true })))
    const [resumed] = step(newSession(FAST, kept.discriminator), { kind: 'resume', kept })
    expect(after(resumed, { kind: 'detection-timer-expired' }).state).toBe('Down')
    expect(after(resumed, packet({ state: 'Down' })).state).toBe('Down')
  })
})

describe('AdminDown (section 6.8.16)', () => {
  test('a peer that was heard within a Detection Time is still known when the session is wanted again', () => {
    const slow = packet({ state: 'Up', requiredMinRxInterval: 3_000_000 })
    const [gone, actions] = step(after(sessionIn('Up'), slow), { kind: 'disable' })
    expect(detections(actions)).toEqual([]) // the deadline that runs goes on to run
    const again = after(gone, { kind: 'enable' })
    expect(again).toMatchObject({ state: 'Down', remote: { discriminator: PEER_DISCRIMINATOR } })
    expect(transmitInterval(again)).toBe(3_000_000)
  })
  test('one that falls silent is forgotten', () => {
    const silent = after(sessionIn('Up'), { kind: 'disable' }, { kind: 'detection-timer-expired' })
    expect(silent).toMatchObject({ state: 'AdminDown', remote: { discriminator: 0 } })
  })
  test('packets move the deadline', () => {
    expect(detections(step(after(sessionIn('Up'), { kind: 'disable' }), packet({ state: 'Down' }))[1])).toEqual([900])
  })
})

test('100,000 random events keep the rules', () => {
  const random = seeded(6880)
  const whole = (limit: number) => Math.floor(random() * limit)
  const pick = <T>(of: readonly [T, ...T[]]): T => of[whole(of.length)] ?? of[0]
  let session = newSession(FAST, OUR_DISCRIMINATOR)
  const seen = new Map<string, number>()
  for (let count = 0; count < 100_000; count++) {
    const event: Event =
      whole(3) > 0
        ? packet({
            state: pick(['AdminDown', 'Down', 'Init', 'Up', 'Up', 'Up']),
            poll: random() < 0.2,
            final: random() < 0.2,
            demand: random() < 0.1,
            detectMult: 1 + whole(255),
            desiredMinTxInterval: whole(3_000_000),
            requiredMinRxInterval: pick([0, 1, 300_000, 2_000_000]),
          })
        : pick<Event>([
            { kind: 'enable' },
            { kind: 'enable' },
            { kind: 'disable' },
            { kind: 'configure', parameters: pick([FAST, FASTER, SLOW]) },
            { kind: 'transmit-timer-expired' },
            { kind: 'detection-timer-expired' },
          ])
    const [now, actions] = step(session, event)
    const { state, remote, poll } = now
    seen.set(`${session.state} to ${state}`, 1)
    if (state !== 'Up') {
      expect(now.desiredMinTxInterval).toBeGreaterThanOrEqual(1_000_000)
      expect(now.activeMinTxInterval).toBeGreaterThanOrEqual(1_000_000)
      if (state === 'AdminDown' || remote.discriminator === 0) expect(poll).toBe('none')
    }
    if (poll === 'none') {
      expect(now.activeMinTxInterval).toBe(now.desiredMinTxInterval)
      expect(now.activeMinRxInterval).toBe(now.requiredMinRxInterval)
    }
    expect(now.activeMinTxInterval).toBeLessThanOrEqual(now.desiredMinTxInterval)
    expect(now.activeMinRxInterval).toBeGreaterThanOrEqual(now.requiredMinRxInterval)
    const interval = transmitInterval(now)
    if (interval !== undefined) expect(interval).toBeGreaterThanOrEqual(remote.requiredMinRxInterval)
    if (interval !== transmitInterval(session) && event.kind !== 'configure') expect(intervals(actions)).not.toBeEmpty()
    expect(actions.filter(action => action.do === 'state').length).toBe(state === session.state ? 0 : 1)
    for (const out of sent(actions)) {
      expect(out.poll && out.final).toBe(false)
      expect(out.myDiscriminator).toBe(OUR_DISCRIMINATOR)
      if (out.poll) expect(out.state).not.toBe('AdminDown')
    }
    session = now
  }
  expect([...seen.keys()].sort()).toEqual(
    [
      ...['AdminDown to AdminDown', 'AdminDown to Down', 'Down to AdminDown', 'Down to Down', 'Down to Init'],
      ...['Down to Up', 'Init to AdminDown', 'Init to Down', 'Init to Init', 'Init to Up'],
      ...['Up to AdminDown', 'Up to Down', 'Up to Up'],
    ].sort(),
  )
})
