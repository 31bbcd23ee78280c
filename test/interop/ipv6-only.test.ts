/**
 * A LAN of IPv6 alone whose pods have IPv4 too: what the speaker room makes of its BGPPeer, with a
 * real router as the switch. IPv4 podCIDRs go out over IPv6 next hops (RFC 8950), and by the
 * agent's routes packets find the way back; a switch that did not agree to that, or to a family,
 * gets the rest, and status, an Event and the log say what to enable there.
 */
import { expect } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgent } from '../../src/agent/reconcile.ts'
import type { PeerConfig } from '../../src/bgp/speaker-types.ts'
import type { KubeEvent } from '../../src/kube/api.ts'
import type { SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import type { KubeObject } from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { desiredPeers } from '../../src/speaker/desired-peers.ts'
import { createSpeakerRoom } from '../../src/speaker/reconcile.ts'
import { bgpPeer, view } from '../speaker/fixtures.ts'
import { PlainView } from '../support/cluster.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { KEY, Lan, type LanOptions, NODE, SWITCH } from './lan.ts'
import { ROUTER_NEEDS, type RouterKind } from './routers.ts'

const PEER = bgpPeer(KEY, { peerIP: SWITCH.ipv6, localSpeakers: ['node-1'] })
const ENTRIES = [
  { node: 'node-1', addresses: [NODE.ipv6], podCIDRs: ['10.0.1.0/25', 'fd01:1::/64'], peers: [KEY] },
  { node: 'node-2', addresses: ['fd00:9::12'], podCIDRs: ['10.0.2.0/25', 'fd01:2::/64'], peers: [KEY] },
]
const LOCAL = [{ interface: 'eth0', address: NODE.ipv6, prefixLength: 64, carrier: true }]
const VIEW = view({ peers: [PEER], entries: ENTRIES })
const DESIRED = desiredPeers({ self: 'node-1', view: VIEW, local: LOCAL })
const IPV6_ROUTES = { 'fd01:1::/64': NODE.ipv6, 'fd01:2::/64': 'fd00:9::12' }

async function withSwitch(
  kind: RouterKind,
  neighbour: NonNullable<LanOptions['neighbour']>,
  body: (lan: Lan, told: Told) => Promise<void>,
): Promise<void> {
  const peer: Partial<PeerConfig> = DESIRED.peers[0] ?? {}
  const lan = new Lan(kind, { over: 'ipv6', families: ['ipv4', 'ipv6'], neighbour, peer })
  const told: Told = { entries: [], events: [] }
  try {
    for (const namespace of [lan.node, lan.switch]) lan.network.ip(namespace, '-4 addr flush dev eth0')
    await lan.router.start()
    const running = lan.speaker(DESIRED.announcements.get(KEY) ?? [])
    const room = openRoom(running.speaker, told)
    await lan.established(running)
    await body(lan, told)
    await room.close({ mode: 'restart' })
  } finally {
    await lan.close()
  }
}

/** What the room wrote. */
interface Told {
  readonly entries: SpeakerStatus[]
  readonly events: KubeEvent[]
}

function openRoom(speaker: Parameters<typeof createSpeakerRoom>[0]['speaker'], told: Told) {
  const apply = async <T extends KubeObject>(_: unknown, object: T): Promise<T> => {
    const { status } = object as KubeObject & { status?: { speakers?: SpeakerStatus[] } }
    told.entries.push(...(status?.speakers ?? []))
    return object
  }
  return createSpeakerRoom({
    self: 'node-1',
    view: PlainView.of(VIEW),
    api: { apply },
    events: { record: event => told.events.push(event), close: async () => {} },
    speaker,
    marker: undefined,
    localAddresses: () => LOCAL,
    linkTo: () => 'eth0',
    clock: systemClock,
    log: silentLog,
  })
}

testNeeding(...ROUTER_NEEDS.bird)(
  'IPv4 podCIDRs are routes via inet6 in the kernel of the switch, each to its node',
  async () => {
    expect(DESIRED.problems).toEqual([])
    await withSwitch('bird', { extendedNextHop: true }, async (lan, told) => {
      await lan.routesBecome({ '10.0.1.0/25': NODE.ipv6, '10.0.2.0/25': 'fd00:9::12', ...IPV6_ROUTES })
      expect(lan.network.ip(lan.switch, '-4 route show 10.0.2.0/25')).toContain('via inet6 fd00:9::12')
      await packetsBothWays(lan)
      const entry = await eventually('the entry', () => told.entries.find(({ state }) => state === 'Established'))
      expect(entry).toMatchObject({ advertisedPrefixes: 4 })
      expect(entry).not.toHaveProperty('lastError')
      expect(told.events.filter(({ reason }) => reason === 'NotAnnounced')).toEqual([])
    })
  },
  300_000,
)

/**
 * A pod's address on the node, with the agent's routes there, and one of another LAN on the switch:
 * by BIRD's routes and ours they meet.
 */
async function packetsBothWays(lan: Lan): Promise<void> {
  lan.network.ip(lan.node, 'addr add 10.0.1.5/32 dev lo')
  lan.network.ip(lan.switch, 'addr add 10.0.9.5/32 dev lo')
  const elsewhere = { node: 'node-9', addresses: ['fd00:8::9'], podCIDRs: ['10.0.9.0/25'], peers: [] }
  const folder = mkdtempSync(join(tmpdir(), 'te-ipv6-only-'))
  const agent = createAgent({
    clock: systemClock,
    log: silentLog,
    self: 'node-1',
    view: new PlainView([...ENTRIES, elsewhere], [PEER]),
    netns: lan.network.path(lan.node),
    config: { protocol: 187, table: 254, stateDir: folder, cni: { confDir: folder, binDir: folder, mtu: 'auto' } },
  })
  try {
    const pings = (from: string, source: string, to: string) =>
      lan.network.exec(from, ['ping', '-c1', '-W1', '-I', source, to], { mayFail: true }).status === 0
    await eventually('IPv4 packets both ways', () => {
      return pings(lan.node, '10.0.1.5', '10.0.9.5') && pings(lan.switch, '10.0.9.5', '10.0.1.5')
    })
    expect(lan.network.ip(lan.node, '-4 route show 10.0.9.0/25')).toContain(`via inet6 ${SWITCH.ipv6}`)
    expect(lan.network.ip(lan.node, '-4 route show 10.0.2.0/25')).toContain('via inet6 fd00:9::12')
  } finally {
    await agent.close()
    rmSync(folder, { recursive: true })
  }
}

const LACKING = [
  ['bird', 'RFC 8950', { extendedNextHop: false }, /2 IPv4 prefixes: their next hops are IPv6, .*RFC 8950/],
  ['frr', 'RFC 8950', { extendedNextHop: false }, /2 IPv4 prefixes: their next hops are IPv6, .*RFC 8950/],
  ['bird', 'IPv4', { families: ['ipv6'] }, /2 IPv4 prefixes: the peer did not agree to IPv4 unicast/],
] as const

for (const [kind, what, neighbour, text] of LACKING) {
  testNeeding(...ROUTER_NEEDS[kind])(
    `${kind} without ${what} learns IPv6 alone; status, one Event and the log say what to enable there`,
    async () => {
      await withSwitch(kind, neighbour, async (lan, told) => {
        await lan.routesBecome(IPV6_ROUTES)
        const entry = await eventually('status', () => told.entries.find(({ lastError }) => lastError !== undefined))
        expect(entry).toMatchObject({ state: 'Established', advertisedPrefixes: 2 })
        expect(entry.lastError).toMatch(text)
        const events = told.events.filter(({ reason }) => reason === 'NotAnnounced')
        expect(events.map(({ type }) => type)).toEqual(['Warning'])
        expect(events[0]?.message).toMatch(text)
        const said = lan.logLines.filter(({ msg }) => msg === 'cannot announce')
        expect(said).toMatchObject([{ count: 2, address: SWITCH.ipv6 }])
      })
    },
    300_000,
  )
}
