/**
 * What `doctor` sees of the CNI: the plugin's files, our configuration, and those of others that
 * the runtime would take instead. Writes nothing and judges nothing (`checks.ts` does).
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type CniConfig, cniConfigFile, cniConfigText } from '../agent/cni-config.ts'
import { CHAINED_FOR, chainedPlugins, missingPlugins } from '../agent/cni-plugins.ts'
import { errorCode } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import type { CniFacts, FileState } from './facts.ts'

export interface CniPlace {
  readonly confDir: string
  readonly binDir: string
  readonly mtu: number | 'auto'
}

/** What libcni takes for a configuration, by the end of its name. */
const CONFIGURATION = /\.(conf|conflist|json)$/

/**
 * `expected` is what our configuration should say now, but for the plugins chained to ours;
 * undefined when that is not known.
 */
export function observeCni({ confDir, binDir, mtu }: CniPlace, expected: CniConfig | undefined): CniFacts {
  const file = cniConfigFile(confDir)
  const text = readFileIfPresent(file)
  const chained = chainedPlugins(binDir)
  const right = expected === undefined || text === cniConfigText({ ...expected, chained })
  return {
    plugin: fileFacts(join(binDir, 'terway-edge')),
    loopback: fileFacts(join(binDir, 'loopback')),
    conflist: { file, state: text === undefined ? 'missing' : right ? 'right' : 'different' },
    before: configurations(confDir)
      .filter(name => name < basename(file))
      .map(name => join(confDir, name)),
    mtu,
    notChained: missingPlugins(chained).map(name => ({ file: join(binDir, name), effect: CHAINED_FOR[name] })),
  }
}

function configurations(confDir: string): string[] {
  try {
    return readdirSync(confDir)
      .filter(name => CONFIGURATION.test(name))
      .sort()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

function fileFacts(file: string): { file: string; state: FileState } {
  if (!existsSync(file)) return { file, state: 'missing' }
  try {
    accessSync(file, constants.X_OK)
    return { file, state: 'executable' }
  } catch {
    return { file, state: 'not executable' }
  }
}
