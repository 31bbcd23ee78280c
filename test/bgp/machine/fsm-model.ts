/**
 * What the shell of a state machine would hold, and the invariants of RFC 4271 that it must keep
 * whatever happens: one connection, one timer of each kind and only those of the state, nothing
 * sent before OPEN or after the end, Established only with both OPENs accepted.
 */
import { idleSession, step } from '../../../src/bgp/machine/fsm.ts'
import type { Action, Event, Session, Settings, Timer } from '../../../src/bgp/machine/fsm-types.ts'
import type { State } from '../../../src/bgp/speaker-types.ts'

function must(held: boolean, what: string): void {
  if (!held) throw new Error(`the state machine broke an invariant: ${what}`)
}

/** What the shell would hold: a connection, timers, and what went over the connection. */
export class Model {
  connection: 'none' | 'connecting' | 'up' = 'none'
  readonly timers = new Set<Timer>()
  sentOpen = false
  gotOpen = false
  up = false

  before(session: Session, event: Event): void {
    const comesUp = event.kind === 'Tcp_CR_Acked' || event.kind === 'TcpConnectionConfirmed'
    if (comesUp && (session.state === 'Connect' || session.state === 'Active')) {
      this.connection = 'up'
      this.sentOpen = false
      this.gotOpen = false
    }
    if (event.kind === 'BGPOpen' && session.state === 'OpenSent') this.gotOpen = true
    if (event.kind.endsWith('_Expires')) this.timers.delete(event.kind.replace('_Expires', '') as Timer)
  }

  act(action: Action): void {
    switch (action.do) {
      case 'connect':
        must(this.connection === 'none', 'connects beside a connection')
        this.connection = 'connecting'
        break
      case 'send':
        must(this.connection === 'up', 'sends without a connection')
        if (action.message.type === 'OPEN') this.sentOpen = true
        else must(this.sentOpen, 'sends before OPEN')
        break
      case 'close':
      case 'abort':
        this.connection = 'none'
        break
      case 'startTimer':
        must(action.seconds > 0, `${action.timer} of ${action.seconds} s`)
        this.timers.add(action.timer)
        break
      case 'stopTimer':
        this.timers.delete(action.timer)
        break
      case 'up':
        must(!this.up, 'up twice')
        must(this.sentOpen && this.gotOpen, 'up without both OPENs')
        this.up = true
        break
      case 'down':
        this.up = false
        break
      case 'update':
      case 'refresh':
        must(this.up, `${action.do} of a session that is not up`)
    }
  }

  after(session: Session): void {
    must(this.up === (session.state === 'Established'), `up in ${session.state}`)
    const withConnection = ['OpenSent', 'OpenConfirm', 'Established'].includes(session.state)
    const connection = withConnection ? 'up' : session.state === 'Connect' ? 'connecting' : 'none'
    must(this.connection === connection, `connection ${this.connection} in ${session.state}`)
    const holdTime = 'negotiated' in session ? session.negotiated.holdTimeSeconds : undefined
    const expected: Record<State, Timer[]> = {
      Idle: [],
      Connect: ['ConnectRetryTimer'],
      Active: session.passive ? [] : ['ConnectRetryTimer'],
      OpenSent: ['HoldTimer'],
      OpenConfirm: holdTime === 0 ? [] : ['HoldTimer', 'KeepaliveTimer'],
      Established: holdTime === 0 ? [] : ['HoldTimer', 'KeepaliveTimer', 'SendHoldTimer'],
    }
    const timers = expected[session.state]
    const right = timers.length === this.timers.size && timers.every(timer => this.timers.has(timer))
    must(right, `timers ${[...this.timers]} in ${session.state}`)
  }
}

/** A machine and its shell. Throws when an invariant is broken. */
export class ModelledMachine {
  session: Session
  readonly #model = new Model()

  constructor(settings: Settings) {
    this.session = idleSession(settings)
  }

  feed(event: Event): void {
    this.#model.before(this.session, event)
    const [next, actions] = step(this.session, event)
    for (const action of actions) this.#model.act(action)
    this.session = next
    // A timer that expired without being set again in a state that needs it cannot happen in the
    // shell: it was running.
    if (!event.kind.endsWith('_Expires') || next.state === 'Idle') this.#model.after(next)
  }
}
