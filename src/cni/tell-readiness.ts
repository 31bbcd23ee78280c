/**
 * Says to the CNI plugin whether pods can be served (readiness.ts is what it reads): writes only
 * what changed, and tries until it could. Nothing waits for it: routes and sessions do not need it.
 */
import type { Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { type Readiness, writeReadiness } from './readiness.ts'

/** Who knows: the node agent. */
export interface NodeReadiness {
  readonly ready: boolean
  /** Why not. */
  readonly problems: readonly string[]
  /** Calls `listener` when either changed. Returns how to stop that. */
  onChange(listener: () => void): () => void
}

/** Starts at once, and follows `node`. Returns how to end it. */
export function keepTellingReadiness(
  stateDir: string,
  { node, clock, log, disk }: { node: NodeReadiness; clock: Clock; log: Log; disk?: Disk },
): { close(): Promise<void> } {
  let told = ''
  let failing = false
  const loop = new Loop({
    clock,
    run: () => {
      const readiness = readinessOf(node)
      const text = JSON.stringify(readiness)
      if (text === told) return
      writeReadiness(stateDir, readiness, disk)
      told = text
      failing = false
    },
    onError: error => {
      if (!failing) log.error({ detail: errorText(error) }, 'the CNI plugin cannot be told whether pods can be served')
      failing = true
    },
  })
  const stop = node.onChange(() => loop.wake())
  loop.wake()
  return {
    close: () => {
      stop()
      return loop.close()
    },
  }
}

function readinessOf({ ready, problems }: NodeReadiness): Readiness {
  if (ready) return { state: 'ready' }
  return { state: 'unavailable', ...(problems.length > 0 && { reason: problems.join('; ') }) }
}
