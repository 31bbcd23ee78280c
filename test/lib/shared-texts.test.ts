import { expect, test } from 'bun:test'
import { noteTexts, withSharedTexts } from '../../src/lib/shared-texts.ts'

test('the value is the same, and its texts are those that are known, or known from now on', () => {
  const known = new Map<string, string>()
  const value = { id: 'eni-1', list: ['10.0.0.1', { deep: '10.0.0.1' }], count: 3, none: null, yes: true }
  expect(withSharedTexts(value, known)).toEqual(value)
  expect([...known.keys()]).toEqual(['eni-1', '10.0.0.1'])
  expect(withSharedTexts(['10.0.0.2', 'eni-1'], known)).toEqual(['10.0.0.2', 'eni-1'])
  expect([...known.keys()]).toEqual(['eni-1', '10.0.0.1', '10.0.0.2'])
})

test('texts are noted where a value is needed for nothing else', () => {
  const known = new Map<string, string>()
  noteTexts({ id: 'eni-1', list: ['10.0.0.1', { deep: '10.0.0.1' }], count: 3, none: null, yes: true }, known)
  expect([...known]).toEqual([
    ['eni-1', 'eni-1'],
    ['10.0.0.1', '10.0.0.1'],
  ])
})
