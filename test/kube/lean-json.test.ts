/**
 * JSON as bytes, compared with what JSON.parse makes of the whole: random values, cut into random
 * chunks, with every kind of space and escape.
 */

import { describe, expect, test } from 'bun:test'
import { ListSplitter, type UnreadFields, withoutUnread } from '../../src/kube/lean-json.ts'
import { LineSplitter } from '../../src/kube/watch-lines.ts'
import { seeded } from '../support/seeded.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

type Random = () => number
const NAMES = ['metadata', 'status', 'images', 'managedFields', 'items', 'a"b', 'ä', '', '\\']
const TEXTS = ['', 'x', '"', '\\', '\\"', '}{][,:', 'ü€😀', '\n\t', 'items', 'null']

function pick<T>(random: Random, list: readonly T[]): T {
  const found = list[Math.floor(random() * list.length)]
  if (found === undefined) throw new Error('nothing to pick from')
  return found
}

function anyValue(random: Random, depth = 0): unknown {
  const kind = Math.floor(random() * (depth > 4 ? 5 : 8))
  if (kind === 0) return null
  if (kind === 1) return random() < 0.5
  if (kind === 2) return pick(random, [0, -1, 1.5, 1e30, -2.5e-7, 123456789])
  if (kind < 5) return pick(random, TEXTS)
  const count = Math.floor(random() * 5)
  if (kind === 5) return Array.from({ length: count }, () => anyValue(random, depth + 1))
  return objectOf(random, depth)
}

function objectOf(random: Random, depth = 0): Record<string, unknown> {
  const count = Math.floor(random() * 5)
  return Object.fromEntries(Array.from({ length: count }, () => [pick(random, NAMES), anyValue(random, depth + 1)]))
}

function textOf(random: Random, value: unknown): string {
  return JSON.stringify(value, null, pick(random, ['', ' ', '\t', '\r\n']))
}

function chunksOf(random: Random, text: string): Uint8Array[] {
  const bytes = encoder.encode(text)
  const chunks: Uint8Array[] = []
  const longest = pick(random, [1, 3, 20, 1000])
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(random() * longest)
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}

function parsed(bytes: Uint8Array): unknown {
  return JSON.parse(decoder.decode(bytes))
}

/** The same by the plain way: short values may stay, as there is nothing to gain. */
function without(value: unknown, unread: UnreadFields): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      const below = Object.hasOwn(unread, name) ? unread[name] : undefined
      if (below === true) return [name, null]
      return [name, below === undefined ? field : without(field, below)]
    }),
  )
}

const UNREAD: UnreadFields = { metadata: { managedFields: true }, status: { images: true, a: { b: true } }, ä: true }

describe('fields that nobody reads', () => {
  test('are null, and everything else is as it was', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = seeded(seed)
      const value = objectOf(random)
      const lean = parsed(withoutUnread(encoder.encode(textOf(random, value)), UNREAD))
      // what stayed because it was short is taken out here
      expect({ seed, value: without(lean, UNREAD) }).toEqual({ seed, value: without(value, UNREAD) })
    }
  })

  test('cost nothing', () => {
    const text = JSON.stringify({ metadata: { name: 'a', managedFields: ['x'.repeat(1000)] }, status: { images: {} } })
    expect(decoder.decode(withoutUnread(encoder.encode(text), UNREAD))).toBe(
      '{"metadata":{"name":"a","managedFields":null},"status":{"images":{}}}',
    )
  })

  test('what is no JSON stays as it is, for JSON.parse to refuse', () => {
    const text = JSON.stringify({ metadata: { managedFields: ['abc"d'], name: 'x' }, status: { images: [1, 2, {}] } })
    for (let length = 0; length < text.length; length++) {
      const broken = withoutUnread(encoder.encode(text.slice(0, length)), UNREAD)
      expect(() => parsed(broken)).toThrow()
    }
    for (const noJson of ['[', '{]', '{"a" 1}', '{"status":}', 'x', '{"metadata":{"managedFields":[}}}']) {
      expect(() => parsed(withoutUnread(encoder.encode(noJson), UNREAD))).toThrow()
    }
  })
})

describe('a list taken apart', () => {
  test('gives its items and its frame, however it is cut into chunks', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const random = seeded(seed)
      const items = Array.from({ length: Math.floor(random() * 5) }, () => objectOf(random))
      const before = { kind: 'NodeList', ...(random() < 0.5 && { x: { items: [1] }, y: ['items'] }) }
      const list = { ...before, items, metadata: { resourceVersion: '7', items: [[]] } }
      const splitter = new ListSplitter()
      const found = chunksOf(random, textOf(random, list)).flatMap(chunk => splitter.push(chunk).map(parsed))
      expect({ seed, found, frame: parsed(splitter.frame()) }).toEqual({
        seed,
        found: items,
        frame: { ...list, items: [] },
      })
    }
  })

  test('of what is no list everything is in the frame', () => {
    for (const value of [[], [{ items: [{}] }], { items: null }, { items: { items: [{}] } }, 'items', 3]) {
      const splitter = new ListSplitter()
      expect(splitter.push(encoder.encode(JSON.stringify(value)))).toEqual([])
      expect(parsed(splitter.frame())).toEqual(value)
    }
  })

  test('an item that is no object is refused', () => {
    for (const item of ['1', 'null', '"x"']) {
      const splitter = new ListSplitter()
      expect(() => splitter.push(encoder.encode(`{"items":[{},${item}]}`))).toThrow('no object')
    }
  })

  test('one that breaks off has no whole frame', () => {
    const splitter = new ListSplitter()
    splitter.push(encoder.encode('{"items":[{"a":1},{"b"'))
    expect(() => parsed(splitter.frame())).toThrow()
  })
})

test('lines come whole, however they are cut into chunks', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = seeded(seed)
    const values = Array.from({ length: Math.floor(random() * 8) }, () => objectOf(random))
    const text = values.map(value => `${JSON.stringify(value)}${pick(random, ['\n', '\r\n', '\n\n'])}`).join('')
    const splitter = new LineSplitter()
    const found = chunksOf(random, `${text}{"rest"`).flatMap(chunk => splitter.push(chunk).map(parsed))
    expect({ seed, found }).toEqual({ seed, found: values })
  }
})
