/**
 * Writes `status.node` of this node's ENINode by server-side apply, under a field manager of its
 * own: at most once a second, and only what report.ts finds due. While the API server is away the
 * newest report is kept and written once it answers again; nothing waits for it.
 */
import type { KubeApi } from '../kube/api.ts'
import { type ENINode, type ENINodeReport, reportFieldManager, reportPatch } from '../kube/eni-node.ts'
import { ENI_NODES } from '../kube/resources.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { isDue } from './report.ts'

export interface ReportWriterOptions {
  readonly api: Pick<KubeApi, 'apply'>
  readonly clock: Clock
  readonly log: Log
}

const PAUSE_MILLISECONDS = 1000
/** What is not seen of our own writes for longer than this was taken away by somebody. */
const WATCH_LAG_MILLISECONDS = 30_000

export class ReportWriter {
  readonly #options: ReportWriterOptions
  readonly #loop: Loop
  #wanted: { readonly node: ENINode; readonly report: ENINodeReport } | undefined
  #written: { readonly uid: string; readonly report: ENINodeReport; readonly at: number } | undefined
  #cancel: Cancel | undefined
  #failing = false

  constructor(options: ReportWriterOptions) {
    this.#options = options
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#write(),
      onError: error => {
        if (!this.#failing)
          options.log.warn({ detail: errorText(error) }, 'what pods have cannot be told to the cluster')
        this.#failing = true
      },
      backoff: { initialMilliseconds: PAUSE_MILLISECONDS, maximumMilliseconds: 30_000 },
    })
  }

  /** What should be known of `node`, as the API server has it. */
  report(node: ENINode, report: ENINodeReport): void {
    this.#wanted = { node, report }
    if (this.#due() && !this.#failing) this.#schedule()
  }

  close(): Promise<void> {
    this.#cancel?.()
    return this.#loop.close()
  }

  /** A watch lags behind: for a while what was written counts, not what is seen. */
  #due(): boolean {
    const wanted = this.#wanted
    if (wanted === undefined) return false
    const { node, report } = wanted
    const mine = this.#written?.uid === node.uid ? this.#written : undefined
    const fresh = mine !== undefined && this.#options.clock.monotonic() - mine.at < WATCH_LAG_MILLISECONDS
    return isDue(report, fresh ? mine.report : node.status.node, node)
  }

  #schedule(): void {
    const { clock } = this.#options
    const due = (this.#written?.at ?? Number.NEGATIVE_INFINITY) + PAUSE_MILLISECONDS
    if (due <= clock.monotonic()) this.#loop.wake()
    else {
      this.#cancel ??= clock.after(due - clock.monotonic(), () => {
        this.#cancel = undefined
        this.#loop.wake()
      })
    }
  }

  async #write(): Promise<void> {
    const { api, clock, log } = this.#options
    const wanted = this.#wanted
    if (wanted === undefined || !this.#due()) return
    const { node, report } = wanted
    const fieldManager = reportFieldManager(node.name)
    await api.apply(ENI_NODES, reportPatch(node.name, report), { fieldManager, subresource: 'status', force: true })
    this.#written = { uid: node.uid, report, at: clock.monotonic() }
    if (this.#failing) log.info({}, 'what pods have is told to the cluster again')
    this.#failing = false
    if (this.#due()) this.#schedule()
  }
}
