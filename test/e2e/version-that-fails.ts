/**
 * The entry of a version for tests of upgrades: like the real one, but its node ends as soon as it
 * is started.
 */
if (process.argv[2] === 'node') {
  process.stderr.write('this version fails\n')
  process.exit(1)
}
await import('../../src/main.ts')

export {}
