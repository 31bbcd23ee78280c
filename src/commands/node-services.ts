/**
 * What every part of a node's process is given: its configuration and log, whom to tell of changes
 * and of problems, and where to leave how it is ended.
 */
import type { Config } from '../config/schema.ts'
import type { Kubeconfig } from '../kube/kubeconfig.ts'
import type { ObjectReference } from '../kube/resources.ts'
import { errorText } from '../lib/errors.ts'
import type { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import type { Parting } from '../lib/parting.ts'

/** What every part is given. */
export interface NodeServices {
  readonly config: Config
  readonly kubeconfig: Kubeconfig
  readonly log: Log
  readonly parts: { readonly command: 'node' | 'agent' | 'speaker'; readonly agent: boolean; readonly speaker: boolean }
  readonly parting: Parting
  /** Tells the status interface that what it shows has changed. */
  readonly changes: Listeners
  /** What an operator should know of the process itself. */
  readonly problems: Problems
}

/** Problems that come from several places, and the parts that forwarding can do without. */
export class Problems {
  readonly #log: Log
  readonly #sources: (() => readonly string[])[] = []

  constructor(log: Log) {
    this.#log = log
  }
  get all(): readonly string[] {
    return this.#sources.flatMap(source => source())
  }
  add(problem: string): void {
    this.#log.error({ detail: problem }, 'problem')
    this.#sources.push(() => [problem])
  }
  follow(source: () => readonly string[]): void {
    this.#sources.push(source)
  }
  /**
   * Starts a part that forwarding does not need: where that fails, it is told, and everything else
   * goes on.
   */
  async optional<T>(what: string, start: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await start()
    } catch (error) {
      this.add(`${what}: ${errorText(error)}; everything else goes on`)
      return undefined
    }
  }
}

/** As kubelet refers to its Node, so that `kubectl describe node` shows the Event. */
export function thisNode(name: string): ObjectReference {
  return { apiVersion: 'v1', kind: 'Node', name, uid: name }
}
