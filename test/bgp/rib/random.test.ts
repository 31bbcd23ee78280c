/**
 * The Adj-RIB-Out against a model of the peer: whatever changes, refreshes and losses come between
 * messages, what the peer holds in the end is the set wanted, `advertised` is what it holds at any
 * time, and at rest a new set costs only its difference.
 */

import { expect, test } from 'bun:test'
import { decodeMessage } from '../../../src/bgp/codec/message.ts'
import { prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { type Negotiated, negotiate } from '../../../src/bgp/machine/negotiation.ts'
import { AdjRibOut } from '../../../src/bgp/rib/rib.ts'
import type { Announcement } from '../../../src/bgp/speaker-types.ts'
import { seeded } from '../../support/seeded.ts'
import { PEER_OPEN, SETTINGS } from '../machine/fsm-fixtures.ts'

const RUNS = 200
const STEPS = 40
const PREFIXES = 60
const NEXT_HOPS = 5

function session(): Negotiated {
  const outcome = negotiate(SETTINGS.local, PEER_OPEN)
  if (!('negotiated' in outcome)) throw new Error(outcome.reason)
  return outcome.negotiated
}
const SESSION = session()

class ModelPeer {
  readonly held = new Map<string, string>()
  prefixesHeard = 0

  hear(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes, SESSION.context)
    if (decoded.outcome !== 'ok') throw new Error(decoded.reason)
    if (decoded.message.type !== 'UPDATE') return
    const { withdrawn, nlri, attributes } = decoded.message
    for (const prefix of prefixTexts(withdrawn)) {
      if (!this.held.delete(prefix)) throw new Error(`${prefix} was not announced`)
      this.prefixesHeard++
    }
    for (const prefix of prefixTexts(nlri)) {
      this.held.set(prefix, `${attributes.NEXT_HOP} ${attributes.MULTI_EXIT_DISC ?? ''}`)
      this.prefixesHeard++
    }
  }
}

function wanted(set: readonly Announcement[]): [string, string][] {
  return set.map(({ prefix, nextHop, med }) => [prefix, `${nextHop} ${med ?? ''}`])
}

function sorted(entries: Iterable<[string, string]>): [string, string][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}

test('whatever happens between messages, the peer ends with the set wanted', () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const chance = seeded(seed)
    const pick = (below: number) => Math.floor(chance() * below)
    const someSet = (): Announcement[] =>
      Array.from({ length: PREFIXES }, (_, index) => index)
        .filter(() => chance() < 0.7)
        .map(index => ({
          prefix: `10.0.${index}.0/24`,
          nextHop: `10.9.0.${1 + pick(NEXT_HOPS)}`,
          ...(chance() < 0.2 && { med: pick(2) }),
        }))
    const rib = new AdjRibOut()
    let peer = new ModelPeer()
    let set: Announcement[] = []
    const take = (limit: number) => {
      for (let count = 0; count < limit; count++) {
        const bytes = rib.next()
        if (bytes === undefined) return
        peer.hear(bytes)
      }
    }
    rib.setDesired(set)
    rib.established(SESSION, 65010)
    for (let step = 0; step < STEPS; step++) {
      const kind = chance()
      if (kind < 0.35) {
        set = chance() < 0.1 ? [] : someSet()
        rib.setDesired(set)
      } else if (kind < 0.45) rib.refresh('ipv4')
      else if (kind < 0.5) {
        rib.lost()
        peer = new ModelPeer()
        rib.established(SESSION, 65010)
      } else take(pick(8))
    }
    take(Number.POSITIVE_INFINITY)
    expect({ seed, held: sorted(peer.held) }).toEqual({ seed, held: sorted(wanted(set)) })
    expect(rib.advertised).toBe(peer.held.size)

    peer.prefixesHeard = 0
    rib.setDesired(set.slice(1))
    take(Number.POSITIVE_INFINITY)
    expect(peer.prefixesHeard).toBe(Math.min(1, set.length))
  }
})
