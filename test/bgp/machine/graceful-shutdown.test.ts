/**
 * What is sent before a shutdown (RFC 8326): attributes only. The pause and what follows it:
 * peer-restart.test.ts.
 */
import { expect, test } from 'bun:test'
import { onTheWayOut } from '../../../src/bgp/machine/graceful-shutdown.ts'
import { attributeKey, routeAttributes } from '../../../src/bgp/rib/route-attributes.ts'

const A = { prefix: '10.0.1.0/24', nextHop: '10.9.0.11', communities: ['65001:100'] }
const B = { prefix: '10.0.2.0/24', nextHop: '10.9.0.11', communities: ['65535:0'] }
const C = { prefix: '10.0.3.0/24', nextHop: '10.9.0.11', med: 5 }

test('every route keeps its attributes and gets GRACEFUL_SHUTDOWN once', () => {
  const [a, b, c] = onTheWayOut([A, B, C])
  expect(a).toEqual({ ...A, communities: ['65001:100', 'graceful-shutdown'], localPref: 0 })
  expect(b).toEqual({ ...B, localPref: 0 })
  expect(c).toEqual({ ...C, communities: ['graceful-shutdown'], localPref: 0 })
})

test('LOCAL_PREF 0 goes to iBGP peers only, and is a change that has to be sent', () => {
  const [route = C] = onTheWayOut([B])
  const set = { key: attributeKey(route), announcement: route }
  expect(routeAttributes(set, { localAs: 65010, ibgp: true }).attributes.LOCAL_PREF).toBe(0)
  expect(routeAttributes(set, { localAs: 65010, ibgp: false }).attributes.LOCAL_PREF).toBeUndefined()
  expect(attributeKey(route)).not.toBe(attributeKey(B))
})
