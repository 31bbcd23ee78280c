/** Sessions whose own end is gone: by address, by link; not those that may have another way. */
import { expect, test } from 'bun:test'
import { goneEnds } from '../../src/speaker/gone-ends.ts'
import type { LocalAddress } from '../../src/speaker/peer-link.ts'
import { config, established, localOfNode1, onEth0, session } from './fixtures.ts'

const gone = (local: readonly LocalAddress[], change: Parameters<typeof config>[0] = {}, view = established()) =>
  goneEnds([view], new Map([['peer', config(change)]]), local).map(({ reason }) => reason)
const UNPLUGGED = [onEth0('172.16.0.11', { carrier: false })]

test('nothing while the address is here and its link has a carrier', () => {
  expect(gone(localOfNode1)).toEqual([])
})
test('an address that was taken away, or whose interface is down', () => {
  expect(gone([])).toEqual([expect.stringContaining('172.16.0.11')])
})
test('a link without carrier, to a peer one hop away', () => {
  expect(gone(UNPLUGGED)).toEqual(['the link eth0 to 172.16.0.1 is down'])
  expect(gone(UNPLUGGED, { ttlSecurity: 1 })).toHaveLength(1)
  expect(gone(UNPLUGGED, { ebgpMultihop: 2 })).toEqual([])
  // a second link to the same network
  expect(gone([...UNPLUGGED, onEth0('172.16.0.12', { interface: 'eth1' })])).toEqual([])
})
test('a session that is not established has nothing to lose', () => {
  expect(gone([], {}, session({ state: 'Connect' }))).toEqual([])
})
