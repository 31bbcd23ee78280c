/**
 * YAML that people write: keys that stand twice and aliases of themselves are refused, with the
 * place.
 */
import { expect, test } from 'bun:test'
import { UserError } from '../../src/lib/errors.ts'
import { parseYaml, parseYamlDocuments } from '../../src/lib/yaml.ts'

function refusal(text: string): string {
  try {
    parseYaml(text, 'site.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    expect(error).toHaveProperty('exitStatus', 2)
    return error instanceof Error ? error.message : ''
  }
  throw new Error('it was accepted')
}

test('a value, or nothing', () => {
  expect(parseYaml('a: [1, "2", 15%]\n', 'f')).toEqual({ a: [1, '2', '15%'] })
  expect(parseYaml('{"a": {"b": null}}', 'f')).toEqual({ a: { b: null } })
  expect(parseYaml('', 'f')).toBeUndefined()
  expect(parseYaml('---\n# nothing\n\n', 'f')).toBeUndefined()
  expect(parseYamlDocuments('---\na: 1\n---\n# nothing\n---\nb: 2\n', 'f')).toEqual([{ a: 1 }, { b: 2 }])
})

test('a key that stands twice is an error, however deep', () => {
  expect(refusal('network: {a: 1}\nother: 2\nnetwork: {b: 1}\n')).toBe(
    'site.yaml is not YAML (line 3, column 1): duplicated mapping key',
  )
  expect(refusal('a:\n  - {x: 1, x: 1}\n')).toContain('duplicated mapping key')
})

test('an alias that contains itself is an error, one that is used twice is not', () => {
  expect(refusal('a: &a {b: *a}')).toContain('an alias contains itself')
  expect(parseYaml('a: &a [1]\nb: *a\nc: *a', 'f')).toEqual({ a: [1], b: [1], c: [1] })
})

test('what is not YAML names the place', () => {
  expect(refusal('a: 1\nb: [1, 2')).toContain('line 2')
  expect(refusal('a:\n\tb: 1')).toContain('line 2')
})
