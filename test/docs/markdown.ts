/** Markdown as tests read it: its code blocks, and parts that are written by the program. */
import { readFileSync, writeFileSync } from 'node:fs'
import { type CommandResult, run } from '../support/namespaces.ts'

export interface CodeBlock {
  readonly language: string
  readonly text: string
}

export function codeBlocks(markdown: string): readonly CodeBlock[] {
  const blocks = markdown.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)
  return [...blocks].map(([, indent = '', language = '', text = '']) => ({
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** The commands of all `sh` blocks, each in one line. */
export function commands(markdown: string): readonly string[] {
  return codeBlocks(markdown)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replace(/ \\\n\s*/g, ' ').split('\n'))
    .filter(line => line.trim() !== '' && !line.trim().startsWith('#'))
}

/** Runs a command of a document in `folder`; `terway-edge` is the sources here. */
export function runDocumented(line: string, folder: string): CommandResult {
  const script = `bun=$2 main=$3; cd "$1"; terway-edge() { "$bun" "$main" "$@"; }; ${line}`
  return run(['bash', '-ec', script, 'sh', folder, process.execPath, `${process.cwd()}/src/main.ts`], { mayFail: true })
}

/** Whether the files are to be written anew. */
export const WRITING = process.env.TERWAY_EDGE_GOLDEN === 'write'

/**
 * What stands between `<!-- name: begin -->` and `<!-- name: end -->`; replaced by `text` when
 * writing.
 */
export function generatedPart(file: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name}: begin -->\n`, `<!-- ${name}: end -->`]
  const whole = readFileSync(file, 'utf8')
  const from = whole.indexOf(begin) + begin.length
  const to = whole.indexOf(end)
  if (from < begin.length || to < from) throw new Error(`${file} has no part ${name}`)
  if (WRITING) writeFileSync(file, `${whole.slice(0, from)}${text}${whole.slice(to)}`)
  return WRITING ? text : whole.slice(from, to)
}

/** Prose that is too long for a terminal: not in code, tables, or lines with an address. */
export function longLines(markdown: string): readonly string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '')
  return prose.split('\n').filter(line => line.length > 100 && !/^(\||<!--)|https?:\/\//.test(line))
}
