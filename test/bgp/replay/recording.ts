/**
 * What a recording of a speaker holds: everything that came to it in the order in which it came
 * (calls, connections, octets, timers that ran, chance), and everything that it did. Both are lines
 * of JSON, so that a recording can be read, and a difference seen, with common tools. Pure.
 *
 * A speaker gets at time, chance and TCP by its Clock and its Transport alone. Given the same
 * things in the same order it must do the same: replay.ts asks for that, octet by octet.
 */
import type { Announcement, PathFailure, SpeakerClosing } from '../../../src/bgp/speaker-types.ts'
import type { HopLimits, TransportProblem } from '../../../src/bgp/tcp/transport-types.ts'
import type { RecordedPeer } from './recorded-peer.ts'

/** The first line: who spoke with whom. */
export interface Heading {
  readonly router: string
  readonly row: string
  readonly restarting: boolean
  /** Milliseconds since the epoch when it began. */
  readonly startedAt: number
}

/** The ends of a connection. */
export interface Ends {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly localPort?: number
  readonly remotePort?: number
}

/**
 * What comes to the speaker, `at` milliseconds after the start. Connections and dials are counted
 * from 1 in one row, timers in another.
 */
export type Input =
  | { readonly in: 'peers'; readonly peers: readonly RecordedPeer[] }
  | { readonly in: 'announcements'; readonly key: string; readonly list: readonly Announcement[] }
  | { readonly in: 'fail'; readonly key: string; readonly failure: PathFailure }
  | { readonly in: 'hold'; readonly key: string; readonly reason?: string }
  | { readonly in: 'close'; readonly how: SpeakerClosing }
  | { readonly in: 'connected'; readonly dial: number; readonly ends: Ends }
  | { readonly in: 'not-connected'; readonly dial: number; readonly problem: TransportProblem }
  | { readonly in: 'accepted'; readonly connection: number; readonly ends: Ends }
  | { readonly in: 'octets'; readonly connection: number; readonly hex: string }
  | { readonly in: 'drained'; readonly connection: number }
  | { readonly in: 'ended'; readonly connection: number; readonly problem: TransportProblem }
  | { readonly in: 'timer'; readonly timer: number }

/**
 * What the speaker read, in the order of its reading: chance each time, and whether a connection is
 * congested where that is not what it was at the last reading (at first: no).
 */
export type Reading =
  | { readonly read: 'random'; readonly value: number }
  | { readonly read: 'congested'; readonly connection: number; readonly value: boolean }

/** What the speaker did. */
export type Output =
  | { readonly out: 'dial'; readonly dial: number; readonly to: string; readonly limits: HopLimits }
  | { readonly out: 'cancel-dial'; readonly dial: number }
  | { readonly out: 'octets'; readonly connection: number; readonly hex: string }
  | { readonly out: 'limit-hops'; readonly connection: number; readonly limits: HopLimits }
  | { readonly out: 'close'; readonly connection: number }
  | { readonly out: 'abort'; readonly connection: number }
  | { readonly out: 'timer'; readonly timer: number; readonly milliseconds: number }
  | { readonly out: 'cancel-timer'; readonly timer: number }
  | { readonly out: 'event'; readonly kind: string; readonly state: string; readonly message?: string }

export type Line = ({ readonly at: number } & Input) | Reading | Output

export interface Recording {
  readonly heading: Heading
  readonly lines: readonly Line[]
}

/** Recordings as `recordingText` wrote them, one after the other. */
export function readRecordings(text: string): Recording[] {
  const recordings: { heading: Heading; lines: Line[] }[] = []
  for (const row of text.split('\n')) {
    if (row === '') continue
    const value = JSON.parse(row) as Heading | Line
    if ('router' in value) recordings.push({ heading: value, lines: [] })
    else recordings.at(-1)?.lines.push(value)
  }
  return recordings
}

export function recordingText({ heading, lines }: Recording): string {
  return [heading, ...lines].map(line => `${JSON.stringify(line)}\n`).join('')
}
