/**
 * Executables for tests: of other versions than dist/terway-edge, from the same sources with
 * another version string, and of programs of a test's own.
 */
import { run } from './namespaces.ts'

/** Compiles `entries` into `file`, with the flags of a release. */
export function compile(file: string, entries: readonly string[], more: readonly string[] = []): void {
  const flags = ['--compile', '--bytecode', '--minify', '--format=esm', '--splitting', ...more]
  const autoload = ['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig']
  run([process.execPath, 'build', ...entries, ...flags, ...autoload, '--outfile', file], {
    timeoutMilliseconds: 180_000, // a machine that does much else
  })
}

/** Builds `file`, which says that it is `version`; `entry` may stand in front of src/main.ts. */
export function buildVersion(file: string, version: string, entry = 'src/main.ts'): void {
  compile(file, [entry, 'src/bfd/worker.ts'], ['--define', `TERWAY_EDGE_VERSION="${version}"`])
}
