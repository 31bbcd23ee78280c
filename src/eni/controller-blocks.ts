/**
 * What is left alone for now, and why: actions, interfaces, vSwitches, instances, the account. What
 * is refused again and again is asked ever more rarely. Kept in memory: after a restart each is
 * tried once. Pure but for what it holds.
 */
import type { ErrorKind, Scope, Verdict } from './cloud-errors.ts'

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

/** Whoever has mended something waits no longer than this for the next try. */
const MOST_MILLISECONDS = 15 * 60_000
/** These waits are the cloud's own, or cost it nothing: they do not grow. */
const STEADY: ReadonlySet<ErrorKind> = new Set(['throttled', 'vswitch-full', 'effect-unknown', 'not-sent'])
/** So long after its end a block is forgotten: the next refusal is the first again. */
const FORGET_MILLISECONDS = 60 * 60_000

export class Blocks {
  readonly #blocks = new Map<string, Kept>()

  /**
   * Leaves `id` of the verdict's scope alone. Whether that is news: not known for the same reason
   * already.
   */
  add(id: string, verdict: Verdict, now: number): boolean {
    const { scope, waitSeconds, code, kind } = verdict
    for (const [old, { until }] of this.#blocks) if (now - until > FORGET_MILLISECONDS) this.#blocks.delete(old)
    const key = `${scope}/${id}`
    const before = this.#blocks.get(key)
    const same = before !== undefined && before.verdict.code === code && before.verdict.kind === kind
    // what several nodes are told at once is one refusal
    const times = !same ? 0 : before.until > now ? before.times : before.times + 1
    const wait = STEADY.has(kind)
      ? waitSeconds * 1000
      : Math.min(Math.max(MOST_MILLISECONDS, waitSeconds * 1000), waitSeconds * 1000 * 2 ** Math.min(times, 12))
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
