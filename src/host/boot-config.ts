/**
 * The configuration that a service starts with: that of its file, or where the file is damaged
 * (half written, a typo before a reboot at night), that of the last good start, which is kept in
 * the state folder. A node without its network for a comma too many would be worse, so it goes on
 * and says so.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConfigFlags, DEFAULT_CONFIG_FILE, loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'
import { STATE_DIRECTORY } from './installed-files.ts'

export interface BootConfig {
  readonly config: Config
  /** Why it is not that of the file. */
  readonly problem?: string
}

/** Throws the problems of the file, or of the flags, where nothing good is kept. */
export function bootConfig(flags: ConfigFlags): BootConfig {
  try {
    return { config: loadConfig(flags) }
  } catch (error) {
    const kept = keptPath(flags.state ?? STATE_DIRECTORY)
    if (readIfPossible(kept) === undefined) throw error
    const config = loadAgain({ ...flags, config: kept }, error)
    const problem = `${errorText(error)}; going on with the configuration of the last good start, ${kept}`
    return { config, problem: problem.replace(/\s+/g, ' ') }
  }
}

/** Keeps the file's text for a start that finds it damaged. What cannot be kept is told. */
export function keepConfig(flags: ConfigFlags, { state }: Config, log: Log): void {
  try {
    const text = readIfPossible(flags.config ?? DEFAULT_CONFIG_FILE)
    if (text === undefined || readFileIfPresent(keptPath(state)) === text) return
    writeFileWhole(keptPath(state), text)
  } catch (error) {
    log.warn({ file: keptPath(state), detail: errorText(error) }, 'the configuration cannot be kept')
  }
}

function keptPath(stateDir: string): string {
  return join(stateDir, 'config.yaml')
}

function loadAgain(flags: ConfigFlags, original: unknown): Config {
  try {
    return loadConfig(flags)
  } catch {
    throw original
  }
}

function readIfPossible(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
