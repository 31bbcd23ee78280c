/**
 * What the node did before an upgrade, kept while it is under way: one that is killed while it
 * waits has the new version in place already, and the next must not take for the former state what
 * that version makes of it. Untrusted when read: what is damaged, of another version or old says
 * nothing.
 */
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import type { Role } from './installed-files.ts'
import type { Before } from './upgrade-verdict.ts'

export interface UpgradeRecord {
  /** Digest of the executable of the version to go to. */
  readonly to: string
  /** Clock.now() milliseconds. */
  readonly at: number
  /** Undefined for a role that did not answer. */
  readonly before: ReadonlyMap<Role, Before | undefined>
}

/** An upgrade that nobody went on with for so long is another one. */
const OLD_MILLISECONDS = 3600_000

export function writeRecord(file: string, { to, at, before }: UpgradeRecord): void {
  writeFileWhole(file, `${JSON.stringify({ to, at, before: Object.fromEntries(before) })}\n`)
}

export function removeRecord(file: string): void {
  if (readFileIfPresent(file) !== undefined) removeFile(file)
}

/** What was before the upgrade to `to` that was killed; undefined: none was. */
export function readRecord(
  file: string,
  { to, now }: { readonly to: string | undefined; readonly now: number },
): UpgradeRecord['before'] | undefined {
  const record = parsed(readFileIfPresent(file))
  if (record === undefined || record.to !== to || now < record.at || now - record.at > OLD_MILLISECONDS)
    return undefined
  return record.before
}

function parsed(text: string | undefined): UpgradeRecord | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    if (!isObject(value) || typeof value.to !== 'string' || typeof value.at !== 'number') return undefined
    const { to, at, before } = value
    const of = (role: Role): [Role, Before | undefined][] => {
      const one = isObject(before) ? before[role] : undefined
      return isBefore(one) ? [[role, one]] : []
    }
    return { to, at, before: new Map([...of('node'), ...of('controller')]) }
  } catch {
    return undefined
  }
}

function isBefore(value: unknown): value is Before {
  return isObject(value) && typeof value.ready === 'boolean' && isTexts(value.up) && isTexts(value.present)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(one => typeof one === 'string')
}
