/** Tables and ages as a terminal shows them. */
import { expect, test } from 'bun:test'
import { formatAge, formatTable, printable } from '../../src/lib/table.ts'

test('columns stand three spaces apart, numbers to the right, no spaces at the end of a line', () => {
  const table = formatTable(
    [{ title: 'NODE' }, { title: 'PREFIXES', align: 'right' }, { title: 'STATE' }],
    [
      ['edge-long-name', '3', 'Established'],
      ['edge-2', '1200', ''],
    ],
  )
  expect(table).toBe(
    [
      'NODE             PREFIXES   STATE',
      'edge-long-name          3   Established',
      'edge-2               1200',
      '',
    ].join('\n'),
  )
})

test('a table without rows is its titles; a missing cell is empty', () => {
  expect(formatTable([{ title: 'A' }, { title: 'B' }], [])).toBe('A   B\n')
  expect(formatTable([{ title: 'A' }, { title: 'B' }], [['x']])).toBe('A   B\nx\n')
})

test('wide characters count as the columns that they take', () => {
  expect(formatTable([{ title: 'N' }, { title: 'S' }], [['节点', 'x']])).toBe('N      S\n节点   x\n')
})

test('text from elsewhere cannot steer the terminal', () => {
  expect(printable('a\u001b[2Jb\nc\u0085d\u202ee')).toBe('a\\x1b[2Jb\\x0ac\\x85d\\u202ee')
  expect(formatTable([{ title: 'A' }], [['\u001b]0;owned\u0007']])).toBe('A\n\\x1b]0;owned\\x07\n')
})

test('ages read as in kubectl', () => {
  const second = 1000
  const minute = 60 * second
  const hour = 60 * minute
  const day = 24 * hour
  const cases: [number, string][] = [
    [-5 * second, '0s'],
    [0, '0s'],
    [999, '0s'],
    [45 * second, '45s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [3 * minute + 10 * second, '3m10s'],
    [10 * minute + 59 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [3 * hour + 5 * minute, '3h5m'],
    [8 * hour + 59 * minute, '8h'],
    [47 * hour, '47h'],
    [2 * day, '2d'],
    [2 * day + 3 * hour, '2d3h'],
    [8 * day + 3 * hour, '8d'],
    [729 * day, '729d'],
    [730 * day, '2y'],
    [740 * day, '2y10d'],
    [10 * 365 * day, '10y'],
    [Number.NaN, '<unknown>'],
  ]
  expect(cases.map(([age]) => formatAge(age))).toEqual(cases.map(([, text]) => text))
})
