/**
 * BMP (RFC 7854) from real routers: what FRR and GoBGP say that they received and kept of our
 * routes, and what follows when their policy refuses or alters some.
 */
import { afterEach, expect } from 'bun:test'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import type { ClusterView } from '../../src/kube/cluster-view-types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import type { RoutesProof } from '../../src/speaker/session-status.ts'
import { createSwitchMonitor, type SwitchMonitor } from '../../src/speaker/switch-monitor.ts'
import { bgpPeer } from '../support/cluster.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { KEY, Lan, type LanOptions, LOCAL_AS, NODE, type RunningSpeaker, SWITCH, SWITCH_AS } from './lan.ts'
import { ROUTER_NEEDS, type RouterKind } from './routers.ts'

const PORT = 11019
const ROUTES = [
  { prefix: '10.0.1.0/25', nextHop: '10.9.0.11' },
  { prefix: '10.0.2.0/25', nextHop: '10.9.0.12' },
]
const LEARNT = { '10.0.1.0/25': '10.9.0.11', '10.0.2.0/25': '10.9.0.12' }

const REFUSED =
  /^by BMP: the device('s import policy refuses 10\.0\.2\.0\/25:| does not keep 10\.0\.2\.0\/25: its import policy)/

let lan: Lan | undefined
let monitor: SwitchMonitor | undefined
afterEach(async () => {
  monitor?.close()
  await lan?.close()
})

function monitorOf({ network, node }: Lan, { speaker }: RunningSpeaker): SwitchMonitor {
  const peer = bgpPeer(KEY, {
    peerIP: SWITCH.ipv4,
    peerAsNumber: SWITCH_AS,
    localAsNumber: LOCAL_AS,
    localSpeakers: ['node'],
    bmp: { enabled: true, port: PORT },
  })
  const view: ClusterView = {
    source: 'api',
    entries: [],
    peers: [peer],
    passwords: new Map(),
    passwordProblems: new Map(),
  }
  return createSwitchMonitor({
    self: 'node',
    view: { current: () => view, onChange: () => () => {} },
    speaker,
    transport: createTransport({
      clock: systemClock,
      within: action => inNetworkNamespace(network.path(node), action),
    }),
    clock: systemClock,
    log: silentLog,
    changed: () => {},
  })
}

async function start(kind: RouterKind, neighbour: LanOptions['neighbour']): Promise<Lan> {
  lan = new Lan(kind, { neighbour: { bmp: PORT, ...neighbour } })
  const running = lan.speaker(ROUTES)
  monitor = monitorOf(lan, running)
  await lan.router.start()
  await lan.established(running)
  await lan.routesBecome(LEARNT)
  return lan
}

async function proofBecomes(status: RoutesProof['status']): Promise<string> {
  await eventually(`the proof is ${status}`, () => monitor?.proofOf(KEY)?.status === status)
  return monitor?.proofOf(KEY)?.message ?? ''
}

/** GoBGP reads its configuration when it comes to it, and looks at what it has when it is asked. */
async function applied({ router }: Lan, isSo: () => boolean): Promise<void> {
  await eventually('the policy is applied', () => {
    router.refresh()
    return isSo()
  })
}

for (const kind of ['frr', 'gobgp'] as const) {
  testNeeding(...ROUTER_NEEDS[kind])(
    `${kind}: what it keeps, what its policy refuses, and what it keeps again`,
    async () => {
      const at = await start(kind, {})
      expect(await proofBecomes('True')).toContain('has 2 of them')
      const has = (prefix: string) => prefix in at.router.routes()
      at.router.configure({ ...at.routerConfig, neighbour: { ...at.routerConfig.neighbour, refuses: '10.0.2.0/25' } })
      await applied(at, () => !has('10.0.2.0/25'))
      expect(await proofBecomes('False')).toMatch(REFUSED)
      at.router.configure(at.routerConfig)
      await applied(at, () => has('10.0.2.0/25'))
      await proofBecomes('True')
    },
    300_000,
  )
}

testNeeding(...ROUTER_NEEDS.frr)(
  'frr: a next hop that its policy changes, and a router that falls silent',
  async () => {
    const at = await start('frr', {})
    await proofBecomes('True')
    at.router.configure({ ...at.routerConfig, neighbour: { ...at.routerConfig.neighbour, nextHop: NODE.ipv4 } })
    at.router.refresh()
    expect(await proofBecomes('False')).toContain(`10.0.2.0/25 (from 10.9.0.12 to ${NODE.ipv4})`)
    at.router.close()
    await eventually('nothing is known any more', () => monitor?.proofOf(KEY) === undefined)
  },
  300_000,
)
