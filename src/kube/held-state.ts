/**
 * The format of `held.json` in the state folder: changes of routing that are held, or still on
 * trial (held-changes.ts), so that a process that starts anew does not make them again, or takes
 * them back in its turn. Untrusted when read: its objects go through the decoders of those of the
 * API server, and one that is damaged is not held any more.
 */
import { join } from 'node:path'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import { type HeldChange, type HeldChanges, isHolding, NOTHING_HELD } from './held-changes.ts'
import { decodeRouteSlice, type RouteEntry } from './route-slice.ts'
import { isFields } from './spec-reader.ts'

const VERSION = 2

function heldPath(stateDir: string): string {
  return join(stateDir, 'held.json')
}

/** What a process that starts anew has to know. */
export interface KeptChanges {
  readonly held: HeldChanges
  /** Changes that are on trial, with what was before them. */
  readonly onTrial: HeldChanges
}

/**
 * Writes the file whole, or removes it where there is nothing. Throws when the folder cannot be
 * written.
 */
export function storeHeld(stateDir: string, { held, onTrial }: KeptChanges, disk: Disk = systemDisk): void {
  if (!isHolding(held) && !isHolding(onTrial)) {
    if (readFileIfPresent(heldPath(stateDir), disk) !== undefined) removeFile(heldPath(stateDir), disk)
    return
  }
  const trial = isHolding(onTrial) && { onTrial: Object.fromEntries(onTrial.entries) }
  const document = { version: VERSION, entries: Object.fromEntries(held.entries), ...trial }
  writeFileWhole(heldPath(stateDir), `${JSON.stringify(document)}\n`, { disk })
}

/** What was stored. Throws when the file cannot be read as a whole. */
export function loadHeld(stateDir: string, disk: Disk = systemDisk): KeptChanges {
  const text = readFileIfPresent(heldPath(stateDir), disk)
  if (text === undefined) return { held: NOTHING_HELD, onTrial: NOTHING_HELD }
  const document: unknown = JSON.parse(text)
  if (!isFields(document) || document.version !== VERSION) throw new Error(`it is not of version ${VERSION}`)
  return { held: { entries: heldOf(document.entries) }, onTrial: { entries: heldOf(document.onTrial) } }
}

function heldOf(value: unknown): Map<string, HeldChange<RouteEntry>> {
  const held = new Map<string, HeldChange<RouteEntry>>()
  for (const [key, one] of Object.entries(isFields(value) ? value : {})) {
    if (!isFields(one) || typeof one.refused !== 'string') continue
    const former = one.former === undefined ? undefined : entryOf(one.former)
    if (one.former !== undefined && former === undefined) continue
    held.set(key, { refused: one.refused, ...(former !== undefined && { former }) })
  }
  return held
}

function entryOf(former: unknown): RouteEntry | undefined {
  return decodeRouteSlice({ entries: [former] }).entries[0]
}
