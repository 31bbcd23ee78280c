/**
 * A mutation run: changes the files that decide (src/bgp, src/bfd), one operator, condition,
 * constant or call at a time, in a copy of the tree, and runs the tests of their room. A change
 * that no test notices is listed. What it finds is in docs/mutation.md.
 *
 * A tool of ours: Stryker's runners start a Node process per mutant and do not know `bun test`.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const HELP = `Usage: scripts/mutate [--sample N] [--seed S] [--list] [FILE...]

  FILE        below src/bgp or src/bfd (default: all files there that say they are pure, but types and reports)
  --sample N  N mutants of each file, chosen by the seed (default: all)
  --seed S    a number (default: 1)
  --list      only list the mutants
`

/** The tests that are to notice a change, by the folder of the file. */
const TESTS: Readonly<Record<string, readonly string[]>> = {
  'src/bfd': [
    'test/bfd/machine.test.ts',
    'test/bfd/engine.test.ts',
    'test/bfd/packet.test.ts',
    'test/bfd/filter.test.ts',
  ],
  'src/bgp/codec': ['test/bgp/codec', 'test/bgp/report', 'test/bgp/machine/negotiation.test.ts', 'test/bgp/replay'],
  'src/bgp/machine': [
    'test/bgp/machine',
    'test/bgp/peer.test.ts',
    'test/bgp/peer-connections.test.ts',
    'test/bgp/peer-restart.test.ts',
    'test/bgp/bfd-down.test.ts',
    'test/bgp/letter.test.ts',
    'test/bgp/replay',
  ],
  'src/bgp/rib': ['test/bgp/rib', 'test/bgp/peer.test.ts', 'test/bgp/replay'],
}

/**
 * Operators as the formatter writes them, with what takes their place. Unions of types have ` | `
 * too: only beside shifts.
 */
const SWAPPED: Readonly<Record<string, string>> = {
  ' === ': ' !== ',
  ' !== ': ' === ',
  ' < ': ' <= ',
  ' <= ': ' < ',
  ' > ': ' >= ',
  ' >= ': ' > ',
  ' && ': ' || ',
  ' || ': ' && ',
  ' + ': ' - ',
  ' - ': ' + ',
  ' * ': ' / ',
  ' / ': ' * ',
  ' & ': ' | ',
  ' << ': ' >> ',
  ' >> ': ' << ',
  ' >>> ': ' << ',
  ' ?? ': ' && ',
}

interface Mutant {
  readonly line: number
  readonly start: number
  readonly end: number
  readonly text: string
  readonly becomes: string
}

/** `source` with comments, strings and templates blanked: what is left at its place is code. */
function codeOf(source: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, ' ')
  return source.replace(
    /\/\*[\s\S]*?\*\/|\/\/.*$|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|(?<=[(=,]\s*)\/(?![*/\s])(?:\\.|[^/\\\n])+\/[a-z]*/gm,
    blank,
  )
}

/**
 * Every change to `source`, in its order. Types, imports and messages for people are left alone.
 */
function mutantsOf(source: string): Mutant[] {
  const code = codeOf(source)
  const types = new Set<number>() // lines of interfaces, types and imports
  let inside = false
  for (const [index, line] of code.split('\n').entries()) {
    if (/^(?:export )?(?:interface|type|import)\b/.test(line)) inside = true
    if (inside) types.add(index + 1)
    if (inside && (/^[})]/.test(line) || /^(?:export )?type .*[^|={(,]$|^import .*$/.test(line)))
      inside = /^import .*\{$/.test(line)
  }
  const mutants: Mutant[] = []
  const add = (start: number, end: number, becomes: string) => {
    const line = code.slice(0, start).split('\n').length
    if (!types.has(line)) mutants.push({ line, start, end, text: source.slice(start, end), becomes })
  }
  for (const { 0: operator, index } of code.matchAll(/ (?:===|!==|<=?|>=?|&&|\|\||[-+*/&]|<<|>>>?|\?\?) /g))
    add(index, index + operator.length, SWAPPED[operator] ?? operator)
  for (const { index } of code.matchAll(/(?<=[\s(])!(?=[\w(])/g)) add(index, index + 1, '')
  for (const { 0: word, index } of code.matchAll(/\b(?:true|false)\b(?! as| \|)/g))
    add(index, index + word.length, word === 'true' ? 'false' : 'true')
  for (const { 0: number, index } of code.matchAll(/(?<![\w.$#])\d[\w.]*\b/g))
    add(index, index + number.length, `(${number} + 1)`)
  for (const { index } of code.matchAll(/\bif \(/g)) {
    const end = closing(code, index + 3)
    for (const word of ['true', 'false']) add(index + 4, end, word)
  }
  for (const { 0: call, index } of code.matchAll(/(?<=\n) +(?!return|throw|await|case)[\w.#]+\([^;{}]*\)(?=\n)/g)) {
    if (closing(code, index + call.indexOf('(')) === index + call.length - 1) add(index, index + call.length, '')
  }
  return mutants.sort((one, other) => one.start - other.start)
}

/** Where the bracket that opens at `open` closes. */
function closing(code: string, open: number): number {
  let depth = 0
  for (let index = open; index < code.length; index++) {
    if (code[index] === '(') depth++
    if (code[index] === ')' && --depth === 0) return index
  }
  return code.length
}

/** Reproducible choice of `count` of them, in their order. */
function chosen(mutants: readonly Mutant[], count: number | undefined, seed: number): readonly Mutant[] {
  if (count === undefined || mutants.length <= count) return mutants
  const rank = (mutant: Mutant) => Bun.hash(`${seed} ${mutant.start} ${mutant.becomes}`)
  const kept = new Set([...mutants].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, count))
  return mutants.filter(mutant => kept.has(mutant))
}

function defaultFiles(): string[] {
  return Object.keys(TESTS)
    .flatMap(folder => [...new Bun.Glob(`${folder}/*.ts`).scanSync('.')])
    .filter(file => /\bpure\b/i.test(/^\s*\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, 'utf8'))?.[1] ?? ''))
    .filter(file => !/(?:types|text|registry)\.ts$/.test(file))
    .sort()
}

function testsOf(file: string): readonly string[] {
  const tests = Object.entries(TESTS).find(([folder]) => file.startsWith(`${folder}/`))?.[1]
  if (tests === undefined) throw new Error(`${file} is not below ${Object.keys(TESTS).join(', ')}`)
  return tests
}

const argv = process.argv.slice(2)
const option = (name: string): string | undefined => {
  const at = argv.indexOf(name)
  return at < 0 ? undefined : argv.splice(at, 2)[1]
}
if (argv.includes('--help') || argv.includes('-h')) {
  process.stdout.write(HELP)
  process.exit(0)
}
const sample = option('--sample')
const seed = Number(option('--seed') ?? 1)
const listOnly = argv.includes('--list')
const files = argv.filter(word => !word.startsWith('--'))

const copy = mkdtempSync(join(tmpdir(), 'terway-edge-mutate-'))
const passes = (tests: readonly string[]): boolean =>
  Bun.spawnSync([process.execPath, 'test', '--timeout=60000', '--bail', ...tests.map(test => `./${test}`)], {
    cwd: copy,
    env: { ...process.env, CI: '' },
    stdout: 'ignore',
    stderr: 'ignore',
    timeout: 180_000,
  }).exitCode === 0

let [killed, total] = [0, 0]
try {
  for (const part of [
    'src',
    'test',
    'config',
    'ui',
    'docs',
    'scripts',
    'ARCHITECTURE.md',
    'package.json',
    'tsconfig.json',
    'bunfig.toml',
  ])
    cpSync(part, join(copy, part), { recursive: true })
  symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'))
  for (const file of files.length > 0 ? files : defaultFiles()) {
    const source = readFileSync(file, 'utf8')
    const mutants = chosen(mutantsOf(source), sample === undefined ? undefined : Number(sample), seed)
    const tests = testsOf(file)
    if (!listOnly && !passes(tests)) throw new Error(`${tests.join(' ')} fail without a change`)
    let survived = 0
    for (const { line, start, end, text, becomes } of mutants) {
      const shown = `${file}:${line}: ${text.replace(/\s+/g, ' ').slice(0, 90)} -> ${becomes.replace(/\s+/g, ' ').slice(0, 90)}`
      if (listOnly) {
        process.stdout.write(`${shown}\n`)
        continue
      }
      writeFileSync(join(copy, file), source.slice(0, start) + becomes + source.slice(end))
      total++
      if (passes(tests)) {
        survived++
        process.stdout.write(`SURVIVED ${shown}\n`)
      } else killed++
    }
    writeFileSync(join(copy, file), source)
    if (!listOnly) process.stdout.write(`${file}: ${mutants.length - survived} of ${mutants.length} killed\n`)
  }
  if (!listOnly)
    process.stdout.write(`${killed} of ${total} killed (${((100 * killed) / Math.max(1, total)).toFixed(1)} %)\n`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
