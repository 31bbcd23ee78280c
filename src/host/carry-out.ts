/**
 * Does the steps of a plan, in order, and says each. A step that fails ends it; what was done until
 * then stays, and the same command does the rest when it is called again. Decides nothing.
 */
import { chmodSync, copyFileSync, linkSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemDisk } from '../lib/disk.ts'
import { UserError } from '../lib/errors.ts'
import { replaceFile, syncPath } from '../lib/files.ts'
import { makeUser, removeUser } from './accounts.ts'
import { handOver } from './hand-over.ts'
import { partOf } from './installed-files.ts'
import { type Step, stepText } from './steps.ts'
import { systemctl } from './systemd.ts'

export interface CarryOut {
  /** The folder that stands for `/`. */
  readonly root: string
  /** Tells a line. */
  readonly say: (line: string) => void
  /** What rooms do that this one does not know. */
  readonly drain?: () => Promise<void>
  readonly leaveNetwork?: () => Promise<void>
}

/** Throws `UserError` at the first step that cannot be done. */
export async function carryOut(steps: readonly Step[], context: CarryOut): Promise<void> {
  for (const step of steps) {
    await carryOutStep(step, context)
    const line = doneText(step, context.root)
    if (line !== undefined) context.say(line)
  }
}

/** What `--dry-run` says: every step that would change something, and what is left. */
export function dryRunText(steps: readonly Step[], root: string): string[] {
  return steps.filter(step => step.do !== 'say').map(step => stepText(below(step, root), 'will'))
}

async function carryOutStep(step: Step, { root, drain, leaveNetwork }: CarryOut): Promise<void> {
  const at = (path: string) => join(root, path)
  switch (step.do) {
    case 'copy':
      return copyWhole(step.from, at(step.path), step.keepAs === undefined ? undefined : at(step.keepAs))
    case 'write':
      if (step.keepAs !== undefined) secondName(at(step.path), at(step.keepAs))()
      return writeWhole(at(step.path), step)
    case 'link':
      mkdirSync(dirname(at(step.path)), { recursive: true })
      rmSync(at(step.path), { force: true })
      return symlinkSync(step.target, at(step.path))
    case 'make folder':
      mkdirSync(at(step.path), { recursive: true, mode: step.mode })
      return
    case 'remove':
      return rmSync(at(step.path), { recursive: true, force: true })
    case 'make user':
      return makeUser(root, step)
    case 'remove user':
      return removeUser(root, step.name)
    case 'hand over':
      return handOver(at(step.path), step, root)
    case 'systemctl':
      return systemctl(...step.words)
    case 'drain':
      return drain?.()
    case 'leave network':
      return leaveNetwork?.()
    case 'leave':
    case 'say':
      return
    default:
      return step satisfies never
  }
}

/**
 * The line for a step that was done; undefined where the step has said so itself, or is a matter of
 * course.
 */
function doneText(step: Step, root: string): string | undefined {
  switch (step.do) {
    case 'systemctl':
    case 'drain':
    case 'leave network':
    case 'make folder':
      return undefined
    default:
      return stepText(below(step, root), 'did')
  }
}

/** The step with the path that it has on this machine. */
function below(step: Step, root: string): Step {
  return 'path' in step ? { ...step, path: join(root, step.path) } : step
}

/**
 * The running executable cannot be written to, but it can be replaced; what it replaces is kept.
 */
function copyWhole(from: string, to: string, keepAs: string | undefined): void {
  mkdirSync(dirname(to), { recursive: true })
  const beside = partOf(to)
  try {
    // first: `from` may be the one that is kept, and going back takes no room on the disk
    if (from === keepAs) linkOrCopy(from, beside)
    else copyAnew(from, beside)
    chmodSync(beside, 0o755)
    syncPath(beside)
    const keep = keepAs === undefined ? () => {} : secondName(to, keepAs)
    // whenever it is killed, the version to go to, or the one to go back to, is under its name
    const isBack = from === keepAs
    if (!isBack) keep()
    renameSync(beside, to)
    if (isBack) keep()
    syncPath(dirname(to))
  } catch (cause) {
    rmSync(beside, { force: true })
    throw new UserError(`cannot write ${to}`, { cause })
  }
}

/** Not into what is there: that may be another name of a file. */
function copyAnew(from: string, to: string): void {
  rmSync(to, { force: true })
  copyFileSync(from, to)
}

/** Takes no room on the disk where both names can be the same file's. */
function linkOrCopy(from: string, to: string): void {
  rmSync(to, { force: true })
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to) // another file system, or one without hard links
  }
}

/** Beside the file first, by a name at which a later `install` or `uninstall` finds a leftover. */
function writeWhole(path: string, { text, mode }: { readonly text: string; readonly mode: number }): void {
  systemDisk.makeFolder(dirname(path))
  replaceFile(path, partOf(path), text, { mode })
  syncPath(dirname(path))
}

/**
 * Another name for what is at `path`, at first beside `name`: it takes its place when that is
 * called. Nothing where nothing is.
 */
function secondName(path: string, name: string): () => void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return () => {}
  mkdirSync(dirname(name), { recursive: true })
  const beside = partOf(name)
  linkOrCopy(path, beside)
  return () => renameSync(beside, name)
}
