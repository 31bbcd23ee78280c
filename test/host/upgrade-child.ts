/**
 * Upgrades a controller, as `terway-edge upgrade` does, from one shell script to another, of which
 * the second cannot install itself. Run in a mount namespace of its own: all of it is in folders of
 * memory over /etc and /usr/local. Says how it ended as JSON: what was thrown, what is installed.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  CONTROLLER_UNIT,
  EXECUTABLE,
  PREVIOUS_EXECUTABLE,
  ROLE_FILES,
  UPGRADING,
} from '../../src/host/installed-files.ts'
import { upgrade } from '../../src/host/upgrade.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { errorText } from '../../src/lib/errors.ts'

/** `killed`: an upgrade that was killed has put it in place; `again`: so, and none is kept. */
const scene = process.argv[2]

for (const folder of ['/etc', '/usr/local']) {
  const { exitCode } = Bun.spawnSync(['/bin/mount', '-t', 'tmpfs', 'tmpfs', folder])
  if (exitCode !== 0) throw new Error(`no folder of memory over ${folder}`)
}

function put(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, 0o755)
}

function versionThat(installs: string, version: string): string {
  return `#!/bin/sh
case "$1" in
version) echo '{"version":"${version}","user":"terway-edge"}' ;;
install) ${installs} ;;
esac
`
}
const FORMER = versionThat(`cp "$0" ${EXECUTABLE}`, '1')
const NEWER = versionThat('echo "systemctl: failed" >&2; exit 1', '2')

const to = '/usr/local/newer'
put(to, NEWER)
put(CONTROLLER_UNIT, '')
put(ROLE_FILES.controller.config, '')
put(EXECUTABLE, scene === undefined ? FORMER : NEWER)
if (scene === 'killed') put(PREVIOUS_EXECUTABLE, FORMER)
else mkdirSync(dirname(PREVIOUS_EXECUTABLE), { recursive: true })

const thrown = await upgrade({
  to,
  goBack: true,
  patienceSeconds: 0,
  ask: new Map(),
  giveBack: async () => {},
  clock: systemClock,
  say: () => {},
}).then(() => '', errorText)
const installed = readFileSync(EXECUTABLE, 'utf8') === FORMER ? 1 : 2
console.log(JSON.stringify({ thrown, installed, isRecorded: existsSync(UPGRADING) }))
