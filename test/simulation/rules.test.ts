/**
 * Nothing in here has a clock, chance or order of its own: time comes from the bus, chance from the
 * seed. Only the command itself reads what time it is, to say how fast it was.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const OUTSIDE = new Set(['cli.ts'])
const BANNED = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bMath\.random\b/,
  /\bperformance\b/,
  /\bBun\.(?:nanoseconds|sleep)/,
  /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask|process\.nextTick)\b/,
  /\bcrypto\b/,
  /\b(?:localeCompare|toLocale\w*|Intl)\b/,
  /\bsystemClock\b/,
  /\bsystemDisk\b/,
  /\bfetch\(/,
]

test('the simulation takes no time and no chance but its own', () => {
  const files = [...new Bun.Glob('*.ts').scanSync(import.meta.dir)].filter(
    file => !file.endsWith('.test.ts') && !OUTSIDE.has(file),
  )
  expect(files.length).toBeGreaterThan(15)
  const wrong = files.flatMap(file => {
    const code = readFileSync(join(import.meta.dir, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    return BANNED.filter(pattern => pattern.test(code)).map(pattern => `${file}: ${pattern.source}`)
  })
  expect(wrong).toEqual([])
})
