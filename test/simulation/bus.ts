/**
 * The one order of everything that happens: timers, messages, replies, faults, each at a virtual
 * time and for an owner. One entry is delivered at a time, and what it set going inside of the
 * process (promises that are resolved) runs to its end before the next; nothing is ever drained in
 * one go. Entries of an owner that has died are dropped.
 */
import { drainMicrotasks } from 'bun:jsc'

/** Who does something: a process. Dead ones do nothing any more. */
export interface Owner {
  readonly name: string
  alive: boolean
}

export type Cancel = () => void

interface Entry {
  readonly at: number
  readonly order: number
  readonly owner: Owner
  readonly what: string
  readonly deliver: () => void
  cancelled: boolean
}

export class Bus {
  /** Virtual milliseconds since the simulation began. */
  now = 0
  /** Entries that were delivered. */
  delivered = 0
  readonly #heap: Entry[] = []
  #order = 0

  /** Asks for `deliver` in `milliseconds`; `what` names it in the trace. */
  post(owner: Owner, milliseconds: number, what: string, deliver: () => void): Cancel {
    const at = this.now + Math.max(0, milliseconds)
    const entry: Entry = { at, order: this.#order++, owner, what, deliver, cancelled: false }
    this.#push(entry)
    return () => {
      entry.cancelled = true
    }
  }

  /** When the next entry is due; undefined when there is none. */
  get nextAt(): number | undefined {
    this.#clean()
    return this.#heap[0]?.at
  }

  /** Delivers the next entry, and what follows from it at once. Whose it was and what. */
  step(): { readonly owner: string; readonly what: string } | undefined {
    this.#clean()
    const entry = this.#pop()
    if (entry === undefined) return undefined
    this.now = entry.at
    this.delivered++
    entry.deliver()
    drainMicrotasks()
    return { owner: entry.owner.name, what: entry.what }
  }

  #clean(): void {
    for (
      let first = this.#heap[0];
      first !== undefined && (first.cancelled || !first.owner.alive);
      first = this.#heap[0]
    )
      this.#pop()
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = heap[above]
      if (other === undefined || !isBefore(entry, other)) break
      heap[at] = other
      at = above
    }
    heap[at] = entry
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const smaller = right !== undefined && isBefore(right, left) ? right : left
      if (!isBefore(smaller, last)) break
      heap[at] = smaller
      at = smaller === left ? 2 * at + 1 : 2 * at + 2
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
