/**
 * A LAN of IPv6 alone whose pods have IPv4 too: what the speaker room makes of its BGPPeer, with BIRD as the switch. IPv4 podCIDRs go out
 * over IPv6 next hops (RFC 8950), and by the agent's routes packets find the way back; a switch that did not agree to that gets IPv6 alone,
 * and the log says why.
 */
import { expect } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgent } from '../../src/agent/reconcile.ts'
import type { PeerConfig } from '../../src/bgp/speaker-types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { desiredPeers } from '../../src/speaker/desired-peers.ts'
import { PlainView } from '../agent/cluster.ts'
import { bgpPeer, view } from '../speaker/fixtures.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { KEY, Lan, NODE, SWITCH } from './lan.ts'
import { ROUTER_NEEDS } from './routers.ts'

const PEER = bgpPeer(KEY, { peerIP: SWITCH.ipv6, localSpeakers: ['node-1'] })
const ENTRIES = [
  { node: 'node-1', addresses: [NODE.ipv6], podCIDRs: ['10.0.1.0/25', 'fd01:1::/64'], peers: [KEY] },
  { node: 'node-2', addresses: ['fd00:9::12'], podCIDRs: ['10.0.2.0/25', 'fd01:2::/64'], peers: [KEY] },
]
const DESIRED = desiredPeers({
  self: 'node-1',
  view: view({ peers: [PEER], entries: ENTRIES }),
  local: [{ interface: 'eth0', address: NODE.ipv6 }],
})
const IPV6_ROUTES = { 'fd01:1::/64': NODE.ipv6, 'fd01:2::/64': 'fd00:9::12' }

async function withSwitch(extendedNextHop: boolean, body: (lan: Lan) => Promise<void>): Promise<void> {
  const peer: Partial<PeerConfig> = DESIRED.peers[0] ?? {}
  const lan = new Lan('bird', { over: 'ipv6', families: ['ipv4', 'ipv6'], neighbour: { extendedNextHop }, peer })
  try {
    for (const namespace of [lan.node, lan.switch]) lan.network.ip(namespace, '-4 addr flush dev eth0')
    await lan.router.start()
    const running = lan.speaker(DESIRED.announcements.get(KEY) ?? [])
    await lan.established(running)
    await body(lan)
  } finally {
    await lan.close()
  }
}

testNeeding(...ROUTER_NEEDS.bird)(
  'IPv4 podCIDRs are routes via inet6 in the kernel of the switch, each to its node',
  async () => {
    expect(DESIRED.problems).toEqual([])
    await withSwitch(true, async lan => {
      await lan.routesBecome({ '10.0.1.0/25': NODE.ipv6, '10.0.2.0/25': 'fd00:9::12', ...IPV6_ROUTES })
      expect(lan.network.ip(lan.switch, '-4 route show 10.0.2.0/25')).toContain('via inet6 fd00:9::12')
      await packetsBothWays(lan)
    })
  },
  60_000,
)

/** A pod's address on the node, with the agent's routes there, and one of another LAN on the switch: by BIRD's routes and ours they meet. */
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

testNeeding(...ROUTER_NEEDS.bird)(
  'a switch without the capability learns IPv6 alone, and the log says what to enable there',
  async () => {
    await withSwitch(false, async lan => {
      await lan.routesBecome(IPV6_ROUTES)
      const said = await eventually('the log says so', () =>
        lan.logLines.find(({ msg, reason }) => msg === 'cannot announce' && /RFC 8950/.test(`${reason}`)),
      )
      expect(said).toMatchObject({ count: 2, address: SWITCH.ipv6 })
    })
  },
  60_000,
)
