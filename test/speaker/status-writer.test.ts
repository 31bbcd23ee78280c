/**
 * What somebody else wrote into this node's own entry is put right, and no sooner than a watch may
 * lag.
 */
import { expect, test } from 'bun:test'
import type { KubeApi } from '../../src/kube/api.ts'
import type { SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import { silentLog } from '../../src/lib/log.ts'
import { StatusWriter } from '../../src/speaker/status-writer.ts'
import { FakeClock } from '../support/fake-clock.ts'

const TRUE: SpeakerStatus = {
  node: 'a',
  state: 'Established',
  since: '2026-01-01T00:00:00Z',
  advertisedPrefixes: 3,
  receivedPrefixes: 0,
  flaps: 0,
}

test('a false entry is written anew, one that an older schema cut short is not', async () => {
  const clock = new FakeClock()
  let writes = 0
  const apply = async () => {
    writes++
    return {}
  }
  const writer = new StatusWriter({ self: 'a', api: { apply } as unknown as KubeApi, clock, log: silentLog })
  const report = (shown?: Partial<SpeakerStatus>) =>
    writer.report('lan', TRUE, { uid: 'u', ...(shown && { shown: shown as SpeakerStatus }) })
  report()
  await clock.advance(10_000)
  expect(writes).toBe(1)
  report({ ...TRUE, state: 'Idle' }) // it may be our own, not seen yet
  await clock.advance(10_000)
  expect(writes).toBe(1)
  await clock.advance(30_000)
  report(TRUE)
  const { flaps: _, ...cut } = TRUE
  report(cut)
  await clock.advance(10_000)
  expect(writes).toBe(1)
  report({ ...TRUE, state: 'Idle', lastError: 'nonsense' })
  await clock.advance(10_000)
  expect(writes).toBe(2)
  await writer.close(0)
})
