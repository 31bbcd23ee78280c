/**
 * A speaker with one peer, on a clock and a network that the test holds.
 */
import type { Open } from '../../src/bgp/codec/message-types.ts'
import { localOpen } from '../../src/bgp/machine/negotiation.ts'
import { createSpeaker } from '../../src/bgp/speaker.ts'
import type { PeerConfig, SessionEvent, SessionView, Speaker } from '../../src/bgp/speaker-types.ts'
import type { TransportProblem } from '../../src/bgp/tcp/transport-types.ts'
import { type Log, type LogFields, silentLog } from '../../src/lib/log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { SETTINGS } from './machine/fsm-fixtures.ts'
import { type FakeConnection, FakeTransport, peerConfig } from './peer-fixtures.ts'

export const ROUTE = { prefix: '10.0.1.0/24', nextHop: '10.0.0.11' }

/** The OPEN of the peer. */
export function peerOpen(changes: Partial<Parameters<typeof localOpen>[0]> = {}): Open {
  return localOpen({ ...SETTINGS.local, localAs: 65001, routerId: '10.0.0.2', families: ['ipv4'], ...changes })
}

/** That of a peer without graceful restart. */
export const WITHOUT_RESTART = (() => {
  const { gracefulRestart: _none, ...local } = SETTINGS.local
  return localOpen({ ...local, localAs: 65001, routerId: '10.0.0.2', families: ['ipv4'] })
})()

export class World {
  readonly clock = new FakeClock()
  readonly transport = new FakeTransport()
  readonly events: SessionEvent[] = []
  readonly speaker: Speaker
  readonly warnings: (LogFields & { readonly msg: string })[] = []

  constructor(
    config: Partial<PeerConfig> = {},
    options: { restarting?: boolean; rebooted?: boolean; announce?: boolean; keyProblem?: TransportProblem } = {},
  ) {
    this.transport.keyProblem = options.keyProblem
    const warn: Log['warn'] = (fields, msg) => this.warnings.push({ ...fields, msg })
    this.speaker = createSpeaker({
      clock: this.clock,
      log: { ...silentLog, warn, child: () => ({ ...silentLog, warn }) },
      listen: { port: 179 },
      restarting: options.restarting ?? false,
      rebooted: options.rebooted ?? false,
      transport: this.transport,
    })
    this.speaker.onEvent(event => this.events.push(event))
    if (options.announce !== false) this.speaker.setAnnouncements('lan', [ROUTE])
    this.speaker.setPeers([peerConfig(config)])
  }
  get view(): SessionView {
    const [view] = this.speaker.sessions()
    if (view === undefined) throw new Error('no session')
    return view
  }
  get kinds(): string[] {
    return this.events.map(event => ('error' in event ? `${event.kind} ${event.error.kind}` : event.kind))
  }
  /** The peer's side of the handshake on a connection. */
  shake(connection: FakeConnection, open: Open = peerOpen()): FakeConnection {
    connection.send(open)
    connection.send({ type: 'KEEPALIVE' })
    return connection
  }
  up(open: Open = peerOpen()): FakeConnection {
    return this.shake(this.transport.dial.connect(), open)
  }
}
