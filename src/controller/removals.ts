/**
 * The controller's side of mass removals (kube/mass-removal.ts): keeps the state between passes,
 * knows who was drained, looks again when a delay is over, with whole lists that are newer than it.
 * What is held is forgotten when the process ends: the next leader begins to hold anew.
 */
import type { Cache } from '../kube/api.ts'
import { keptParts, keptText } from '../kube/held-entries.ts'
import { heldText, NO_REMOVALS, type RemovalDecision, type RemovalLimits, toTheMinute } from '../kube/mass-removal.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { ObservedRemovals } from './decide.ts'
import type { NodeFacts } from './nodes.ts'

/** What is held, in words. */
export interface HeldRemovals {
  /** All of it; undefined where nothing is held. */
  readonly text: string | undefined
  /** The nodes concerned. */
  readonly nodes: readonly string[]
  /** What concerns the LAN of a BGPPeer. */
  of(bgpPeer: string): string | undefined
}

export interface RemovalsOptions {
  readonly clock: Clock
  readonly limits: RemovalLimits
  readonly caches: readonly Cache<KubeObject>[]
  readonly wake: () => void
}

export class Removals {
  readonly #options: RemovalsOptions
  readonly #cordoned = new Set<string>()
  #state = NO_REMOVALS
  #cancel: Cancel = () => {}

  constructor(options: RemovalsOptions) {
    this.#options = options
  }

  /** What `decide` needs to know; `nodes` are those that exist. */
  observe(nodes: readonly NodeFacts[]): ObservedRemovals {
    const { clock, limits, caches } = this.#options
    for (const { name, cordoned } of nodes) {
      if (cordoned) this.#cordoned.add(name)
      else this.#cordoned.delete(name)
    }
    return {
      state: this.#state,
      limits,
      at: clock.monotonic(),
      listedAt: Math.min(...caches.map(cache => cache.listedAt ?? Number.NEGATIVE_INFINITY)),
      drained: this.#cordoned,
    }
  }

  /** Takes a decision in, and says what is held. */
  take({ state, kept, dueAt }: RemovalDecision, peersOf: (node: string) => readonly string[]): HeldRemovals {
    const { clock, caches, wake } = this.#options
    this.#state = state
    this.#cancel()
    if (dueAt === undefined) return NOTHING
    const now = clock.monotonic()
    // when it is due the lists are read anew, which wakes
    this.#cancel = clock.after(Math.max(1000, dueAt - now), () => {
      void Promise.all(caches.map(cache => cache.refresh())).then(wake)
    })
    const goesOn = toTheMinute(clock.now() + Math.max(0, dueAt - now))
    const parts = keptParts(kept)
    const textOf = (concerns: (node: string) => boolean) => {
      const texts = parts.filter(({ node }) => concerns(node)).map(keptText)
      return texts.length === 0 ? undefined : heldText(texts, goesOn)
    }
    return {
      text: textOf(() => true),
      nodes: [...new Set(parts.map(({ node }) => node))],
      of: bgpPeer => textOf(node => peersOf(node).includes(bgpPeer)),
    }
  }

  close(): void {
    this.#cancel()
  }
}

const NOTHING: HeldRemovals = { text: undefined, nodes: [], of: () => undefined }
