/**
 * What a silent peer is said to be after a second, unsigned attempt: on a transport that the test
 * answers for. The TCP options themselves: transport.test.ts.
 */
import { expect, test } from 'bun:test'
import { explainSilence } from '../../../src/bgp/machine/silent-peer.ts'
import type { Connection, Endpoint, Transport, TransportProblem } from '../../../src/bgp/tcp/transport-types.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { settle } from '../../support/fake-clock.ts'

const silence: TransportProblem = { kind: 'timed-out', detail: 'no answer' }
const refusal: TransportProblem = { kind: 'refused', detail: 'refused' }
const plain: Endpoint = { address: '172.16.0.1', port: 179, ttl: 1, timeoutMilliseconds: 10_000 }
const signed: Endpoint = { ...plain, password: new Secret('mySecretValue') }

/** A network that answers signed and unsigned connections so, and what was asked of it. */
function network(answers: { signed: Connection | TransportProblem; unsigned: Connection | TransportProblem }) {
  const asked: Endpoint[] = []
  const transport: Transport = {
    connect(to, done) {
      asked.push(to)
      queueMicrotask(() => done(to.password === undefined ? answers.unsigned : answers.signed))
      return () => {}
    },
    listen: () => ({ setKey: () => undefined, close() {} }),
  }
  const connect = async (to: Endpoint) => {
    const results: (Connection | TransportProblem)[] = []
    explainSilence(transport).connect(to, result => results.push(result))
    await settle()
    return results
  }
  return { asked, connect }
}

test('silence to signed segments and a refusal of unsigned ones: nothing listens', async () => {
  const { asked, connect } = network({ signed: silence, unsigned: refusal })
  expect(await connect(signed)).toEqual([refusal])
  expect(asked).toHaveLength(2)
})

test('silence to both stays silence', async () => {
  expect(await network({ signed: silence, unsigned: silence }).connect(signed)).toEqual([silence])
})

test('a peer that takes unsigned connections is left at once, and said to have no password for us', async () => {
  let aborted = 0
  const connection: Connection = {
    localAddress: '172.16.0.11',
    remoteAddress: '172.16.0.1',
    congested: false,
    attach() {},
    limitHops: () => undefined,
    write() {},
    close() {},
    abort: () => aborted++,
  }
  const { connect } = network({ signed: silence, unsigned: connection })
  expect(await connect(signed)).toMatchObject([
    { kind: 'closed', detail: expect.stringContaining('without a password') },
  ])
  expect(aborted).toBe(1)
})

test('without a password, and for any other answer, nothing more is asked', async () => {
  const silent = network({ signed: silence, unsigned: silence })
  expect(await silent.connect(plain)).toEqual([silence])
  expect(silent.asked).toHaveLength(1)
  const refused = network({ signed: refusal, unsigned: refusal })
  expect(await refused.connect(signed)).toEqual([refusal])
  expect(refused.asked).toHaveLength(1)
})

test('a cancelled connection asks no more and answers no more', () => {
  const pending: ((result: TransportProblem) => void)[] = []
  const cancelled: number[] = []
  const transport: Transport = {
    connect(_to, done) {
      const index = pending.push(done) - 1
      return () => cancelled.push(index)
    },
    listen: () => ({ setKey: () => undefined, close() {} }),
  }
  const cancel = explainSilence(transport).connect(signed, () => {})
  pending[0]?.(silence)
  cancel()
  expect(cancelled).toEqual([1])
})
