/**
 * One node with two switches, of different make: each has all the routes by a session of its own,
 * and what happens to one session does not touch the other.
 */
import { expect } from 'bun:test'
import { createSpeaker } from '../../src/bgp/speaker.ts'
import type { PeerConfig } from '../../src/bgp/speaker-types.ts'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { LOCAL_AS, SWITCH_AS } from './lan.ts'
import { createRouter, ROUTER_NEEDS, type RouterKind } from './routers.ts'

const SWITCHES = [
  { kind: 'bird', node: '10.9.1.1', address: '10.9.1.254', nextHop: '10.9.1.11' },
  { kind: 'frr', node: '10.9.2.1', address: '10.9.2.254', nextHop: '10.9.2.11' },
] as const satisfies readonly { kind: RouterKind; node: string; address: string; nextHop: string }[]

testNeeding(...ROUTER_NEEDS.bird, ...ROUTER_NEEDS.frr)(
  'two switches: both learn, one shuts down, dies and returns while the other keeps everything',
  async () => {
    const network = new TestNetwork()
    const node = network.namespace('node')
    const devices = SWITCHES.map((device, index) => {
      const namespace = network.namespace(device.kind)
      network.connect(
        { namespace: node, interface: `eth${index}`, addresses: [`${device.node}/24`] },
        { namespace, interface: 'eth0', addresses: [`${device.address}/24`] },
      )
      const router = createRouter(device.kind, network, namespace, {
        asNumber: SWITCH_AS,
        routerId: device.address,
        address: device.address,
        neighbour: { address: device.node, asNumber: LOCAL_AS, families: ['ipv4'], passive: true },
      })
      const kernel = () => network.ip(namespace, 'route show 10.0.1.0/25')
      return { ...device, router, kernel }
    })
    const speaker = createSpeaker({
      clock: systemClock,
      log: silentLog,
      listen: { port: 179 },
      restarting: false,
      transport: createTransport({
        clock: systemClock,
        within: action => inNetworkNamespace(network.path(node), action),
      }),
    })
    const lost: string[] = []
    speaker.onEvent(event => {
      if (event.kind === 'lost') lost.push(event.key)
    })
    try {
      const [bird, frr] = devices
      if (bird === undefined || frr === undefined) throw new Error('two switches')
      await Promise.all(devices.map(({ router }) => router.start()))
      for (const { kind, nextHop } of devices) speaker.setAnnouncements(kind, [{ prefix: '10.0.1.0/25', nextHop }])
      const peers = devices.map(
        ({ kind, address }): PeerConfig => ({
          key: kind,
          localAs: LOCAL_AS,
          peerAs: SWITCH_AS,
          peerAddress: address,
          peerPort: 179,
          routerId: '10.9.1.1',
          holdTimeSeconds: 90,
          connectRetrySeconds: 1,
          gracefulRestart: { enabled: true, restartTimeSeconds: 120 },
          families: ['ipv4'],
          passive: false,
        }),
      )
      speaker.setPeers(peers)
      const learnt = async () => {
        for (const { kind, kernel, nextHop } of devices)
          await eventually(`${kind} has the route`, () => kernel().includes(`via ${nextHop} `))
      }
      await learnt()

      frr.router.signal('SIGKILL')
      await eventually('the session with the dead one is lost', () => lost.includes('frr'))
      expect(bird.kernel()).toContain(`via ${bird.nextHop} `)
      await frr.router.start()
      await learnt()

      speaker.setPeers(peers.filter(({ key }) => key === 'bird'))
      await eventually('the removed one has no route', () => frr.kernel() === '')
      expect(bird.kernel()).toContain(`via ${bird.nextHop} `)
      expect(lost).toEqual(['frr'])
    } finally {
      await speaker.close({ mode: 'restart' })
      for (const { router } of devices) router.close()
      await network.close()
    }
  },
  300_000,
)
