/**
 * What becomes of Events that cannot be written at once. The API server is told what to refuse; a
 * real one is in client.test.ts.
 */
import { expect, test } from 'bun:test'
import { ApiError, type KubeApi, type KubeEvent } from '../../src/kube/api.ts'
import { createEventRecorder } from '../../src/kube/event-recorder.ts'
import type { KubeObject } from '../../src/kube/resources.ts'
import { silentLog } from '../../src/lib/log.ts'
import { FakeClock } from '../support/fake-clock.ts'

function setUp() {
  const clock = new FakeClock()
  const written: unknown[] = []
  const faults: number[] = []
  const api: Pick<KubeApi, 'create' | 'mergePatch'> = {
    async create<T extends KubeObject>(_: unknown, object: T): Promise<T> {
      const status = faults.shift()
      if (status !== undefined) throw new ApiError('refused', { status })
      written.push('message' in object ? object.message : undefined)
      return object
    },
    async mergePatch<T extends KubeObject>(): Promise<T> {
      throw new Error('nothing is counted here')
    },
  }
  const recorder = createEventRecorder({ api, component: 'test', host: 'node-1', clock, log: silentLog })
  return { clock, written, faults, recorder }
}

function event(message: string): KubeEvent {
  const regarding = { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: 'u' }
  return { regarding, type: 'Normal', reason: 'Tested', message }
}

test('an Event that credentials, a busy server or no server refused is written later', async () => {
  const { clock, written, faults, recorder } = setUp()
  faults.push(401, 429, 503, 0)
  recorder.record(event('one'))
  await clock.advance(60_000)
  expect(written).toEqual(['one'])
})

test('an Event that is refused for good holds up no other', async () => {
  const { clock, written, faults, recorder } = setUp()
  faults.push(403)
  recorder.record(event('one'))
  recorder.record(event('two'))
  await clock.advance(1)
  expect(written).toEqual(['two'])
  await clock.advance(60_000)
  expect(written).toEqual(['two'])
})
