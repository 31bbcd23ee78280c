/**
 * docs/reference is what `scripts/reference.ts` writes today, says a word of every key and field,
 * and its defaults are those that take effect.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { referencePages } from '../../scripts/reference-text.ts'
import { parseConfig } from '../../src/config/load.ts'

const PAGES = referencePages()

test.each([...PAGES])('%s is current: bun scripts/reference.ts', (file, text) => {
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test('there is no page beside them', () => {
  expect(
    readdirSync('docs/reference')
      .map(name => `docs/reference/${name}`)
      .sort(),
  ).toEqual([...PAGES.keys()].sort())
})

/** The cells of each row of a page's tables, without backquotes. */
function rows(file: string): string[][] {
  const lines = (PAGES.get(file) ?? '').split('\n').filter(line => line.startsWith('| `'))
  return lines.map(line =>
    line
      .slice(1, -1)
      .split(' | ')
      .map(cell => cell.trim().replace(/^`(.*)`$/, '$1')),
  )
}

test('every key of the configuration has a meaning', () => {
  const all = rows('docs/reference/configuration.md')
  expect(all.length).toBeGreaterThan(50)
  expect(all.filter(([, , , meaning]) => meaning === '')).toEqual([])
})

/** The value of an object by its path. */
function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce((at: unknown, key) => (at as Record<string, unknown> | undefined)?.[key], value)
}

test('the defaults are those that take effect', () => {
  const config = parseConfig('', 'nothing')
  const shown = rows('docs/reference/configuration.md').filter(
    ([path = '', , value]) => value !== '' && !path.includes('('),
  )
  expect(shown.length).toBeGreaterThan(30)
  for (const [path = '', , value = ''] of shown) {
    if (path === 'route.table') continue // its number takes effect
    const actual = valueAt(config, path)
    expect([path, typeof actual === 'string' ? actual : JSON.stringify(actual)]).toEqual([path, value])
  }
})

test('a key that is shown without a default has none', () => {
  const config = parseConfig('', 'nothing')
  const without = rows('docs/reference/configuration.md').filter(
    // of the node it is the host's name
    ([path = '', , value]) => value === '' && !path.includes('(') && path !== 'node',
  )
  expect(without.length).toBeGreaterThan(5)
  expect(without.filter(([path = '']) => valueAt(config, path) !== undefined)).toEqual([])
})

test('every field of a BGPPeer that is written by people has a meaning', () => {
  const all = rows('docs/reference/bgppeer.md').filter(([path = '']) => path.startsWith('spec.'))
  expect(all.length).toBeGreaterThan(25)
  expect(all.filter(([, , , meaning]) => meaning === '')).toEqual([])
})
