/** Node selectors: the grammar of kubectl -l, `all()`, and errors that point at the character. */
import { expect, test } from 'bun:test'
import { parseNodeSelector, selects } from '../../src/lib/node-selector.ts'

const NODES = {
  a: { pool: 'np1', zone: 'x', 'alibabacloud.com/nodepool-id': 'npxxx' },
  b: { pool: 'np2', zone: 'x' },
  c: { pool: '', gpu: 'true' },
  d: undefined,
} as const

function selected(text: string): string[] {
  const parsed = parseNodeSelector(text)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return Object.entries(NODES).flatMap(([name, labels]) => (selects(parsed.selector, labels) ? [name] : []))
}

test.each([
  ['all()', ['a', 'b', 'c', 'd']],
  ['  all ( ) ', ['a', 'b', 'c', 'd']],
  ['alibabacloud.com/nodepool-id=npxxx', ['a']],
  ['pool=np1', ['a']],
  ['pool==np1', ['a']],
  [' pool = np1 ', ['a']],
  ['pool!=np1', ['b', 'c', 'd']],
  ['pool in (np1,np2)', ['a', 'b']],
  ['pool in ( np1 , np2 )', ['a', 'b']],
  ['pool notin (np1,np2)', ['c', 'd']],
  ['pool', ['a', 'b', 'c']],
  ['!pool', ['d']],
  ['! gpu', ['a', 'b', 'd']],
  ['zone=x,pool!=np1', ['b']],
  ['pool in (np1),zone,!gpu', ['a']],
  ['pool=', ['c']],
  ['pool=,gpu', ['c']],
  ['pool in (np1,)', ['a', 'c']],
  ['in=x', []],
  ['all', []],
  ['constructor', []],
])('%s selects %j', (text, nodes) => {
  expect(selected(text)).toEqual([...nodes])
})

test.each([
  ['', 'is empty; write all()'],
  ['  ', 'is empty; write all()'],
  ['=x', 'at character 1: expected a label, found "="'],
  ['a=b,', 'at character 5: expected a label, found the end'],
  ['a=b c=d', 'at character 5: expected a comma or the end, found "c"'],
  ['a in b', 'at character 6: expected ( before the values, found "b"'],
  ['a in (b', 'at character 8: expected a comma or ) after a value, found the end'],
  ['a in ()', 'at character 6: the list of values is empty'],
  ['a in (b c)', 'at character 9: expected a comma or ) after a value, found "c"'],
  ['a=b=c', 'at character 4: expected a comma or the end, found "="'],
  ['a=!b', 'at character 3: expected a value, found "!"'],
  ['-a=b', 'at character 1: "-a" is not a label'],
  ['a=b-', 'at character 3: "b-" is not a label value'],
  ['A.com/x=1', 'at character 1: the prefix of the label "A.com/x" is not a DNS name'],
  ['a > 1', 'at character 3: expected =, ==, !=, in, notin'],
  ['all(),a=b', 'at character 1: all() stands alone'],
  [`a=${'x'.repeat(64)}`, 'at character 3: a label value has at most 63 characters'],
  [`${'x'.repeat(64)}`, 'at character 1'],
])('%s is refused: %s', (text, message) => {
  const parsed = parseNodeSelector(text)
  expect('problem' in parsed ? parsed.problem : 'accepted').toStartWith(message)
})
