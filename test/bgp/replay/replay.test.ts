/**
 * Sessions with real routers, recorded whole by the interop tests (`scripts/interop --record`), are
 * run again without the routers: the speaker must do what it did, in the same order and to the
 * octet; and every message of them decodes.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { decodeMessage, INITIAL_CONTEXT } from '../../../src/bgp/codec/message.ts'
import { MessageFramer } from '../../../src/bgp/codec/message-framer.ts'
import type { CodecContext } from '../../../src/bgp/codec/message-types.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { type Line, type Recording, readRecordings } from './recording.ts'
import { replay } from './replay.ts'

const FOLDER = join(import.meta.dir, 'corpus')
const files = [...new Bun.Glob('*.jsonl.gz').scanSync(FOLDER)].sort()
const EVERYTHING: CodecContext = {
  ...INITIAL_CONTEXT,
  fourOctetAs: true,
  extendedMessages: true,
  families: ['ipv4', 'ipv6'],
  extendedNextHop: true,
}
const recordingsOf = (file: string) => readRecordings(gunzipSync(readFileSync(join(FOLDER, file))).toString())

test('five routers are recorded', () => {
  expect(files).toEqual(['bird.jsonl.gz', 'exabgp.jsonl.gz', 'frr.jsonl.gz', 'gobgp.jsonl.gz', 'openbgpd.jsonl.gz'])
})

for (const file of files) {
  const seen = new Map<string, number>()
  for (const recording of recordingsOf(file)) {
    const { router, row } = recording.heading
    const nth = (seen.get(row) ?? 0) + 1
    seen.set(row, nth)
    test(`${router}: ${row}${nth > 1 ? `, speaker ${nth}` : ''}`, async () => {
      expect(await replay(recording)).toEqual(recording.lines as Line[])
    })
  }
  test(`${file}: what the router sent decodes`, () => {
    let messages = 0
    for (const recording of recordingsOf(file)) messages += decodeAll(recording)
    expect(messages).toBeGreaterThan(50)
  })
}

/** Every message of the router. */
function decodeAll({ lines }: Recording): number {
  const framers = new Map<number, MessageFramer>()
  const [peer] = lines.flatMap(line => ('in' in line && line.in === 'peers' ? line.peers : []))
  const context = { ...EVERYTHING, ibgp: peer?.localAs === peer?.peerAs }
  let count = 0
  for (const line of lines) {
    if (!('in' in line) || line.in !== 'octets') continue
    const framer = framers.get(line.connection) ?? new MessageFramer()
    framers.set(line.connection, framer)
    for (const message of framer.push(fromHex(line.hex) ?? new Uint8Array()).messages) {
      const { outcome } = decodeMessage(message, context)
      expect(outcome).toBe('ok')
      count++
    }
  }
  return count
}
