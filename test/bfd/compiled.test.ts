/**
 * The worker in a compiled executable: its file is an entry point of its own beside the program's,
 * and scripts/build names it. Run from another folder, so that nothing is read from the sources.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const PROGRAM = join(import.meta.dir, 'compiled-program.ts')
const SOURCES = join(import.meta.dir, '../../src')
const BUILD = join(import.meta.dir, '../../scripts/build')

test('scripts/build has the worker as an entry point', () => {
  expect(readFileSync(BUILD, 'utf8')).toMatch(/build src\/main\.ts src\/bfd\/worker\.ts --compile/)
})

for (const how of ['from source', 'compiled']) {
  testNeeding('root')(
    `a session comes up between two workers, ${how}`,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'bfd-compiled-'))
      const network = new TestNetwork()
      try {
        const [a, b] = [network.namespace('a'), network.namespace('b')]
        network.connect(
          { namespace: a, interface: 'eth0', addresses: ['10.9.0.1/24'] },
          { namespace: b, interface: 'eth0', addresses: ['10.9.0.2/24'] },
        )
        const executable = join(folder, 'program')
        if (how === 'compiled') {
          const flags = ['--bytecode', '--format=esm', '--splitting', '--minify', '--no-compile-autoload-dotenv']
          run(
            [
              ...[process.execPath, 'build', PROGRAM, join(SOURCES, 'bfd/worker.ts'), '--root', SOURCES, '--compile'],
              ...[...flags, '--no-compile-autoload-bunfig', '--outfile', executable],
            ],
            { timeoutMilliseconds: 180_000 },
          )
        }
        const command = how === 'compiled' ? [executable] : [process.execPath, PROGRAM]
        const child = Bun.spawn([...command, network.path(a), network.path(b)], {
          cwd: folder,
          stdout: 'pipe',
          stderr: 'pipe',
          timeout: 30_000,
        })
        const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()])
        expect({ output, errors, status: await child.exited }).toEqual({ output: 'Up Up\n', errors: '', status: 0 })
      } finally {
        await network.close()
        rmSync(folder, { recursive: true, force: true })
      }
    },
    300_000,
  )
}
