/**
 * Prose fits a page: comments and Markdown have at most 100 columns. Code may have 120; tables,
 * blocks of code and lines with an address cannot be broken.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'

const COLUMNS = 100

function longLines(files: readonly string[], isProse: (line: string, inBlock: boolean) => boolean): string[] {
  return files.flatMap(file => {
    let inBlock = false
    return readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        if (/^\s*```/.test(line)) inBlock = !inBlock
        return [...line].length > COLUMNS && isProse(line, inBlock) && !/https?:\/\//.test(line)
          ? [`${file}:${index + 1}`]
          : []
      })
  })
}

test('comments fit a page', () => {
  const files = [...new Bun.Glob('{src,ui,test,scripts}/**/*.ts').scanSync('.')].sort()
  expect(longLines(files, line => /^\s*(\*|\/\*|\/\/)/.test(line))).toEqual([])
})

test('Markdown fits a page', () => {
  const files = ['*.md', 'docs/**/*.md'].flatMap(pattern => [...new Bun.Glob(pattern).scanSync('.')]).sort()
  expect(files.length).toBeGreaterThan(5)
  expect(longLines(files, (line, inBlock) => !inBlock && !/^\s*[|<]/.test(line))).toEqual([])
})
