/**
 * scripts/bench SECTION... [--write] [--rounds N] …: measures, prints Markdown, and with --write
 * puts it into docs/benchmarks.md. Every number stands beside that of another program, measured in
 * the same run: compare these, not runs.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pageWide } from '../page-wide.ts'
import { bgp } from './bgp.ts'
import { cni } from './cni.ts'
import { eni } from './eni.ts'
import { machineText } from './machine.ts'
import { scale } from './scale.ts'
import type { Section } from './section.ts'
import { start } from './start.ts'

const SECTIONS: Readonly<Record<string, Section>> = { start, cni, bgp, eni, scale }
const DOCUMENT = join(import.meta.dir, '../../docs/benchmarks.md')
const INTRODUCTION = `# Benchmarks

Each section is written by \`sudo scripts/bench SECTION --write\` and says on which machine. The programs of a table were measured in turns in one
run: their ratios hold for other machines too, the milliseconds do not.
`

const args = process.argv.slice(2)
const names = args.filter(word => Object.hasOwn(SECTIONS, word))
const NUMBERS = ['--rounds', '--nodes', '--seconds']
const known = args.every(
  (word, at) =>
    names.includes(word) || word === '--write' || NUMBERS.includes(word) || NUMBERS.includes(args[at - 1] ?? ''),
)
const [rounds = [25], nodes, seconds] = NUMBERS.map(numbersOf)
if (names.length === 0 || !known || ![...rounds, ...(nodes ?? []), ...(seconds ?? [])].every(isCount)) {
  console.error(
    `usage: scripts/bench SECTION... [--write] [--rounds N] [--nodes N,...] [--seconds N]\nsections: ${Object.keys(SECTIONS).join(', ')}`,
  )
  process.exit(2)
}
for (const name of names) {
  const section = SECTIONS[name]
  if (section === undefined) continue
  const machine = machineText()
  const body = await section.run({
    rounds: rounds[0] ?? 25,
    ...(nodes !== undefined && { nodes }),
    ...(seconds?.[0] !== undefined && { seconds: seconds[0] }),
  })
  const facts = `Machine: ${machine}. Versions: ${section.versions().join(', ')}. Command: \`scripts/bench ${name}\`.`
  const text = pageWide(`## ${section.title}\n\n${body}\n\n${facts}\n`)
  console.log(text)
  if (args.includes('--write')) writeSection(name, text)
}

/** The numbers behind an option, with commas between; undefined where it is not there. */
function numbersOf(option: string): readonly number[] | undefined {
  const at = args.indexOf(option)
  return at < 0 ? undefined : (args[at + 1] ?? '').split(',').map(Number)
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1
}

/** Replaces the section, or appends it. */
function writeSection(name: string, text: string): void {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->\n`]
  mkdirSync(dirname(DOCUMENT), { recursive: true })
  const before = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8') : pageWide(INTRODUCTION)
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  const block = `${begin}${text}${end}`
  writeFileSync(
    DOCUMENT,
    from < 0 || to < from ? `${before}\n${block}` : before.slice(0, from) + block + before.slice(to + end.length),
  )
}
