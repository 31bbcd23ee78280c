/**
 * The codec and the Adj-RIB-Out alone, in this process: prefixes per second on one core. Run in a
 * process of its own: prints `CodecSpeed` as JSON.
 */
import { decodeMessage } from '../../../src/bgp/codec/message.ts'
import { prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { AdjRibOut } from '../../../src/bgp/rib/rib.ts'
import { median } from '../section.ts'
import { announcementsOf, SENDER, type Workload } from './routes.ts'
import { NEGOTIATED, updatesOf } from './updates.ts'

/** Prefixes per second. */
export interface CodecSpeed {
  /** From the announcements' texts to UPDATEs, all that the speaker does. */
  readonly encodeTexts: number
  /** From a route set that exists. */
  readonly encodeBlocks: number
  /** UPDATEs to checked blocks, what a session does with what it receives. */
  readonly decodeBlocks: number
  /** UPDATEs to texts, what `bgp decode` does. */
  readonly decodeTexts: number
}

const ROUNDS = 5

if (import.meta.main) {
  const workload = JSON.parse(process.argv[2] ?? '') as Workload
  process.stdout.write(JSON.stringify(codecSpeed(workload)))
}

function codecSpeed(workload: Workload): CodecSpeed {
  const { context } = NEGOTIATED
  const announcements = announcementsOf(workload)
  const known = new AdjRibOut()
  known.setDesired(announcements)
  const updates = updatesOf(workload)
  const speed = (action: () => number): number => perSecond(workload.prefixes, action)
  return {
    encodeTexts: speed(() => {
      const rib = new AdjRibOut()
      rib.setDesired(announcements)
      rib.established(NEGOTIATED, SENDER.asNumber)
      while (rib.next() !== undefined) {}
      return rib.advertised
    }),
    encodeBlocks: speed(() => {
      known.established(NEGOTIATED, SENDER.asNumber)
      while (known.next() !== undefined) {}
      return known.advertised
    }),
    decodeBlocks: speed(() => decodeAll(updates, nlri => nlri.count)),
    decodeTexts: speed(() => decodeAll(updates, nlri => prefixTexts(nlri).length)),
  }

  function decodeAll(
    messages: readonly Uint8Array[],
    count: (nlri: Parameters<typeof prefixTexts>[0]) => number,
  ): number {
    let sum = 0
    for (const bytes of messages) {
      const decoded = decodeMessage(bytes, context)
      if (decoded.outcome === 'ok' && decoded.message.type === 'UPDATE') sum += count(decoded.message.nlri)
    }
    return sum
  }
}

/**
 * The median of several rounds, after one to warm up. `action` gives how many prefixes it dealt
 * with.
 */
function perSecond(prefixes: number, action: () => number): number {
  const rates: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now()
    if (action() !== prefixes) throw new Error('prefixes were lost')
    if (round > 0) rates.push((prefixes / (performance.now() - start)) * 1000)
  }
  return median(rates)
}
