/**
 * One node added to a LAN: what goes over the wire, and how long until the switch's kernel has the
 * route. The switch is BIRD with its routes in the kernel.
 */
import { eventually, TestNetwork } from '../../../test/support/namespaces.ts'
import { median } from '../section.ts'
import { Bird } from './bird.ts'
import { LINK_LENGTH, prefixAt, SENDER, SINK } from './routes.ts'
import { startSpeaker } from './speaker-child.ts'

export interface Change {
  /**
   * Medians, from the new set being given to the speaker until the kernel's own time stamp of the
   * route.
   */
  readonly milliseconds: number
  /** TCP payload of each change; one UPDATE is the least. */
  readonly octets: number
  /** Prefixes that the switch was told in all changes. */
  readonly prefixesTold: number
  readonly changes: number
}

const CHANGES = 5

const SWITCH_CONFIG = [
  `router id ${SINK.address};`,
  'protocol device {}',
  'protocol direct { ipv4; }',
  'protocol kernel { ipv4 { export where source = RTS_BGP; }; }',
  'protocol bgp sender {',
  `  local ${SINK.address} as ${SINK.asNumber}; neighbor ${SENDER.address} as ${SENDER.asNumber};`,
  '  passive on; hold time 240; ipv4 { import all; export none; };',
  '}',
]

export async function nodeAdded(nodes: number): Promise<Change> {
  const network = new TestNetwork()
  let bird: Bird | undefined
  try {
    const [from, to] = [network.namespace('node'), network.namespace('switch')]
    network.connect(
      { namespace: from, interface: 'eth0', addresses: [`${SENDER.address}/${LINK_LENGTH}`] },
      { namespace: to, interface: 'eth0', addresses: [`${SINK.address}/${LINK_LENGTH}`] },
    )
    const sink = await Bird.start(network, to, SWITCH_CONFIG)
    bird = sink
    const speaker = startSpeaker(from, {
      // one next hop more than nodes, so that each new node has its own
      workload: { prefixes: nodes, nextHops: nodes + CHANGES },
      peers: [{ address: SINK.address }],
    })
    await eventually('the switch has all routes', async () => (await sink.progress('sender')).held === nodes, 30)
    await eventually('the kernel has all routes', () => kernelRoutes(network, to) === nodes, 30)
    const monitor = monitorRoutes(network, to)
    await Bun.sleep(1000) // the monitor listens, the session is at rest
    const toldBefore = await updatesReceived(sink)
    const [times, octets]: [number[], number[]] = [[], []]
    for (let change = 0; change < CHANGES; change++) {
      const before = octetsSent(network, from)
      const givenAt = await speaker.add()
      const prefix = prefixAt(nodes + change)
      const installedAt = await eventually(`the kernel has ${prefix}`, () => monitor.seen(prefix))
      times.push(installedAt - givenAt)
      octets.push(octetsSent(network, from) - before)
    }
    const prefixesTold = (await updatesReceived(sink)) - toldBefore
    return { milliseconds: median(times), octets: median(octets), prefixesTold, changes: CHANGES }
  } finally {
    bird?.close()
    await network.close()
  }
}

function kernelRoutes(network: TestNetwork, namespace: string): number {
  return network.ip(namespace, 'route show proto bird').trimEnd().split('\n').filter(Boolean).length
}

/** TCP payload that the session's socket has sent, as the kernel counts it. */
function octetsSent(network: TestNetwork, namespace: string): number {
  const { stdout } = network.exec(namespace, ['ss', '-tinH', 'state', 'established'])
  return Number(/bytes_sent:(\d+)/.exec(stdout)?.[1] ?? 0)
}

/** Prefixes in UPDATEs that BIRD received. */
async function updatesReceived(bird: Bird): Promise<number> {
  return Number(/Import updates: +(\d+)/.exec(await bird.ask('show protocols all sender'))?.[1] ?? 0)
}

/** Notes when the kernel told of a route, in milliseconds since the epoch. */
function monitorRoutes(network: TestNetwork, namespace: string): { seen(prefix: string): number | undefined } {
  const child = network.spawn(namespace, ['ip', '-ts', 'monitor', 'route'], { env: { TZ: 'UTC' } })
  let text = ''
  void (async () => {
    for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk)
  })()
  return {
    seen(prefix) {
      const stamp = new RegExp(`^\\[([^\\]]+)\\] ?${prefix.replaceAll('.', '\\.')} `, 'm').exec(text)?.[1]
      return stamp === undefined ? undefined : Date.parse(`${stamp}Z`)
    },
  }
}
