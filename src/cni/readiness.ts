/**
 * What the node process tells the plugin about the node, for STATUS: `<state>/cni/readiness.json`.
 * The plugin runs for milliseconds and cannot judge the node's network itself. No file means ready:
 * the CNI configuration is written only when it is.
 */
import { join } from 'node:path'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { isObject } from '../lib/json.ts'

/**
 * `unavailable`: new pods cannot be served (CNI error 50). `limited`: and those that run may be cut
 * off (51).
 */
export interface Readiness {
  readonly state: 'ready' | 'unavailable' | 'limited'
  /** For the operator, when it is not ready. */
  readonly reason?: string
}

export function writeReadiness(stateDir: string, readiness: Readiness, disk: Disk = systemDisk): void {
  writeFileWhole(fileIn(stateDir), `${JSON.stringify(readiness)}\n`, { disk })
}

/** Throws when the file is there and cannot be read. */
export function readReadiness(stateDir: string, disk: Disk = systemDisk): Readiness {
  const text = readFileIfPresent(fileIn(stateDir), disk)
  if (text === undefined) return { state: 'ready' }
  const json: unknown = JSON.parse(text)
  if (!isObject(json)) throw new Error(`${fileIn(stateDir)} is not a JSON object`)
  const { state, reason } = json
  if (state !== 'ready' && state !== 'unavailable' && state !== 'limited') {
    throw new Error(`${fileIn(stateDir)} has state ${JSON.stringify(state)}`)
  }
  return typeof reason === 'string' ? { state, reason } : { state }
}

function fileIn(stateDir: string): string {
  return join(stateDir, 'cni', 'readiness.json')
}
