/**
 * What goes to stdout arrives whole: commands and the plugin as processes, with slow readers, one
 * that is gone, a pipe that somebody left non-blocking, files that are continued, and full disks.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { message } from '../bgp/codec/support.ts'
import { testNeeding } from '../support/requires.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-stdout-'))
const messages = join(folder, 'messages.txt')
const COUNT = 3000
beforeAll(() => {
  const keepalive = Buffer.from(message(4, '')).toString('hex')
  writeFileSync(messages, `${keepalive}\n`.repeat(COUNT))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Takes 4 KiB at a time, and its time. */
const SLOW = `const { readSync } = require('node:fs')
const buffer = new Uint8Array(4096)
for (;;) {
  const length = readSync(0, buffer)
  if (length === 0) break
  require('node:fs').writeSync(2, buffer.subarray(0, length))
  Bun.sleepSync(2)
}`
/** Leaves the pipe that is its stdout non-blocking for whoever writes to it next. */
const NON_BLOCKING = `const writer = Bun.stdout.writer(); await writer.write(' '); await writer.flush()`

const PROGRAM = '"$BUN" src/main.ts'
const LONG = `${PROGRAM} bgp decode < "$MESSAGES"`
const PLUGIN = `echo '{"cniVersion": "1.1.0"}' | CNI_COMMAND=VERSION ${PROGRAM}`
/** Long and short outputs, of commands, of their parser, and of the plugin. */
const COMMANDS = {
  'bgp decode': LONG,
  manifests: `${PROGRAM} manifests --part crds`,
  version: `${PROGRAM} version`,
  'help of a command': `${PROGRAM} node --help`,
  help: `${PROGRAM} --help`,
  'the plugin': PLUGIN,
}

async function shell(script: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn(['bash', '-c', script], {
    env: { ...process.env, BUN: process.execPath, MESSAGES: messages, FOLDER: folder, SLOW, NON_BLOCKING },
    stdout: 'pipe',
    stderr: 'pipe',
    stdin: 'ignore',
  })
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { status, stdout, stderr }
}

/** Whether it is the decoded messages, each once and whole. */
function expectAllMessages(text: string): void {
  const lines = text.trim().split('\n')
  expect(lines.length).toBe(COUNT)
  expect(new Set(lines)).toEqual(new Set(['{"type":"KEEPALIVE","length":19,"outcome":"ok"}']))
}

test('a slow reader gets all of it', async () => {
  const { stderr, status } = await shell(`set -o pipefail; ${LONG} | "$BUN" -e "$SLOW"`)
  expectAllMessages(stderr)
  expect(status).toBe(0)
})

test('a slow reader gets all of it from a pipe that is non-blocking', async () => {
  const { stderr } = await shell(`{ "$BUN" -e "$NON_BLOCKING"; ${LONG}; } | "$BUN" -e "$SLOW"`)
  expectAllMessages(stderr)
})

test('a pipe is left as it was for who shares it', async () => {
  const flags = `"$BUN" -e 'console.error(require("node:fs").readFileSync("/proc/self/fdinfo/1", "utf8").match(/flags:\\s*(\\d+)/)[1])'`
  const { stderr } = await shell(`{ ${flags}; ${LONG}; ${flags}; } | cat > /dev/null`)
  const [before, after] = stderr.trim().split('\n')
  expect(after).toBe(before as string)
})

for (const [name, command] of Object.entries(COMMANDS)) {
  test(`${name}: a file is continued where it ends`, async () => {
    const file = join(folder, 'continued')
    const { stdout } = await shell(`${command}; echo first > "$FOLDER/continued"; ${command} >> "$FOLDER/continued"`)
    expect(stdout.length).toBeGreaterThan(10)
    expect(readFileSync(file, 'utf8')).toBe(`first\n${stdout}`)
  })
  test(`${name}: a full disk is told and is no success`, async () => {
    const { status, stderr } = await shell(`${command} > /dev/full`)
    expect(stderr).toContain('cannot write to stdout: ENOSPC')
    expect(status).toBe(1)
  })
  test(`${name}: a reader that is gone is no failure`, async () => {
    const { status, stderr } = await shell(`set -o pipefail; { sleep 0.3; ${command}; } | true`)
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })
}

testNeeding('root', 'unshare')('a disk that becomes full while it is written', async () => {
  const mounted = `mount -t tmpfs -o size=64k tmpfs "$FOLDER"`
  const inside = `cp "$MESSAGES" /dev/shm/terway-edge-stdout-$$ && ${mounted} && MESSAGES=/dev/shm/terway-edge-stdout-$$
    ${LONG} > "$FOLDER/out"; echo "$? $(wc -c < "$FOLDER/out")"; rm "$MESSAGES"`
  const { stdout, stderr } = await shell(`unshare --mount --propagation private bash -c '${inside}'`)
  expect(stderr).toContain('cannot write to stdout: ENOSPC')
  expect(stdout).toBe('1 65536\n')
})
