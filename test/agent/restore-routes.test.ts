/**
 * Routes that go by themselves: what is brought back at once, and when the restorer gives way. Over
 * a kernel that only keeps what it is asked.
 */
import { expect, test } from 'bun:test'
import type { Routing } from '../../src/agent/desired-routes.ts'
import { RouteRestorer } from '../../src/agent/restore-routes.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import type { Route } from '../../src/netlink/types.ts'
import { FakeClock } from '../support/fake-clock.ts'

const MARK = { protocol: 187, table: 254 }
const DESTINATION = '10.0.2.0/24'
const HOP = { gateway: '172.16.0.12', interface: 2 }
const ROUTING: Routing = {
  routes: [{ destination: DESTINATION, type: 'unicast', nextHops: [HOP], to: { node: 'a2' } }],
  problems: [],
  podCIDRs: [],
  addresses: [],
}
const OURS: Route = {
  family: 'ipv4',
  destination: DESTINATION,
  table: 254,
  protocol: 187,
  scope: 0,
  type: 'unicast',
  priority: 0,
  nextHops: [HOP],
  flags: 0,
}

function given() {
  const clock = new FakeClock()
  const asked: Uint8Array[] = []
  let errno = 0
  const netlink = new Rtnetlink(requests => {
    asked.push(requests.slice())
    const reply = Buffer.alloc(36)
    reply.writeUInt32LE(36, 0)
    reply.writeUInt16LE(2, 4) // NLMSG_ERROR
    reply.writeUInt32LE(new DataView(requests.buffer, requests.byteOffset).getUint32(8, true), 8)
    reply.writeInt32LE(-errno, 16)
    return [reply]
  })
  const restorer = new RouteRestorer(clock, MARK)
  return {
    clock,
    asked,
    refuse: (with_: number) => {
      errno = with_
    },
    seen: (route: Partial<Route>, isGone = true, routing = ROUTING) =>
      restorer.seen({ ...OURS, ...route }, isGone, { routing, netlink }),
  }
}

test('a wanted route that goes is there again; its return is nothing to look at', () => {
  const { seen, asked } = given()
  expect(seen({})).toBe('restored')
  expect(asked).toHaveLength(1)
  expect(seen({}, false)).toBe('ours')
  expect(asked).toHaveLength(1)
})

test('what is not ours, not wanted, or was not as it should be is for others to judge', () => {
  const { seen, asked } = given()
  expect(seen({ protocol: 4 })).toBe('other')
  expect(seen({ table: 100 })).toBe('other')
  expect(seen({ destination: '10.0.9.0/24' })).toBe('other')
  expect(seen({ nextHops: [{ ...HOP, gateway: '172.16.0.13' }] })).toBe('other')
  expect(seen({ priority: 5 }, false)).toBe('other')
  expect(seen({}, true, { ...ROUTING, routes: [] })).toBe('other')
  expect(asked).toEqual([])
})

test('what the kernel refuses is for others to judge', () => {
  const { seen, refuse } = given()
  refuse(100) // ENETDOWN
  expect(seen({})).toBe('other')
})

test('against somebody who goes on it does not go on: for ten seconds the slow way counts', async () => {
  const { seen, clock, asked } = given()
  expect([1, 2, 3, 4, 5].map(() => seen({}))).toEqual(['restored', 'restored', 'restored', 'other', 'other'])
  await clock.advance(10_001)
  expect(seen({})).toBe('restored')
  expect(asked).toHaveLength(4)
})

test('of a flush the first hundred: many are faster in one batch', () => {
  const { seen, asked } = given()
  const routes = Array.from({ length: 150 }, (_, index) => ({
    destination: `10.1.${index}.0/24`,
    type: 'unicast' as const,
    nextHops: [HOP],
    to: { node: 'n' },
  }))
  const routing = { ...ROUTING, routes }
  const said = routes.map(({ destination }) => seen({ destination }, true, routing))
  expect(said.filter(one => one === 'restored')).toHaveLength(100)
  expect(asked).toHaveLength(100)
})
