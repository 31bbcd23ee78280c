/**
 * Keeps the table of connection-marks.ts in the kernel: written when the primary interface is
 * another one, or when somebody changed it. It stays when the process ends, for pods go on
 * answering.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Loop } from '../lib/loop.ts'
import { RulesetWatch } from '../netlink/ruleset-watch.ts'
import { MARKS_TABLE, type MarkedInterfaces, marksScript } from './connection-marks.ts'

/** The program nft, in the node's namespace. */
export interface Nftables {
  /** The text of a table without counters. Throws when there is none. */
  tableText(family: 'inet', table: string): Promise<string>
  /** One transaction. */
  apply(script: string): Promise<void>
}

export interface KeepMarksOptions {
  readonly clock: Clock
  /** Undefined where this machine has none. */
  readonly nftables: () => Nftables | undefined
  readonly mark: number
  readonly netns?: string
  readonly onProblems: () => void
}

const FULL_COMPARE_MILLISECONDS = 30_000
const SETTLE_MILLISECONDS = 200

export class ConnectionMarks {
  readonly #options: KeepMarksOptions
  readonly #loop: Loop
  readonly #watch: RulesetWatch
  #wanted: MarkedInterfaces = { primaries: [], interfaces: [] }
  /** The last script, and how nft listed the table right after it. */
  #written = { script: '', listed: '' }
  #problems: readonly string[] = []

  constructor(options: KeepMarksOptions) {
    this.#options = options
    const { clock, netns } = options
    this.#loop = new Loop({
      clock,
      run: () => this.#pass(),
      onError: error => this.#publish([`answers of pods to NodePorts cannot be marked: ${errorText(error)}`]),
      everyMilliseconds: FULL_COMPARE_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#watch = new RulesetWatch({
      clock,
      ...(netns !== undefined && { netns }),
      onChange: () => {
        if (this.#wanted.primaries.length > 0) this.#loop.wake()
      },
    })
  }

  get problems(): readonly string[] {
    return this.#problems
  }

  /** Whether the table has been written once. */
  get ready(): boolean {
    return this.#written.script !== ''
  }

  /** With no primary interface known, what was written stays. */
  want({ primaries, interfaces }: MarkedInterfaces): void {
    const sorted = (names: readonly string[]) => [...new Set(names)].sort()
    const wanted = { primaries: sorted(primaries), interfaces: sorted(interfaces) }
    if (primaries.length === 0 || JSON.stringify(wanted) === JSON.stringify(this.#wanted)) return
    this.#wanted = wanted
    this.#loop.wake()
  }

  async close(): Promise<void> {
    this.#watch.close()
    await this.#loop.close()
  }

  async #pass(): Promise<void> {
    const { nftables, mark } = this.#options
    if (this.#wanted.primaries.length === 0) return
    const nft = nftables()
    if (nft === undefined) {
      this.#publish(['NodePorts and hostPorts of local pods need the program nft: install the package nftables'])
      return
    }
    const script = marksScript(this.#wanted, mark)
    const listed = await nft.tableText('inet', MARKS_TABLE).catch(() => '')
    if (script !== this.#written.script || listed !== this.#written.listed) {
      await nft.apply(script)
      this.#written = { script, listed: await nft.tableText('inet', MARKS_TABLE) }
    }
    this.#publish([])
  }

  #publish(problems: readonly string[]): void {
    if (JSON.stringify(problems) === JSON.stringify(this.#problems)) return
    this.#problems = problems
    this.#options.onProblems()
  }
}
