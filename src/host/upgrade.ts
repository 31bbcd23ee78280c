/**
 * Puts another version in the place of the one installed, and goes back by itself when the node
 * does not do with it what it did before. Each version installs itself (`install` knows its own
 * units); what it replaces is kept at PREVIOUS_EXECUTABLE. Pods, routes and announcements stay
 * meanwhile: a stop keeps the routes, and BGP restarts gracefully.
 */
import { existsSync, readFileSync } from 'node:fs'
import { type Clock, sleep } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { fileStamp, readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { EXECUTABLE, GOING_BACK, PREVIOUS_EXECUTABLE, ROLE_FILES, type Role, UPGRADING } from './installed-files.ts'
import { sha256 } from './seen-machine.ts'
import { readRecord, removeRecord, type UpgradeRecord, writeRecord } from './upgrade-record.ts'
import { type Before, beforeOf, notBack } from './upgrade-verdict.ts'

export interface Upgrade {
  /** The executable of the version to go to. */
  readonly to: string
  /** Whether to take the former version back when this one does not do its job. */
  readonly goBack: boolean
  /** How long it may take until all is back. */
  readonly patienceSeconds: number
  /**
   * The snapshot of the running process, or undefined while it does not answer. A role without an
   * entry cannot be asked from here: that it started is enough.
   */
  readonly ask: ReadonlyMap<Role, () => Promise<Snapshot | undefined>>
  /** Stops a node's services and gives root their files, for a version that runs as root. */
  readonly giveBack: () => Promise<void>
  readonly clock: Clock
  readonly say: (line: string) => void
}

const LOOK_MILLISECONDS = 500

/** What is installed on this machine. */
export function installedRoles(): Role[] {
  return (['node', 'controller'] as const).filter(role => ROLE_FILES[role].units.some(path => existsSync(path)))
}

/**
 * The executable of the version to go back to; undefined: there is none. Where going back was
 * killed half-way it is the one that is in place already, and what is kept is the other.
 */
export function formerExecutable(): string | undefined {
  const digest = readFileIfPresent(GOING_BACK)?.trim()
  if (digest !== undefined && digest === digestOf(EXECUTABLE)) return EXECUTABLE
  return existsSync(PREVIOUS_EXECUTABLE) ? PREVIOUS_EXECUTABLE : undefined
}

/** Throws `UserError` when the version cannot be taken, or was taken back. */
export async function upgrade(options: Upgrade): Promise<void> {
  const { to, clock, say } = options
  const roles = installedRoles()
  if (roles.length === 0) {
    throw new UserError('nothing is installed here to upgrade: terway-edge install does that first', { exitStatus: 2 })
  }
  const { version } = versionOf(to)
  // an upgrade that was killed has put it there already
  const digest = digestOf(to)
  const isThere = digest !== undefined && digest === digestOf(EXECUTABLE)
  const from = formerVersion(isThere ? PREVIOUS_EXECUTABLE : EXECUTABLE)
  const installed = fileStamp(EXECUTABLE)
  for (const role of roles) requireConfigUnderstood(to, { role, version })
  const killed = isThere ? readRecord(UPGRADING, { to: digest, now: clock.now() }) : undefined
  const before = killed ?? (await askBefore(roles, options))
  if (digest !== undefined) keepRecord({ to: digest, at: clock.now(), before })
  say(`from ${from} to ${version}`)
  const failure = await installWith(to, roles, options)
  // refused, or without room, before the installed version was touched: nothing to go back from,
  // unless the one before this did touch it
  if (!isThere && failure !== undefined && fileStamp(EXECUTABLE) === installed) {
    removeRecord(UPGRADING)
    throw new UserError(`${version} cannot be installed, ${from} runs on:\n${listed(failure)}`)
  }
  const reasons = failure ?? (await waitUntilBack({ ...options, roles, version, before, clock }))
  const goesBack = options.goBack && existsSync(PREVIOUS_EXECUTABLE)
  if (reasons.length > 0 && goesBack) return goBack({ ...options, roles, version, from, reasons })
  removeRecord(UPGRADING)
  if (reasons.length > 0) throw new UserError(`${version} is installed, but:\n${listed(reasons)}`)
  say(`${version} runs; terway-edge rollback goes back to ${from}`)
}

/** Without room for it the upgrade goes on: only one that is killed would miss it. */
function keepRecord(record: UpgradeRecord): void {
  try {
    writeRecord(UPGRADING, record)
  } catch {
    removeRecord(UPGRADING)
  }
}

interface GoingBack extends Upgrade {
  readonly roles: readonly Role[]
  readonly version: string
  readonly from: string
  readonly reasons: readonly string[]
}

async function goBack({ roles, version, from, reasons, ...options }: GoingBack): Promise<never> {
  const failed = await installWith(PREVIOUS_EXECUTABLE, roles, options)
  removeRecord(UPGRADING)
  const end = failed === undefined ? `${from} is back` : `${from} could not be put back: ${failed.join(' ')}`
  throw new UserError(`${version} does not do what ${from} did; ${end}:\n${listed(reasons)}`)
}

async function askBefore(
  roles: readonly Role[],
  { ask }: Pick<Upgrade, 'ask'>,
): Promise<ReadonlyMap<Role, Before | undefined>> {
  const before = new Map<Role, Before | undefined>()
  for (const role of roles) {
    const seen = await ask.get(role)?.()
    before.set(role, seen && beforeOf(seen))
  }
  return before
}

function listed(reasons: readonly string[]): string {
  return reasons.map(reason => `  ${reason}`).join('\n')
}

interface Waiting extends Upgrade {
  readonly roles: readonly Role[]
  readonly version: string
  readonly before: ReadonlyMap<Role, Before | undefined>
}

/** What is still not back when patience ends. */
async function waitUntilBack({ roles, version, before, ask, clock, patienceSeconds }: Waiting): Promise<string[]> {
  const deadline = clock.now() + patienceSeconds * 1000
  for (;;) {
    const missing: string[] = []
    for (const role of roles) {
      const look = ask.get(role)
      if (look !== undefined) missing.push(...notBack(before.get(role), await look(), version))
    }
    if (missing.length === 0 || clock.now() >= deadline) return missing
    await sleep(clock, LOOK_MILLISECONDS)
  }
}

/** Why a version could not install itself; undefined when it did. */
async function installWith(
  executable: string,
  roles: readonly Role[],
  { giveBack }: Pick<Upgrade, 'giveBack'>,
): Promise<string[] | undefined> {
  if (executable === PREVIOUS_EXECUTABLE) writeFileWhole(GOING_BACK, `${digestOf(executable)}\n`)
  if (roles.includes('node') && versionOf(executable).asRoot) await giveBack()
  const failures = roles.flatMap(role => {
    const words = role === 'controller' ? ['--controller'] : []
    const { status, stderr } = call(executable, ['install', '--offline', ...words])
    return status === 0 ? [] : [stderr.trim()]
  })
  removeFile(GOING_BACK)
  return failures.length === 0 ? undefined : failures
}

function digestOf(file: string): string | undefined {
  return existsSync(file) ? sha256(readFileSync(file)) : undefined
}

/** Throws when the file is none of our executables, or one of another machine. */
function versionOf(file: string): { readonly version: string; readonly asRoot: boolean } {
  const { status, stdout, stderr } = call(file, ['version', '-o', 'json'])
  const version = status === 0 ? /"version":"([^"]+)"/.exec(stdout)?.[1] : undefined
  if (version !== undefined) return { version, asRoot: !stdout.includes('"user":') }
  throw new UserError(`${file} is no terway-edge that runs on this machine: ${stderr.trim() || stdout.trim()}`, {
    exitStatus: 2,
  })
}

/** Of what is installed, or kept, which may be broken: a reason to upgrade. */
function formerVersion(executable: string): string {
  try {
    return versionOf(executable).version
  } catch {
    return 'the former version'
  }
}

/** A version that does not know a key of the configuration would not start. */
function requireConfigUnderstood(file: string, { role, version }: { role: Role; version: string }): void {
  const { config } = ROLE_FILES[role]
  const { status, stderr } = call(file, ['config', '--config', config])
  if (status === 0) return
  throw new UserError(`nothing was changed: ${version} does not understand ${config}:\n${stderr.trim()}`, {
    exitStatus: 2,
  })
}

function call(file: string, words: readonly string[]): { status: number; stdout: string; stderr: string } {
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync([file, ...words], { stdout: 'pipe', stderr: 'pipe' })
    return { status: exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
  } catch (error) {
    return { status: -1, stdout: '', stderr: error instanceof Error ? error.message : String(error) }
  }
}
