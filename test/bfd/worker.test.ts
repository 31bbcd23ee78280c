/**
 * The worker as such: two ends of a session in workers of one process, a worker that fails, and no
 * worker where none is wanted.
 */
import { expect, test } from 'bun:test'
import { createBfd } from '../../src/bfd/bfd.ts'
import type { Bfd, BfdSessionConfig } from '../../src/bfd/bfd-types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { type Log, silentLog } from '../../src/lib/log.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const session = (peerAddress: string): BfdSessionConfig => ({
  key: 'end',
  peerAddress,
  interface: 'eth0',
  minimumIntervalMilliseconds: 100,
  multiplier: 3,
})

testNeeding('root')(
  'a worker that fails is started again and its sessions come back; the failure is no loss of the path',
  async () => {
    const network = new TestNetwork()
    const ends: Bfd[] = []
    try {
      const [a, b] = [network.namespace('a'), network.namespace('b')]
      network.connect(
        { namespace: a, interface: 'eth0', addresses: ['10.9.0.1/24'] },
        { namespace: b, interface: 'eth0', addresses: ['10.9.0.2/24'] },
      )
      const errors: string[] = []
      const log: Log = { ...silentLog, error: (_, phrase) => errors.push(phrase) }
      const first = createBfd({ clock: systemClock, log, networkNamespace: network.path(a) })
      const second = createBfd({ clock: systemClock, log: silentLog, networkNamespace: network.path(b) })
      ends.push(first, second)
      const told: string[] = []
      first.onEvent(({ kind }) => told.push(kind))
      const up = (bfd: Bfd) => eventually('Up', () => bfd.sessions()[0]?.state === 'Up')
      first.setSessions([session('10.9.0.2')])
      second.setSessions([session('10.9.0.1')])
      await Promise.all([up(first), up(second)])
      first.setSessions([session('no address')]) // the one way to make it fail from here
      await eventually('the failure is logged', () => errors.length > 0)
      expect(errors[0]).toBe('the BFD worker failed; it is started again')
      expect(told).toEqual(['up'])
      first.setSessions([session('10.9.0.2')])
      await up(first)
      expect(told).toEqual(['up', 'up'])
    } finally {
      await Promise.all(ends.map(bfd => bfd.close()))
      await network.close()
    }
  },
  300_000,
)

test('no session wanted: no worker, nothing to close', async () => {
  const bfd = createBfd({ clock: systemClock, log: silentLog })
  bfd.setSessions([])
  expect(bfd.sessions()).toEqual([])
  await bfd.close()
  bfd.setSessions([session('127.0.0.1')])
  expect(bfd.sessions()).toEqual([])
})
