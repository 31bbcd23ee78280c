/**
 * Prose fits a page, and speaks of what is there: comments and Markdown have at most 100 columns
 * (code may have 120; tables, blocks of code and lines with an address cannot be broken), and a
 * file that a comment names exists.
 */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'

const COLUMNS = 100

const filesOf = (...patterns: readonly string[]) =>
  patterns.flatMap(pattern => [...new Bun.Glob(pattern).scanSync('.')]).sort()
const SOURCES = filesOf('{src,ui,test,scripts}/**/*.{ts,tsx}', 'ui/*.css')

/** Which lines of a text are prose, or have some. */
type Prose = (lines: readonly string[]) => readonly boolean[]

function longLines(files: readonly string[], proseOf: Prose): string[] {
  return files.flatMap(file => {
    const lines = readFileSync(file, 'utf8').split('\n')
    const prose = proseOf(lines)
    return lines.flatMap((line, index) =>
      prose[index] === true && [...line].length > COLUMNS && !/https?:\/\//.test(line) ? [`${file}:${index + 1}`] : [],
    )
  })
}

/** Texts and patterns of a line, in which nothing is a comment. */
const LITERAL =
  /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|\/(?![/*\s])(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\[])+\/[a-z]*/g

/** The comment of each line: of lines of their own, of several lines, and behind code; else ''. */
function commentsOf(lines: readonly string[]): readonly string[] {
  let inBlock = false
  return lines.map(line => {
    const isWhole = inBlock || /^\s*\/[/*]/.test(line)
    if (isWhole) {
      inBlock = !/^\s*\/\//.test(line) && !line.includes('*/')
      return line
    }
    const code = line.replace(LITERAL, literal => '_'.repeat(literal.length))
    const at = code.search(/\s\/\/\s|\s\/\*.*\*\//)
    return at < 0 ? '' : line.slice(at)
  })
}

const comments: Prose = lines => commentsOf(lines).map(comment => comment !== '')

/** Comments of shells, YAML and units. */
const hashComments: Prose = lines => lines.map(line => /(?:^|\s)#\s/.test(line.replace(/'[^']*'|"[^"]*"/g, '')))

const markdown: Prose = lines => {
  let inBlock = false
  return lines.map(line => {
    if (/^\s*```/.test(line)) inBlock = !inBlock
    return !inBlock && !/^\s*[|<]/.test(line)
  })
}

test('comments fit a page, also behind code', () => {
  const seen = comments([
    'const a = 1 // why',
    "const b = '// not'",
    '/* one',
    'two */',
    'const c = /[/] / // so',
    "// don't",
    'd()',
  ])
  expect(seen).toEqual([true, false, true, true, true, true, false])
  expect(longLines(SOURCES, comments)).toEqual([])
})

test('comments of scripts, manifests and units fit a page', () => {
  const files = filesOf('scripts/*', 'config/**/*.{yaml,service}', 'biome.json').filter(
    file => !/\.(ts|json)$/.test(file),
  )
  expect(files.length).toBeGreaterThan(25)
  expect(longLines(files, hashComments)).toEqual([])
})

test('Markdown fits a page', () => {
  const files = filesOf('*.md', 'docs/**/*.md')
  expect(files.length).toBeGreaterThan(5)
  expect(longLines(files, markdown)).toEqual([])
})

/** Files of code and of documents, as a text names them: `prose.test.ts`, `lib/loop.ts`. */
const NAMED = /(?<![\w*/.-])(?:[\w-][\w.-]*\/)*[\w-][\w.-]*\.(?:ts|md)\b/g

test('a file that a comment names is there: by its way, in its own room, or in the room that it tests', () => {
  const byName = Map.groupBy(SOURCES, file => basename(file))
  const isThere = (name: string, from: string) => {
    const room = from.split('/').slice(0, 2).join('/')
    if ([name, `src/${name}`, `test/${name}`, `${room}/${name}`, `${dirname(from)}/${name}`].some(existsSync))
      return true
    const rooms = [`${room}/`, `${room.replace(/^test/, 'src')}/`]
    return byName
      .get(basename(name))
      ?.some(file => file.endsWith(`/${name}`) && rooms.some(one => file.startsWith(one)))
  }
  const missing = SOURCES.filter(file => !file.startsWith('test/layers')).flatMap(file => {
    const text = commentsOf(readFileSync(file, 'utf8').split('\n')).join('\n')
    return [...text.matchAll(NAMED)].flatMap(([name]) => (isThere(name, file) ? [] : [`${file} names ${name}`]))
  })
  expect(missing).toEqual([])
})
