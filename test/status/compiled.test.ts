/** The page out of a compiled executable, from a working directory that holds nothing of ours. */
import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { run } from '../support/namespaces.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-compiled-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A program that serves the sample of a controller and prints where. */
const PROGRAM = `
import { startStatusServer } from '${resolve('src/status/server.ts')}'
import { silentLog } from '${resolve('src/lib/log.ts')}'
import { controllerSnapshot, SampleSource } from '${resolve('test/status/sample.ts')}'
const server = startStatusServer({ ...new SampleSource(controllerSnapshot()), listen: '127.0.0.1:0', log: silentLog })
console.log(server.url)
`

/** As scripts/build does it. */
const FLAGS =
  '--compile --bytecode --format=esm --splitting --minify --no-compile-autoload-dotenv --no-compile-autoload-bunfig'

test('the executable brings the page with it', async () => {
  writeFileSync(`${folder}/program.ts`, PROGRAM)
  mkdirSync(`${folder}/elsewhere`)
  run([process.execPath, 'build', ...FLAGS.split(' '), `${folder}/program.ts`, '--outfile', `${folder}/program`])
  rmSync(`${folder}/program.ts`)
  const child = Bun.spawn([`${folder}/program`], { cwd: `${folder}/elsewhere`, stdout: 'pipe', stderr: 'inherit' })
  try {
    const { value } = await child.stdout.getReader().read()
    const url = new TextDecoder().decode(value).trim()
    const html = await (await fetch(url)).text()
    const links = [...html.matchAll(/<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"/g)].map(match => match[1] ?? '')
    expect(links.map(link => /\.\w+$/.exec(link)?.[0]).sort()).toEqual(['.css', '.js', '.svg', '.svg'])
    for (const link of links) {
      const file = await fetch(new URL(link, url))
      expect([link, file.status]).toEqual([link, 200])
      expect((await file.text()).length).toBeGreaterThan(100)
    }
    expect((await fetch(`${url}/api/v1/snapshot`)).status).toBe(200)
  } finally {
    child.kill('SIGKILL')
    await child.exited
  }
}, 300_000)
