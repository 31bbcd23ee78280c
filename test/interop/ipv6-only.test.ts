/**
 * A LAN of IPv6 alone whose pods have IPv4 too: what the speaker room makes of its BGPPeer, with BIRD as the switch. IPv4 podCIDRs go out
 * over IPv6 next hops (RFC 8950); a switch that did not agree to that gets IPv6 alone, and the log says why.
 */
import { expect } from 'bun:test'
import type { PeerConfig } from '../../src/bgp/speaker-types.ts'
import { desiredPeers } from '../../src/speaker/desired-peers.ts'
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
    })
  },
  60_000,
)

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
