/**
 * What is left alone for now, and why: actions, interfaces, vSwitches, instances, the account. What
 * is refused again and again is asked ever more rarely. Kept in memory: after a restart each is
 * tried once. Pure but for what it holds.
 */
import type { Scope, Verdict } from './cloud-errors.ts'

export interface Block {
  readonly scope: Scope
  readonly id: string
  readonly verdict: Verdict
  /** Monotonic milliseconds. */
  readonly until: number
}

interface Kept extends Block {
  /** How often it was refused in a row. */
  readonly times: number
}

const MOST_MILLISECONDS = 60 * 60_000
/** These waits are the cloud's own: they do not grow. */
const STEADY = new Set(['throttled', 'vswitch-full', 'effect-unknown'])

export class Blocks {
  readonly #blocks = new Map<string, Kept>()

  /**
   * Leaves `id` of the verdict's scope alone. Whether that is news: not known for the same reason
   * already.
   */
  add(id: string, verdict: Verdict, now: number): boolean {
    const { scope, waitSeconds, code, kind } = verdict
    if (scope === 'nothing' || waitSeconds <= 0) return true
    const key = `${scope}/${id}`
    const before = this.#blocks.get(key)
    const same = before !== undefined && before.verdict.code === code && before.verdict.kind === kind
    const times = same ? before.times + 1 : 0
    const wait = STEADY.has(kind)
      ? waitSeconds * 1000
      : Math.min(MOST_MILLISECONDS, waitSeconds * 1000 * 2 ** Math.min(times, 12))
    this.#blocks.set(key, { scope, id, verdict, until: now + wait, times })
    return !same
  }

  /** Why `id` is to be left alone now. */
  get(scope: Scope, id: string, now: number): Verdict | undefined {
    const block = this.#blocks.get(`${scope}/${id}`)
    return block !== undefined && block.until > now ? block.verdict : undefined
  }

  /** Something of it worked: the next refusal is the first again. */
  clear(scope: Scope, id: string): void {
    this.#blocks.delete(`${scope}/${id}`)
  }

  /** What was refused for the configuration may be good now. */
  forgetConfiguration(): void {
    for (const [key, { verdict }] of this.#blocks) if (verdict.kind === 'configuration') this.#blocks.delete(key)
  }

  /** What is left alone now. */
  current(now: number): readonly Block[] {
    return [...this.#blocks.values()].filter(({ until }) => until > now)
  }

  /** When the next of them ends; undefined when there is none. */
  nextEnd(now: number): number | undefined {
    const ends = this.current(now).map(({ until }) => until)
    return ends.length === 0 ? undefined : Math.min(...ends)
  }
}
