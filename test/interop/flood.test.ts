/**
 * Strangers, and whoever sits at a peer's address, against the listening port: an established
 * session does not notice, and what they can make us hold is bounded: one connection that waits for
 * its OPEN, with the octets of one message, for a minute.
 */
import { expect } from 'bun:test'
import { readdirSync } from 'node:fs'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import { type Connection, isConnection } from '../../src/bgp/tcp/transport-types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { Lan, NODE, SWITCH } from './lan.ts'
import { ROUTER_NEEDS } from './routers.ts'

const ROUTES = [{ prefix: '10.0.1.0/25', nextHop: '10.9.0.11' }]
const CONNECTIONS = 300
/** Ten times what all of them may make us keep. */
const GARBAGE = new Uint8Array(64 * 1024).fill(0xff)
const HEAP_OCTETS = 10 * 1024 * 1024

testNeeding(...ROUTER_NEEDS.bird)(
  'connections, half messages and a byte at a time do not disturb an established session',
  async () => {
    const lan = new Lan('bird')
    try {
      lan.network.ip(lan.switch, 'addr add 10.9.0.66/24 dev eth0')
      await lan.router.start()
      const running = lan.speaker(ROUTES)
      await lan.established(running)
      await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11' })
      const openFiles = () => readdirSync('/proc/self/fd').length
      const before = openFiles()
      const held0 = heapOctets()

      const attacker = createTransport({
        clock: systemClock,
        within: action => inNetworkNamespace(lan.network.path(lan.switch), action),
      })
      const held: { connection: Connection; alive: boolean }[] = []
      let answers = 0
      // From an address that is nobody's, and from the peer's own.
      for (let count = 0; count < CONNECTIONS; count++) {
        const sourceAddress = count % 2 === 0 ? '10.9.0.66' : SWITCH.ipv4
        const to = { address: NODE.ipv4, port: 179, ttl: 64, timeoutMilliseconds: 5000, sourceAddress }
        attacker.connect(to, result => {
          answers++
          if (!isConnection(result)) return
          const entry = { connection: result, alive: true }
          held.push(entry)
          result.attach({
            data: () => {},
            drained: () => {},
            ended: () => {
              entry.alive = false
            },
          })
          result.write(new Uint8Array(count % 18).fill(0xff)) // less than a header
          if (count % 3 === 0) result.write(GARBAGE) // a header that is none, and much behind it
        })
      }
      await eventually('every attempt has an answer', () => answers === CONNECTIONS)
      await eventually('all but one are closed', () => held.filter(({ alive }) => alive).length <= 1)
      // A header of a KEEPALIVE, an octet a second: never done, and no harm.
      const slow = await new Promise<Connection>(resolve => {
        const to = {
          address: NODE.ipv4,
          port: 179,
          ttl: 64,
          timeoutMilliseconds: 5000,
          sourceAddress: SWITCH.ipv4,
        }
        attacker.connect(to, result => {
          if (isConnection(result)) resolve(result)
        })
      })
      let slowEnded = false
      slow.attach({
        data: () => {},
        drained: () => {},
        ended: () => {
          slowEnded = true
        },
      })
      for (let second = 0; second < 5; second++) {
        slow.write(Uint8Array.of(0xff))
        await Bun.sleep(1000)
      }
      expect(slowEnded).toBe(false)

      expect(openFiles() - before).toBeLessThan(10)
      expect(heapOctets() - held0).toBeLessThan(HEAP_OCTETS)
      expect(running.speaker.sessions()[0]).toMatchObject({ state: 'Established', flaps: 0 })
      expect(running.events.map(({ kind }) => kind)).toEqual(['established'])
      slow.abort()
      for (const { connection } of held) connection.abort()
    } finally {
      await lan.close()
    }
  },
  300_000,
)

/** What lives on the heap of this process, attackers included. */
function heapOctets(): number {
  Bun.gc(true)
  return process.memoryUsage().heapUsed
}
