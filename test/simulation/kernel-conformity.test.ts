/**
 * The simulated kernel beside the real one: the same random changes of routes, links and addresses
 * on both, by the product's own conversation, and after each the same refusal, the same table and
 * the same ways of packets.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { RT_SCOPE, RT_TABLE, RTPROT } from '../../src/netlink/constants.ts'
import { setLink } from '../../src/netlink/link.ts'
import type { Request } from '../../src/netlink/message.ts'
import { addRoute, deleteRoute, type RouteSpec, replaceRoute } from '../../src/netlink/route.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import type { NextHop, Route } from '../../src/netlink/types.ts'
import { TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { SimKernel } from './kernel.ts'
import { kernelWire } from './kernel-wire.ts'
import { Random } from './random.ts'

const withKernel = testNeeding('root', 'ip')
const STEPS = 150
const DESTINATIONS = ['10.0.0.0/25', '10.0.0.128/25', '10.0.0.0/24', '10.0.1.0/25', '0.0.0.0/0']
const GATEWAYS = ['172.16.0.11', '172.16.0.12', '172.16.0.254', '172.17.0.1', '192.168.7.7']
const PROBES = ['10.0.0.1', '10.0.0.200', '10.0.1.1', '172.16.0.11', '172.16.0.10', '8.8.8.8', '172.17.0.1']

let network: TestNetwork
beforeAll(() => {
  network = new TestNetwork()
})
afterAll(() => network.close())

/** One machine twice: an uplink with an address, and a second link without. */
function twins(name: string): { real: Rtnetlink; simulated: Rtnetlink; kernel: SimKernel; indexes: readonly number[] } {
  const namespace = network.namespace(name)
  for (const link of ['eth0', 'eth1']) {
    network.ip(namespace, `link add ${link} type veth peer name peer-${link}`)
    for (const end of [link, `peer-${link}`]) network.ip(namespace, `link set ${end} up`)
  }
  network.ip(namespace, 'address add 172.16.0.10/24 dev eth0')
  const real = Rtnetlink.open({ netns: network.path(namespace) })
  const kernel = new SimKernel()
  const indexes: number[] = []
  for (const link of real.dumpLinks().filter(({ loopback }) => !loopback)) {
    kernel.addLink(link)
    if (link.name.startsWith('eth')) indexes.push(link.index)
  }
  kernel.addAddress(indexes[0] ?? 0, '172.16.0.10', 24)
  return { real, simulated: new Rtnetlink(kernelWire(kernel)), kernel, indexes }
}

function drawRoute(random: Random, indexes: readonly number[]): RouteSpec {
  const hop = (): NextHop => ({
    gateway: random.pick(GATEWAYS),
    ...(random.chance(0.6) && { interface: random.pick(indexes) }),
  })
  const isUnreachable = random.chance(0.2)
  return {
    destination: random.pick(DESTINATIONS),
    protocol: random.pick([187, RTPROT.STATIC]),
    table: RT_TABLE.MAIN,
    type: isUnreachable ? 'unreachable' : 'unicast',
    priority: random.pick([0, 0, 10]),
    ...(!isUnreachable && { nextHops: random.chance(0.2) ? [hop(), hop()] : [hop()] }),
  }
}

/** What of a table counts, in an order of its own. */
function tableOf(netlink: Rtnetlink): string[] {
  const textOf = ({ destination, protocol, type, priority, scope, nextHops }: Route) => {
    const hops = nextHops.map(({ gateway, interface: index, weight }) => `${gateway} ${index} ${weight ?? 1}`).sort()
    return `${destination} ${type} priority ${priority} protocol ${protocol} scope ${scope} via ${hops.join(' and ')}`
  }
  return netlink.dumpRoutes({ family: 'ipv4', table: RT_TABLE.MAIN }).map(textOf).sort()
}

function waysOf(netlink: Rtnetlink): string[] {
  return PROBES.map(address => {
    // of several ways the real one chooses by a hash of the packet
    if ((netlink.match(address)?.nextHops.length ?? 0) > 1) return `${address} by one of several ways`
    const { type, gateway, interface: index } = netlink.lookup(address)
    return `${address} ${type} ${gateway} ${type === 'unicast' ? index : ''}`
  })
}

function drawChange(random: Random, indexes: readonly number[]): Request {
  const route = drawRoute(random, indexes)
  const { nextHops: _, ...whole } = route
  switch (random.between(0, 3)) {
    case 0:
      return deleteRoute(
        random.chance(0.5) ? whole : { destination: route.destination, table: RT_TABLE.MAIN, scope: RT_SCOPE.NOWHERE },
      )
    case 1:
      return replaceRoute(route)
    default:
      return addRoute(route)
  }
}

for (const seed of [1, 2, 3, 4]) {
  withKernel(`a simulated kernel answers and routes as the real one (script ${seed})`, () => {
    const { real, simulated, kernel, indexes } = twins(`sim${seed}`)
    const random = new Random(seed, 'kernel script')
    for (let step = 0; step < STEPS; step++) {
      const index = random.pick(indexes)
      let what: string
      if (random.chance(0.08)) {
        const up = random.chance(0.7)
        what = `link ${index} ${up ? 'up' : 'down'}`
        real.run(setLink(index, { up }))
        kernel.setLink(index, { up, carrier: up })
      } else {
        const request = drawChange(random, indexes)
        what = request.text
        const [theirs, ours] = [real, simulated].map(one => one.execute([request])[0]?.error?.errno ?? 0)
        expect({ step, what, errno: ours }).toEqual({ step, what, errno: theirs })
      }
      expect({ step, what, table: tableOf(simulated) }).toEqual({ step, what, table: tableOf(real) })
      expect({ step, what, ways: waysOf(simulated) }).toEqual({ step, what, ways: waysOf(real) })
    }
    real.close()
  })
}
