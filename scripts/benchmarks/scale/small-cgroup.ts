/**
 * A memory cgroup of 96 MB, as a small edge node may give: of version 2 or 1, whichever this
 * machine has; undefined where none can be made.
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

const LIMIT_BYTES = 96 * 1024 * 1024

export interface SmallCgroup {
  /** Words that a command is put behind to run in it. */
  readonly enter: readonly string[]
  remove(): void
}

export function smallCgroup(folder: string): SmallCgroup | undefined {
  const layouts = [
    { root: '/sys/fs/cgroup', limit: 'memory.max' },
    { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  ]
  for (const { root, limit } of layouts) {
    const path = `${root}/${basename(folder)}`
    try {
      mkdirSync(path)
      if (!existsSync(`${path}/${limit}`)) throw new Error('no such controller')
      writeFileSync(`${path}/${limit}`, String(LIMIT_BYTES))
    } catch {
      remove(path)
      continue
    }
    return {
      enter: ['sh', '-c', `echo $$ > ${path}/cgroup.procs && exec "$@"`, 'sh'],
      remove: () => remove(path),
    }
  }
  return undefined
}

/** Its processes have ended by then. */
function remove(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // it was never made
  }
}
