/**
 * The state machine without clock or socket: every state with every event (the cells are in
 * fsm-cells.ts), then random sequences beside a model.
 */
import { describe, expect, test } from 'bun:test'
import { notification } from '../../../src/bgp/codec/errors.ts'
import type { Open } from '../../../src/bgp/codec/message-types.ts'
import { idleSession, step } from '../../../src/bgp/machine/fsm.ts'
import type { Action, Event } from '../../../src/bgp/machine/fsm-types.ts'
import type { State } from '../../../src/bgp/speaker-types.ts'
import { CELLS } from './fsm-cells.ts'
import { EVENTS, PEER_OPEN, SETTINGS, sessionIn, textOf } from './fsm-fixtures.ts'
import { ModelledMachine } from './fsm-model.ts'

describe('every state and event (RFC 4271 section 8.2.2)', () => {
  for (const [state, cells] of Object.entries(CELLS)) {
    for (const [kind, expected] of Object.entries(cells)) {
      test(`${state} x ${kind}`, () => {
        const event = EVENTS[kind as Event['kind']]
        expect(textOf(step(sessionIn(state as State), event))).toBe(expected)
      })
    }
  }
})

describe('OPEN in OpenSent', () => {
  const answer = (open: Partial<Open>) => {
    const [session, actions] = step(sessionIn('OpenSent'), { kind: 'BGPOpen', open: { ...PEER_OPEN, ...open } })
    return { session, sent: actions.flatMap(action => (action.do === 'send' ? [action.message] : [])) }
  }

  test('a hold time of 0 means no timers', () => {
    const { session } = answer({ holdTime: 0 })
    const [established, actions] = step(session, { kind: 'KeepAliveMsg' })
    expect(established.state).toBe('Established')
    expect(actions.map(({ do: what }) => what)).toEqual(['up'])
  })
  test('the HoldTimer of OpenSent ends with a hold time of 0', () => {
    const [, actions] = step(sessionIn('OpenSent'), { kind: 'BGPOpen', open: { ...PEER_OPEN, holdTime: 0 } })
    expect(actions).toContainEqual({ do: 'stopTimer', timer: 'HoldTimer' })
  })
  test('wrong AS: 2/2, and the AS is in the reason', () => {
    const [session, actions] = step(sessionIn('OpenSent'), {
      kind: 'BGPOpen',
      open: { ...PEER_OPEN, asNumber: 65009 },
    })
    expect(session.state).toBe('Idle')
    expect(actions[0]).toEqual({ do: 'send', message: notification(2, 2) })
    expect(actions.at(-1)).toMatchObject({ do: 'down', reason: { kind: 'notification-sent', wrongAs: 65009 } })
  })
})

describe('stopping', () => {
  test('AutomaticStop without a NOTIFICATION just closes (RFC 4724)', () => {
    expect(textOf(step(sessionIn('Established'), { kind: 'AutomaticStop' }))).toBe(
      'Idle#4: close stop-timers down(stopped)',
    )
  })
  test('a passive machine never connects', () => {
    let session = idleSession(SETTINGS)
    const done: Action[] = []
    const path = [
      EVENTS.ManualStart_with_PassiveTcpEstablishment,
      EVENTS.TcpConnectionConfirmed,
      EVENTS.TcpConnectionFails,
      EVENTS.TcpConnectionConfirmed,
    ]
    for (const event of path) {
      const [next, actions] = step(session, event)
      session = next
      done.push(...actions)
    }
    expect(session.state).toBe('OpenSent')
    expect(done.filter(action => action.do === 'connect')).toEqual([])
    expect(done.filter(action => action.do === 'startTimer' && action.timer === 'ConnectRetryTimer')).toEqual([])
  })
})

/** xorshift32: the same sequence each run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const RANDOM_OPENS: readonly Open[] = [
  PEER_OPEN,
  PEER_OPEN,
  { ...PEER_OPEN, holdTime: 0 },
  { ...PEER_OPEN, holdTime: 2 },
  { ...PEER_OPEN, asNumber: 65009 },
  { ...PEER_OPEN, asNumber: 0 },
  { ...PEER_OPEN, bgpIdentifier: '0.0.0.0' },
  { ...PEER_OPEN, version: 3 },
  { ...PEER_OPEN, capabilities: [] },
  { ...PEER_OPEN, capabilities: [{ kind: 'multiprotocol', afi: 25, safi: 65 }] },
]

test('long random sequences keep the invariants', () => {
  const kinds = Object.keys(EVENTS) as Event['kind'][]
  // Events that lead on come more often, else Established is rare.
  const likely: Event['kind'][] = ['ManualStart', 'Tcp_CR_Acked', 'BGPOpen', 'KeepAliveMsg', 'MessagesSent']
  const reached = new Set<State>()
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomNumbers(seed * 7919)
    const machine = new ModelledMachine(SETTINGS)
    for (let turn = 0; turn < 1000; turn++) {
      const kind = (random(3) === 0 ? kinds[random(kinds.length)] : likely[random(likely.length)]) ?? 'KeepAliveMsg'
      const open = RANDOM_OPENS[random(RANDOM_OPENS.length)] ?? PEER_OPEN
      machine.feed(kind === 'BGPOpen' ? { kind, open } : EVENTS[kind])
      reached.add(machine.session.state)
    }
  }
  expect(reached.size).toBe(6)
})

describe('a message that a state does not expect is answered with its type (RFC 6608 section 4)', () => {
  const refreshError: Event = { ...EVENTS.UpdateMsgErr, messageType: 5 }
  test.each<[State, Event, number, number]>([
    ['OpenSent', EVENTS.KeepAliveMsg, 1, 4],
    ['OpenSent', EVENTS.UpdateMsg, 1, 2],
    ['OpenSent', EVENTS.UpdateMsgErr, 1, 2],
    ['OpenSent', EVENTS.RouteRefreshMsg, 1, 5],
    ['OpenConfirm', EVENTS.BGPOpen, 2, 1],
    ['OpenConfirm', EVENTS.UpdateMsg, 2, 2],
    ['OpenConfirm', EVENTS.RouteRefreshMsg, 2, 5],
    ['OpenConfirm', refreshError, 2, 5],
    ['Established', EVENTS.BGPOpen, 3, 1],
    ['Established', EVENTS.BGPOpenMsgErr, 3, 1],
  ])('%s', (state, event, subcode, type) => {
    const [, actions] = step(sessionIn(state), event)
    expect(actions.find(action => action.do === 'send')).toMatchObject({
      message: { code: 5, subcode, data: Uint8Array.of(type) },
    })
  })
})
