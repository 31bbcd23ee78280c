/**
 * What a block of shell would run, told by bash itself: quotes, pipes, lists and here-documents are
 * its business. No program is started: nothing is on PATH, and every command that is not found says
 * its words instead. A command's words end with an octet that no command has; no newline, as both
 * sides of a pipe write at once.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFileIfPresent } from '../../src/lib/files.ts'
import { run } from '../support/namespaces.ts'

/** A function for each way to name the executable, and those that run another command. */
const PRELUDE = `
said() { printf '%s\\0' "$@" $'\\x01' >>"$WORDS"; }
command_not_found_handle() { said "$@"; }
terway-edge() { said terway-edge "$@"; }
./terway-edge() { said terway-edge "$@"; }
./terway-edge-NEW() { said terway-edge "$@"; }
sudo() { "$@"; }
cd() { :; }
exit() { :; }
${scripts()}
`

/** Those of this project; `scripts/lab` gives its words to the subcommand, but for `--check`. */
function scripts(): string {
  const lab = '[[ $1 == --check ]] && said scripts/lab || said terway-edge lab "$@"'
  return readdirSync('scripts')
    .flatMap(name => {
      const body = name === 'lab' ? lab : `said scripts/${name} "$@"`
      return [`./scripts/${name}() { ${body}; }`, `scripts/${name}() { ${body}; }`]
    })
    .join('\n')
}

/** The commands of `script`, each as its words; throws where bash cannot parse it. */
export function shellWords(script: string): readonly (readonly string[])[] {
  const folder = mkdtempSync(join(tmpdir(), 'words-'))
  try {
    const words = join(folder, 'words')
    const { status, stderr } = run(
      ['/bin/bash', '-c', `cd "$1"; PATH=/nowhere WORDS=$2; ${PRELUDE}\n${script}\n:`, 'bash', folder, words],
      { mayFail: true },
    )
    if (status !== 0 || stderr !== '') throw new Error(`${script}\n${stderr}`)
    return (readFileIfPresent(words) ?? '')
      .split('\x01\0')
      .slice(0, -1)
      .map(command => command.split('\0').slice(0, -1))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
