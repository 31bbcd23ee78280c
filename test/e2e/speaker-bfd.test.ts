/**
 * BFD and BGP together, as a BGPPeer asks for it, with BIRD and FRR as the switch: the speaker room
 * with the real speaker and the real BFD worker, whose sockets are in the node's namespace. The API
 * server is the test's.
 */
import { expect } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBfd } from '../../src/bfd/bfd.ts'
import type { Bfd } from '../../src/bfd/bfd-types.ts'
import { createSpeaker } from '../../src/bgp/speaker.ts'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import type { KubeEvent } from '../../src/kube/api.ts'
import type { BGPPeerSpec } from '../../src/kube/bgp-peer.ts'
import type { KubeObject, ResourceType } from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createSpeakerRoom, type SpeakerRoom } from '../../src/speaker/reconcile.ts'
import { openRestartMarker } from '../../src/speaker/restart-marker.ts'
import { BFD_ROUTER_NEEDS, type BfdRouter, type BfdRouterKind, type BfdWord, createBfdRouter } from '../bfd/routers.ts'
import { bgpPeer, entry, view } from '../speaker/fixtures.ts'
import { PlainView } from '../support/cluster.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const NODE = '10.9.0.1'
const SWITCH = '10.9.0.254'
const PREFIX = '10.0.1.0/25'
const BFD = { enabled: true, minimumIntervalMilliseconds: 100, multiplier: 3 }

class Lan {
  readonly network = new TestNetwork()
  readonly node = this.network.namespace('node')
  readonly switch = this.network.namespace('switch')
  readonly events: KubeEvent[] = []
  readonly statuses: unknown[] = []
  readonly state = mkdtempSync(join(tmpdir(), 'terway-edge-bfd-'))
  readonly router: BfdRouter
  readonly #view: PlainView
  readonly #rooms: SpeakerRoom[] = []
  bfd: Bfd = this.#createBfd()
  room: SpeakerRoom

  constructor(kind: BfdRouterKind, how: { readonly peerBfd: BfdWord; readonly spec?: Partial<BGPPeerSpec> }) {
    this.network.connect(
      { namespace: this.node, interface: 'eth0', addresses: [`${NODE}/24`] },
      { namespace: this.switch, interface: 'eth0', addresses: [`${SWITCH}/24`] },
    )
    if (how.peerBfd === 'off') {
      const rules = 'add table inet t; add chain inet t in { type filter hook input priority 0; }; '
      this.network.exec(this.switch, ['nft', `${rules}add rule inet t in udp dport 3784 drop`])
    }
    this.router = createBfdRouter(kind, this.network, this.switch, {
      neighbours: [NODE],
      intervalMilliseconds: 100,
      multiplier: 3,
      bgp: { asNumber: 65001, neighbourAs: 65010, bfd: how.peerBfd },
    })
    const peer = bgpPeer('lan', { peerIP: SWITCH, connectRetrySeconds: 1, bfd: BFD, ...how.spec })
    this.#view = PlainView.of(view({ peers: [peer], entries: [entry('node-1', NODE, PREFIX, ['lan'])] }))
    this.room = this.#createRoom()
  }

  #createBfd(): Bfd {
    return createBfd({ clock: systemClock, log: silentLog, networkNamespace: this.network.path(this.node) })
  }

  /** The next process. */
  startAgain(): void {
    this.bfd = this.#createBfd()
    this.room = this.#createRoom()
  }

  #createRoom(): SpeakerRoom {
    const marker = openRestartMarker(this.state, systemClock)
    const speaker = createSpeaker({
      clock: systemClock,
      log: silentLog,
      restarting: marker.restarting,
      transport: createTransport({
        clock: systemClock,
        within: action => inNetworkNamespace(this.network.path(this.node), action),
      }),
    })
    const apply = async <T extends KubeObject>(_type: ResourceType, object: T): Promise<T> => {
      this.statuses.push('status' in object ? object.status : undefined)
      return object
    }
    const room = createSpeakerRoom({
      self: 'node-1',
      view: this.#view,
      api: { apply },
      events: { record: event => this.events.push(event), close: async () => {} },
      speaker,
      bfd: this.bfd,
      marker,
      localAddresses: () => [{ interface: 'eth0', address: NODE, prefixLength: 24, carrier: true }],
      linkTo: () => 'eth0',
      clock: systemClock,
      log: silentLog,
    })
    this.#rooms.push(room)
    return room
  }

  bfdState(): string | undefined {
    return this.bfd.sessions()[0]?.state
  }

  async established(seconds = 60): Promise<void> {
    await eventually('established', () => this.room.sessions()[0]?.state === 'Established', seconds)
    await eventually('the switch has the prefix', () => this.router.prefixes().includes(PREFIX))
  }

  async close(): Promise<void> {
    for (const room of this.#rooms) await room.close({ mode: 'restart' })
    this.router.close()
    rmSync(this.state, { recursive: true })
    await this.network.close()
  }
}

for (const kind of ['bird', 'frr'] satisfies BfdRouterKind[]) {
  const withLan = (name: string, how: ConstructorParameters<typeof Lan>[1], body: (lan: Lan) => Promise<void>) =>
    testNeeding(...BFD_ROUTER_NEEDS[kind])(
      `${kind}: ${name}`,
      async () => {
        const lan = new Lan(kind, how)
        try {
          await lan.router.start()
          await body(lan)
        } catch (error) {
          const { bfd, room, events, statuses } = lan
          throw new Error(
            JSON.stringify({ bfd: bfd.sessions(), bgp: room.sessions(), events, statuses }, undefined, 1),
            {
              cause: error,
            },
          )
        } finally {
          await lan.close()
        }
      },
      300_000,
    )

  withLan('a switch that hangs is lost by BFD, which status and Events name', { peerBfd: 'graceful' }, async lan => {
    await lan.established()
    await eventually('BFD is up', () => lan.bfdState() === 'Up')
    await Bun.sleep(1_500) // FRR sets its session up anew when its bgpd asks for it
    await lan.established()
    await eventually('BFD is up', () => lan.bfdState() === 'Up')
    lan.events.length = 0
    lan.router.signal('SIGSTOP')
    const named = `BFD down: nothing from ${SWITCH} for 300 ms (Control Detection Time Expired)`
    // not the hold time of 90 s
    await eventually('SessionLost', () => lan.events.some(({ reason }) => reason === 'SessionLost'))
    const lost = lan.events.find(({ reason }) => reason === 'SessionLost')
    expect(lost).toMatchObject({ type: 'Warning', message: `node-1 to ${SWITCH} AS 65001: ${named}` })
    await eventually('the status names it', () => JSON.stringify(lan.statuses).includes(named))
    lan.router.signal('SIGCONT')
    await lan.established(30)
    await eventually('BFD is up again', () => lan.bfdState() === 'Up')
  })

  withLan('a switch without BFD: BGP is not held back', { peerBfd: 'off' }, async lan => {
    await lan.established()
    await Bun.sleep(2_000)
    expect(lan.bfdState()).not.toBe('Up')
    expect(lan.room.sessions()[0]?.state).toBe('Established')
    expect(lan.events.map(({ reason }) => reason)).not.toContain('SessionLost')
  })

  // BIRD itself lets nobody in for a minute after BFD took a session down
  if (kind === 'frr') {
    withLan('a path that BFD lost in one direction: BGP waits until BFD is back', { peerBfd: 'plain' }, async lan => {
      await lan.established()
      await eventually('BFD is up', () => lan.bfdState() === 'Up')
      const rules = 'add table inet t; add chain inet t in { type filter hook input priority 0; }; '
      lan.network.exec(lan.switch, ['nft', `${rules}add rule inet t in udp dport 3784 drop`])
      await eventually('BGP is lost', () => lan.room.sessions()[0]?.state !== 'Established')
      await Bun.sleep(4_000) // the rest after a loss is one second
      expect(lan.room.sessions()[0]?.state).not.toBe('Established')
      expect(lan.bfdState()).not.toBe('Up')
      lan.network.exec(lan.switch, ['nft', 'delete table inet t'])
      await lan.established(30)
      expect(lan.bfdState()).toBe('Up')
    })
  }

  for (const peerBfd of ['plain', 'graceful'] as const) {
    withLan(`a planned restart keeps routes and BFD on a switch with ${peerBfd} BFD`, { peerBfd }, async lan => {
      const isUp = () => lan.bfdState() === 'Up' && lan.router.session(NODE)?.state === 'up'
      await lan.established()
      await eventually('BFD is up', isUp)
      await lan.room.close({ mode: 'restart' })
      const seen = new Set<string>()
      const watch = async (what: string, done: () => boolean, seconds: number) => {
        await eventually(
          what,
          () => {
            seen.add(`${lan.router.prefixes().join()} ${lan.router.session(NODE)?.state}`)
            return done()
          },
          seconds,
        )
      }
      const back = performance.now() + 2_000 // many Detection Times of 300 ms
      await watch('a while without us', () => performance.now() > back, 5)
      lan.startAgain()
      await watch('established again', () => lan.room.sessions()[0]?.state === 'Established', 20)
      const detection = () => lan.router.session(NODE)?.detectionTimeMilliseconds
      await watch('the former Detection Time', () => isUp() && detection() === 300, 10)
      const later = performance.now() + 1_500
      await watch('a while with us', () => performance.now() > later, 5)
      expect([...seen]).toEqual([`${PREFIX} up`])
      lan.router.signal('SIGSTOP')
      await eventually('a path that goes is noticed as before', () => lan.bfdState() === 'Down')
      lan.router.signal('SIGCONT')
    })
  }
}
