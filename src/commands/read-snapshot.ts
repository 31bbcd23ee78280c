/**
 * Where a command of the operator has its snapshot from: the local process, or with `--kubeconfig`
 * the cluster. What the latter takes is loaded only then.
 */
import type { Snapshot } from '../model/snapshot.ts'
import { type AskOptions, askSnapshot } from '../status/ask.ts'

/** Throws a UserError that says what to do. */
export async function readSnapshot(options: AskOptions): Promise<Snapshot> {
  if (options.kubeconfig === undefined) return askSnapshot(options)
  return (await import('./cluster-snapshot.ts')).clusterSnapshot(options.kubeconfig)
}
