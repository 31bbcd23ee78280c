/**
 * Whether a router holds what it was announced, by its own view (switch-table.ts): routes that its
 * import policy refused, that it does not have, or whose next hop it changed. Pure.
 */
import type { Routes } from './switch-table.ts'

/** What was announced to the router: next hops by prefix. */
export type Announced = Routes

/** A route that the router has with another next hop than it was told. */
export interface Altered {
  readonly prefix: string
  readonly announced: string
  readonly becomes: string
}

export type SwitchVerdict =
  /** Nothing can be said, and why. */
  | { readonly status: 'unknown'; readonly reason: string }
  /** The router has every route as it was announced. */
  | { readonly status: 'kept'; readonly prefixes: number }
  | {
      readonly status: 'not-kept'
      /** Received, and refused by its policy. */
      readonly refused: readonly string[]
      /**
       * Announced, and neither received nor kept, it says. FRR 8.4 no longer tells of what it
       * received once its policy has refused it, so these are often refused ones too.
       */
      readonly missing: readonly string[]
      readonly altered: readonly Altered[]
    }

/** What the router tells: see `SwitchTable`. */
export interface SwitchTold {
  readonly up: boolean
  readonly received: Routes | undefined
  readonly kept: Routes | undefined
}

/**
 * Both sides have to be at rest: `announced` as it is told, and `told` since a while (the first
 * moments after a session comes up withdraw everything).
 */
export function switchVerdict(announced: Announced, told: SwitchTold): SwitchVerdict {
  if (!told.up) return { status: 'unknown', reason: 'the device speaks BMP, but does not tell of this speaker' }
  const { received, kept } = told
  if (received === undefined && kept === undefined)
    return { status: 'unknown', reason: 'the device speaks BMP, but monitors no routes of this speaker' }
  const has = kept ?? received ?? new Map()
  const refused: string[] = []
  const missing: string[] = []
  const altered: Altered[] = []
  for (const [prefix, nextHop] of announced) {
    const becomes = has.get(prefix)
    if (becomes === undefined) {
      const arrived = received === undefined ? kept !== undefined : received.has(prefix)
      ;(arrived ? refused : missing).push(prefix)
    } else if (becomes !== nextHop) altered.push({ prefix, announced: nextHop, becomes })
  }
  if (refused.length + missing.length + altered.length === 0) return { status: 'kept', prefixes: announced.size }
  return { status: 'not-kept', refused, missing, altered }
}

/** Prefixes that a sentence names. */
const NAMED = 4

/** For people: what is wrong, in the router's own words, and where to look. */
export function verdictText(verdict: Extract<SwitchVerdict, { status: 'not-kept' }>): string {
  const { refused, missing, altered } = verdict
  return [
    ...(refused.length > 0
      ? [`the device's import policy refuses ${some(refused)}: permit them in its prefix list or route map`]
      : []),
    ...(missing.length > 0
      ? [`the device does not keep ${some(missing)}: its import policy refuses them, or it could not use them`]
      : []),
    ...(altered.length > 0
      ? [`the device changes the next hop of ${some(altered.map(alteredText))}: its policy must leave it as it is`]
      : []),
  ].join('; ')
}

function alteredText({ prefix, announced, becomes }: Altered): string {
  return `${prefix} (from ${announced} to ${becomes})`
}

function some(texts: readonly string[]): string {
  const more = texts.length - NAMED
  return texts.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
