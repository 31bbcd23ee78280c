/**
 * ARCHITECTURE.md tells of what is there: every room stands in the code map at its rank, each file
 * that it names exists, and each name of the code occurs in the code. No document of the project is
 * left in the middle of a merge.
 */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { RANKS } from '../support/sources.ts'

const ARCHITECTURE = readFileSync('ARCHITECTURE.md', 'utf8')

function filesOf(...patterns: readonly string[]): string[] {
  return patterns.flatMap(pattern => [...new Bun.Glob(pattern).scanSync('.')]).sort()
}

const FILES = filesOf('{src,test,scripts,ui,config,docs}/**/*')

/** What stands in backquotes, outside of fences. */
function quoted(text: string): string[] {
  return [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name)
}

test('every room stands in the code map, each at its rank', () => {
  const map = ARCHITECTURE.split(/^## /m).find(section => section.startsWith('3. Code map')) ?? ''
  const rows = [...map.matchAll(/^\| ([0-5]) \| `([\w.-]+)\/?` \|/gm)]
  const ranks = Object.fromEntries(rows.map(([, rank, name = '']) => [name, Number(rank)]))
  expect(rows.length).toBe(Object.keys(ranks).length)
  // `test/layers.test.ts` asks for a rank of each room
  expect(ranks).toEqual(Object.fromEntries(Object.entries(RANKS).map(([name, rank]) => [name, Math.ceil(rank)])))
})

test('each file and folder that it names is there', () => {
  const places = quoted(ARCHITECTURE).filter(name => /^[\w./-]+(\.(ts|md|yaml|json|css|txt)|\/)$/.test(name))
  expect(places.length).toBeGreaterThan(100)
  const there = (name: string) =>
    existsSync(name) || existsSync(`src/${name}`) || FILES.some(file => `/${file}`.includes(`/${name}`))
  expect(places.filter(name => !/NAME|\*/.test(name) && !there(name))).toEqual([])
})

test('each name of the code that it tells of occurs in the code', () => {
  const words = new Set(
    FILES.filter(file => /^(src|test|scripts)\/.*\.ts$/.test(file)).flatMap(
      file => readFileSync(file, 'utf8').match(/[A-Za-z_]\w+/g) ?? [],
    ),
  )
  const names = quoted(ARCHITECTURE).filter(name => /^[a-z]+[A-Z]\w+$|^[A-Z][a-z]\w+$|^[A-Z_]{5,}$/.test(name))
  expect(names.length).toBeGreaterThan(10)
  expect(names.filter(name => !words.has(name))).toEqual([])
})

test('no document is left in the middle of a merge', () => {
  const marks = /^(?:<{7} |={7}$|>{7} )/m
  const documents = filesOf('*.md', 'docs/**/*.md', 'config/*')
  expect(documents.length).toBeGreaterThan(20)
  expect(documents.filter(file => marks.test(readFileSync(file, 'utf8')))).toEqual([])
})
