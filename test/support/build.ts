/**
 * Executables of other versions than dist/terway-edge, for tests of upgrades: the same sources,
 * another version string.
 */
import { run } from './namespaces.ts'

/** Builds `file`, which says that it is `version`; `entry` may stand in front of src/main.ts. */
export function buildVersion(file: string, version: string, entry = 'src/main.ts'): void {
  const flags = [
    '--compile',
    '--bytecode',
    '--minify',
    '--format=esm',
    '--splitting',
    '--define',
    `TERWAY_EDGE_VERSION="${version}"`,
  ]
  const entries = [entry, 'src/bfd/worker.ts']
  const autoload = ['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig']
  run([process.execPath, 'build', ...entries, ...flags, ...autoload, '--outfile', file], {
    timeoutMilliseconds: 180_000, // a machine that does much else
  })
}
