/**
 * Merging prefixes that lead the same way: cases by hand, then random sets, whose every boundary is
 * looked up by longest match before and after.
 */
import { describe, expect, test } from 'bun:test'
import { formatPrefix, maskBytes, type PrefixRange, prefixRange } from '../../src/lib/ip.ts'
import { mergePrefixes } from '../../src/lib/merge-prefixes.ts'

describe('merging', () => {
  const cases: [string, string[], string[]][] = [
    ['nothing', [], []],
    ['one', ['10.0.0.0/25'], ['10.0.0.0/25']],
    ['two halves, in any order', ['10.0.0.128/25', '10.0.0.0/25'], ['10.0.0.0/24']],
    ['neighbours that are not halves of one', ['10.0.0.128/25', '10.0.1.0/25'], ['10.0.0.128/25', '10.0.1.0/25']],
    ['four quarters', ['10.0.0.0/26', '10.0.0.64/26', '10.0.0.128/26', '10.0.0.192/26'], ['10.0.0.0/24']],
    ['a gap', ['10.0.0.0/26', '10.0.0.64/26', '10.0.0.192/26'], ['10.0.0.0/25', '10.0.0.192/26']],
    ['one inside another', ['10.0.0.0/24', '10.0.0.64/26'], ['10.0.0.0/24']],
    ['the same twice', ['10.0.0.0/25', '10.0.0.0/25'], ['10.0.0.0/25']],
    ['of different lengths', ['10.0.0.0/25', '10.0.0.128/26'], ['10.0.0.0/25', '10.0.0.128/26']],
    ['IPv6', ['fd00::/65', 'fd00:0:0:0:8000::/65'], ['fd00::/64']],
    ['both families', ['fd00::/64', '10.0.0.0/25', '10.0.0.128/25'], ['10.0.0.0/24', 'fd00::/64']],
    ['never a default route', ['0.0.0.0/1', '128.0.0.0/1'], ['0.0.0.0/1', '128.0.0.0/1']],
  ]
  test.each(cases)('%s', (_name, input, expected) => {
    expect(mergePrefixes(input)).toEqual(expected)
  })

  test('what overlaps a prefix that leads elsewhere is left alone', () => {
    const others = ['10.0.0.64/26', '10.0.3.0/24']
    expect(mergePrefixes(['10.0.0.0/25', '10.0.0.128/25', '10.0.2.0/25', '10.0.2.128/25'], others)).toEqual([
      '10.0.0.0/25',
      '10.0.0.128/25',
      '10.0.2.0/24',
    ])
    // a larger one around ours: within it ours win, so nothing may be made of them that is as large
    expect(mergePrefixes(['10.0.0.0/25', '10.0.0.128/25'], ['10.0.0.0/16'])).toEqual(['10.0.0.0/25', '10.0.0.128/25'])
  })
})

/** Repeatable numbers in [0, 1). */
function randoms(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Prefixes inside one small block, so that they often meet. */
function randomPrefixes(random: () => number, family: 'ipv4' | 'ipv6', count: number): string[] {
  const [size, least] = family === 'ipv4' ? [4, 26] : [16, 122]
  return Array.from({ length: count }, () => {
    const bytes = new Uint8Array(size)
    bytes.set(family === 'ipv4' ? [10, 0, 0] : [0xfd])
    bytes[size - 1] = Math.floor(random() * 256)
    const length = least + Math.floor(random() * 7)
    return formatPrefix({ bytes: maskBytes(bytes, length), length })
  })
}

/** The 256 addresses of the block, as numbers. */
function hosts(family: 'ipv4' | 'ipv6'): bigint[] {
  const { first } = prefixRange(family === 'ipv4' ? '10.0.0.0/24' : 'fd00::/120')
  return Array.from({ length: 256 }, (_, last) => first + BigInt(last))
}

function holds(range: PrefixRange, host: bigint): boolean {
  return range.first <= host && host <= range.last
}

/** Where a packet goes: the longest prefix that holds the address. */
function leadsTo(host: bigint, ways: readonly { range: PrefixRange; way: string }[]): string | undefined {
  return ways.filter(({ range }) => holds(range, host)).sort((a, b) => b.range.length - a.range.length)[0]?.way
}

describe('whatever comes in', () => {
  for (const family of ['ipv4', 'ipv6'] as const) {
    test(`${family}: covers exactly what the input covers, with no more prefixes, and no two halves left`, () => {
      const random = randoms(family === 'ipv4' ? 1 : 2)
      for (let round = 0; round < 60; round++) {
        const input = randomPrefixes(random, family, 1 + Math.floor(random() * 40))
        const merged = mergePrefixes(input)
        expect(merged.length).toBeLessThanOrEqual(new Set(input).size)
        expect(mergePrefixes(merged)).toEqual(merged)
        const [before, after] = [input.map(text => prefixRange(text)), merged.map(text => prefixRange(text))]
        for (const host of hosts(family)) {
          const inside = (ranges: PrefixRange[]) => ranges.some(range => holds(range, host))
          if (inside(before) !== inside(after)) throw new Error(`${host}: ${input.join()} became ${merged.join()}`)
        }
      }
    })

    test(`${family}: every packet goes where it went, whatever else is there`, () => {
      const random = randoms(family === 'ipv4' ? 3 : 4)
      for (let round = 0; round < 60; round++) {
        const input = randomPrefixes(random, family, 1 + Math.floor(random() * 25))
        const others = randomPrefixes(random, family, 1 + Math.floor(random() * 6)).filter(
          prefix => !input.includes(prefix),
        )
        const ways = (ours: string[]) => [
          ...ours.map(prefix => ({ range: prefixRange(prefix), way: 'gateway' })),
          ...others.map(prefix => ({ range: prefixRange(prefix), way: 'node' })),
        ]
        const merged = mergePrefixes(input, others)
        const [before, after] = [ways(input), ways(merged)]
        for (const host of hosts(family)) {
          if (leadsTo(host, before) !== leadsTo(host, after)) {
            throw new Error(`${host}: ${input.join()} beside ${others.join()} became ${merged.join()}`)
          }
        }
      }
    })
  }
})
