/** `terway-edge version`: a light path that loads nothing heavy. */
import { version as packageVersion } from '../../package.json'
import { SERVICE_USER } from '../host/service-user.ts'
import { print } from '../lib/stdout.ts'

/** Set by scripts/build to the commit that was built. */
declare const TERWAY_EDGE_COMMIT: string | undefined

/**
 * Set by builds that are to be told apart, as tests of upgrades need them; else package.json says
 * it.
 */
declare const TERWAY_EDGE_VERSION: string | undefined

/**
 * The version of this executable and the commit it was built from, `unknown` when run from source;
 * `user`: that of a node's services, which versions that ran as root do not say.
 */
export function versionInfo(): { version: string; commit: string; bun: string; platform: string; user: string } {
  const commit = typeof TERWAY_EDGE_COMMIT === 'string' ? TERWAY_EDGE_COMMIT : 'unknown'
  const version = typeof TERWAY_EDGE_VERSION === 'string' ? TERWAY_EDGE_VERSION : packageVersion
  return { version, commit, bun: Bun.version, platform: `${process.platform}-${process.arch}`, user: SERVICE_USER }
}

/** What `versionInfo` says of the build beside its version. */
export function buildInfo(): { readonly commit: string; readonly runtime: string; readonly platform: string } {
  const { commit, bun, platform } = versionInfo()
  return { commit, runtime: `Bun ${bun}`, platform }
}

export async function versionCommand(args: string[]): Promise<number> {
  const info = versionInfo()
  const json = args.join(' ') === '-o json'
  if (!json && args.length > 0) {
    const help = args[0] === '--help' || args[0] === '-h'
    const text = 'Usage: terway-edge version [-o json]\n'
    if (help) print(text)
    else process.stderr.write(text)
    return help ? 0 : 2
  }
  const text = json
    ? JSON.stringify(info)
    : `terway-edge ${info.version} (commit ${info.commit}, Bun ${info.bun}, ${info.platform})`
  print(`${text}\n`)
  return 0
}
