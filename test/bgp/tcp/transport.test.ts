/**
 * Sockets between two network namespaces: what the kernel enforces (TCP MD5, TTL security), how
 * attempts fail, and back-pressure.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createSpeaker } from '../../../src/bgp/speaker.ts'
import { createTransport } from '../../../src/bgp/tcp/transport.ts'
import {
  type Connection,
  type Endpoint,
  isConnection,
  type Listener,
  type Transport,
  type TransportProblem,
} from '../../../src/bgp/tcp/transport-types.ts'
import { MINIMUM_TTL, startTtlTrial } from '../../../src/bgp/tcp/ttl-trial.ts'
import { AF } from '../../../src/lib/address-family.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import * as libc from '../../../src/lib/libc.ts'
import { inNetworkNamespace, isRoot } from '../../../src/lib/libc.ts'
import { type Log, silentLog } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { eventually, TestNetwork } from '../../support/namespaces.ts'
import { testNeeding } from '../../support/requires.ts'
import { peerConfig } from '../peer-fixtures.ts'

const network = new TestNetwork()
let here: Transport
let there: Transport
let right: string
const listeners: Listener[] = []

const LEFT = { ipv4: '10.8.0.1', ipv6: 'fd00:8::1' } as const
const RIGHT = { ipv4: '10.8.0.2', ipv6: 'fd00:8::2' } as const

beforeAll(() => {
  if (!isRoot()) return
  const left = network.namespace('left')
  right = network.namespace('right')
  network.connect(
    { namespace: left, interface: 'eth0', addresses: [`${LEFT.ipv4}/24`, `${LEFT.ipv6}/64`] },
    { namespace: right, interface: 'eth0', addresses: [`${RIGHT.ipv4}/24`, `${RIGHT.ipv6}/64`] },
  )
  const transportIn = (namespace: string) =>
    createTransport({
      clock: systemClock,
      within: action => inNetworkNamespace(network.path(namespace), action),
    })
  here = transportIn(left)
  there = transportIn(right)
})

afterAll(async () => {
  for (const listener of listeners) listener.close()
  await network.close()
})

/** One end of a connection: what it received, and how it ended. */
class End {
  readonly connection: Connection
  text = ''
  octets = 0
  drains = 0
  problem: TransportProblem | undefined

  constructor(connection: Connection) {
    this.connection = connection
    connection.attach({
      data: bytes => {
        this.octets += bytes.length
        if (this.octets < 1000) this.text += new TextDecoder().decode(bytes)
      },
      drained: () => {
        this.drains++
      },
      ended: problem => {
        this.problem = problem
      },
    })
  }
  say(text: string): void {
    this.connection.write(new TextEncoder().encode(text))
  }
}

function listenThere(
  port: number,
  prepare: (connection: Connection) => void = () => {},
): { ends: End[]; listener: Listener } {
  const ends: End[] = []
  const listener = there.listen({ port }, connection => {
    prepare(connection)
    ends.push(new End(connection))
  })
  listeners.push(listener)
  return { ends, listener }
}

function dial(port: number, changes: Partial<Endpoint> = {}): Promise<End | TransportProblem> {
  const endpoint: Endpoint = { address: RIGHT.ipv4, port, ttl: 1, timeoutMilliseconds: 10_000, ...changes }
  return new Promise(resolve => {
    here.connect(endpoint, result => resolve(isConnection(result) ? new End(result) : result))
  })
}

async function dialled(port: number, changes: Partial<Endpoint> = {}): Promise<End> {
  const result = await dial(port, changes)
  if (!(result instanceof End)) throw new Error(`${result.kind}: ${result.detail}`)
  return result
}

const rootTest = testNeeding('root')

describe('connecting', () => {
  rootTest('both families, with the addresses of both ends, and bytes both ways', async () => {
    const { ends } = listenThere(1001)
    for (const [index, family] of (['ipv4', 'ipv6'] as const).entries()) {
      const ours = await dialled(1001, { address: RIGHT[family], sourceAddress: LEFT[family] })
      const theirs = await eventually('accepted', () => ends[index])
      expect(ours.connection).toMatchObject({ localAddress: LEFT[family], remoteAddress: RIGHT[family] })
      expect(theirs.connection).toMatchObject({ localAddress: RIGHT[family], remoteAddress: LEFT[family] })
      ours.say('ping')
      await eventually('ping arrives', () => theirs.text === 'ping')
      theirs.say('pong')
      await eventually('pong arrives', () => ours.text === 'pong')
      ours.connection.close()
      await eventually('the end is told', () => theirs.problem?.kind === 'closed')
    }
  })
  rootTest('refused', async () => {
    expect(await dial(1002)).toMatchObject({ kind: 'refused' })
  })
  rootTest('unreachable: no route, and nobody at the address', async () => {
    expect(await dial(1003, { address: '192.0.2.1' })).toMatchObject({ kind: 'unreachable' })
    expect(await dial(1003, { address: '10.8.0.77' })).toMatchObject({ kind: 'unreachable' })
  })
  rootTest('a source that this node does not have is a local problem', async () => {
    expect(await dial(1004, { sourceAddress: '10.8.0.66' })).toMatchObject({ kind: 'local-problem' })
  })
  rootTest('cancelled: nothing is told', async () => {
    let told = false
    const cancel = here.connect({ address: '10.8.0.78', port: 1, ttl: 1, timeoutMilliseconds: 200 }, () => {
      told = true
    })
    cancel()
    await Bun.sleep(400)
    expect(told).toBe(false)
  })
})

describe('TCP MD5 (RFC 2385)', () => {
  const key = new Secret('key of both')
  const timeoutMilliseconds = 500

  rootTest('the same key on both sides, changed and removed on the live listener', async () => {
    const { ends, listener } = listenThere(1010)
    expect(listener.setKey(LEFT.ipv4, key)).toBeUndefined()
    expect(listener.setKey(LEFT.ipv6, key)).toBeUndefined()
    for (const address of [RIGHT.ipv4, RIGHT.ipv6]) (await dialled(1010, { address, password: key })).say('hello')
    await eventually('both arrive', () => ends.filter(({ text }) => text === 'hello').length === 2)

    listener.setKey(LEFT.ipv4, new Secret('another'))
    expect(await dial(1010, { password: key, timeoutMilliseconds })).toMatchObject({ kind: 'timed-out' })
    await dialled(1010, { password: new Secret('another') })
    ends[0]?.say('still here') // the first keeps the key that it came with
    listener.setKey(LEFT.ipv4, undefined)
    await dialled(1010)
  })
  rootTest('a wrong key, or none where one is wanted, times out', async () => {
    const { listener } = listenThere(1011)
    listener.setKey(LEFT.ipv4, key)
    expect(await dial(1011, { password: new Secret('wrong'), timeoutMilliseconds })).toMatchObject({
      kind: 'timed-out',
    })
    expect(await dial(1011, { timeoutMilliseconds })).toMatchObject({ kind: 'timed-out' })
  })
  rootTest('a key that is too long is refused with words', () => {
    const { listener } = listenThere(1012)
    expect(listener.setKey(LEFT.ipv4, new Secret('x'.repeat(81)))?.detail).toContain('longer than 80 bytes')
  })
})

describe('TTL security (RFC 5082)', () => {
  rootTest('whether the peer would pass it is tried on the live connection, which goes on', async () => {
    for (const [index, family] of (['ipv4', 'ipv6'] as const).entries()) {
      const port = 1060 + index
      const { ends } = listenThere(port, connection => connection.limitHops({ ttl: 64 }))
      const ours = await dialled(port, { address: RIGHT[family], ttl: 64 })
      const theirs = await eventually('accepted', () => ends[0])
      const tried = (minimum: number) =>
        new Promise<boolean | undefined>(resolve => {
          ours.connection.tryMinimumTtl?.(minimum, resolve)
          ours.say(`${minimum} `)
        })
      expect(await tried(64)).toBe(true)
      expect(await tried(65)).toBe(false)
      theirs.say('still here')
      await eventually('nothing was lost', () => theirs.text === '64 65 ' && ours.text === 'still here')
      expect(await tried(64)).toBe(true)
      const ended = new Promise<boolean | undefined>(resolve => ours.connection.tryMinimumTtl?.(65, resolve))
      ours.connection.close()
      expect(await ended).toBeUndefined()
    }
  })
  rootTest('a trial that another follows, or that is ended, leaves the connection as it was', async () => {
    const { ends } = listenThere(1062, connection => connection.limitHops({ ttl: 64 }))
    const ours = await dialled(1062, { ttl: 64 })
    const theirs = await eventually('accepted', () => ends[0])
    const outcomes: (boolean | undefined)[] = []
    const tried = () => {
      const end = ours.connection.tryMinimumTtl?.(65, passes => outcomes.push(passes))
      ours.say('?')
      return end
    }
    tried()
    tried()
    await eventually('both are told', () => outcomes.length === 2)
    expect(outcomes).toEqual([undefined, false])
    theirs.say('still here')
    await eventually('nothing was lost', () => theirs.text === '??' && ours.text === 'still here')
    tried()?.()
    expect(outcomes).toEqual([undefined, false, undefined])
    theirs.say(', at once')
    await eventually('it goes on', () => theirs.text === '???' && ours.text === 'still here, at once')
  })
  rootTest('of a peer that is not heard either way, nothing is said', async () => {
    const { ends } = listenThere(1063, connection => connection.limitHops({ ttl: 64 }))
    const ours = await dialled(1063, { ttl: 64 })
    const theirs = await eventually('accepted', () => ends[0])
    network.ip(right, `addr del ${RIGHT.ipv4}/24 dev eth0`)
    try {
      const passes = await new Promise<boolean | undefined>(resolve => {
        ours.connection.tryMinimumTtl?.(65, resolve)
        ours.say('lost')
      })
      expect(passes).toBeUndefined()
    } finally {
      network.ip(right, `addr add ${RIGHT.ipv4}/24 dev eth0`)
    }
    await eventually('the line is back', () => theirs.text === 'lost')
  })
  test('where the kernel does not count segments, the option is set back and nothing is said', () => {
    const fd = libc.socket(AF.INET, libc.SOCK.DGRAM, 0)
    try {
      const { level, option } = MINIMUM_TTL.ipv4
      const told: (boolean | undefined)[] = []
      const done = (passes: boolean | undefined) => told.push(passes)
      startTtlTrial({ clock: systemClock, fd, family: 'ipv4', minimum: 255, isOpen: () => true, done })
      expect(told).toEqual([undefined])
      expect(libc.getSocketOptionInt(fd, level, option)).toBe(0)
    } finally {
      libc.close(fd)
    }
  })
  rootTest('segments of less than 255 are dropped at the accepting end, and at the dialling end', async () => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const port = family === 'ipv4' ? 1020 : 1021
      const { ends } = listenThere(port, connection => connection.limitHops({ ttl: 255, minimumTtl: 255 }))
      const address = RIGHT[family]
      const far = await dialled(port, { address, ttl: 64 })
      far.say('from afar')
      const near = await dialled(port, { address, ttl: 255, minimumTtl: 255 })
      near.say('from near')
      await eventually('near arrives', () => ends[1]?.text === 'from near')
      ends[1]?.say('answer')
      await eventually('the answer arrives', () => near.text === 'answer')
      expect(ends[0]?.text).toBe('')

      const loose = listenThere(port + 10, connection => connection.limitHops({ ttl: 64 }))
      const strict = await dialled(port + 10, { address, ttl: 255, minimumTtl: 255 })
      await eventually('accepted', () => loose.ends[0])
      loose.ends[0]?.say('from afar')
      await Bun.sleep(300)
      expect(strict.text).toBe('')
      strict.connection.abort()
    }
  })
})

describe('back-pressure', () => {
  rootTest('what the kernel does not take waits, drains in order, and a close goes behind it', async () => {
    let stalled = true
    const received: number[] = []
    let total = 0
    // A reader that stalls: the connection of a plain Bun socket, paused.
    const { ends } = listenThere(1040)
    const ours = await dialled(1040)
    const theirs = await eventually('accepted', () => ends[0])
    theirs.connection.attach({
      data: bytes => {
        received.push(bytes[0] ?? -1)
        total += bytes.length
      },
      drained: () => {},
      ended: () => {
        stalled = false
      },
    })
    const block = new Uint8Array(1_000_000).fill(7)
    for (let count = 0; count < 10; count++) ours.connection.write(block)
    expect(ours.connection.congested).toBe(true)
    ours.connection.close()
    await eventually('all arrives', () => total === 10_000_000)
    await eventually('then the end', () => !stalled)
    expect(new Set(received)).toEqual(new Set([7]))
  })
  rootTest('drained is told when everything has gone', async () => {
    const { ends } = listenThere(1041)
    const ours = await dialled(1041)
    for (let count = 0; count < 20; count++) ours.connection.write(new Uint8Array(1_000_000))
    expect(ours.connection.congested).toBe(true)
    await eventually('drained', () => ours.drains > 0)
    expect(ours.connection.congested).toBe(false)
    await eventually('all arrived', () => ends[0]?.octets === 20_000_000)
  })
})

describe('a speaker whose port is taken', () => {
  rootTest('says so, and dials all the same', async () => {
    const taken = here.listen({ port: 1050 }, connection => connection.abort())
    const { ends } = listenThere(1051)
    const errors: string[] = []
    const log: Log = { ...silentLog, error: ({ reason }) => errors.push(reason ?? ''), child: () => silentLog }
    const speaker = createSpeaker({
      clock: systemClock,
      log,
      listen: { port: 1050 },
      restarting: false,
      transport: here,
    })
    speaker.setPeers([peerConfig({ peerAddress: RIGHT.ipv4, peerPort: 1051 })])
    await eventually('it dialled', () => (ends[0]?.octets ?? 0) > 0)
    expect(errors).toEqual(['bind: EADDRINUSE (address already in use)'])
    await speaker.close({ mode: 'restart' })
    taken.close()
  })
})
