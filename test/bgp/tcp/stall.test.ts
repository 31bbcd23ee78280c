/**
 * A process that stands still for longer than the hold time, with a real connection: the peer went
 * on sending, so the session stays; a peer that really is silent loses it.
 */
import { expect, test } from 'bun:test'
import { encodeMessage, INITIAL_CONTEXT } from '../../../src/bgp/codec/message.ts'
import { localOpen } from '../../../src/bgp/machine/negotiation.ts'
import { createSpeaker } from '../../../src/bgp/speaker.ts'
import type { SessionEvent } from '../../../src/bgp/speaker-types.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { eventually } from '../../support/namespaces.ts'
import { SETTINGS } from '../machine/fsm-fixtures.ts'
import { peerConfig } from '../peer-fixtures.ts'

/**
 * A peer in a process of its own: answers with OPEN and then sends a KEEPALIVE four times a second,
 * whatever comes.
 */
const PEER = `
const [open, keepalive] = process.argv.slice(-2).map(text => Buffer.from(text, 'hex'))
const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: {
  open(socket) { socket.write(open); setInterval(() => socket.write(keepalive), 250) },
  data() {},
} })
console.log(server.port)
`

test('a stall longer than the hold time ends no session whose peer is there', async () => {
  const open = localOpen({ ...SETTINGS.local, localAs: 65001, routerId: '10.0.0.2', holdTimeSeconds: 3 })
  const hex = ([open, { type: 'KEEPALIVE' }] as const).map(message =>
    Buffer.from(encodeMessage(message, INITIAL_CONTEXT)).toString('hex'),
  )
  const peer = Bun.spawn([process.execPath, '-e', PEER, ...hex], { stdout: 'pipe' })
  const events: SessionEvent[] = []
  const speaker = createSpeaker({ clock: systemClock, log: silentLog, restarting: false })
  try {
    const first = await peer.stdout.getReader().read()
    speaker.onEvent(event => events.push(event))
    speaker.setPeers([
      peerConfig({ peerAddress: '127.0.0.1', peerPort: Number(Buffer.from(first.value ?? []).toString()) }),
    ])
    await eventually('established', () => events.some(({ kind }) => kind === 'established'))

    // In a timer, so that the timers that are due by then come next, before anything is read.
    setTimeout(() => Bun.sleepSync(4500), 1)
    await Bun.sleep(500)
    expect(events.map(({ kind }) => kind)).toEqual(['established'])
    expect(speaker.sessions()[0]).toMatchObject({ state: 'Established', negotiated: { holdTimeSeconds: 3 } })

    peer.kill('SIGSTOP')
    const lost = await eventually('the hold timer expires', () => events.find(({ kind }) => kind === 'lost'))
    expect(lost).toMatchObject({ error: { kind: 'hold-timer-expired' } })
  } finally {
    await speaker.close({ mode: 'restart' })
    peer.kill('SIGKILL')
  }
}, 300_000)
