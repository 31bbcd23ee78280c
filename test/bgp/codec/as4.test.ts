/**
 * RFC 6793 section 4.2.3: AS_PATH and AGGREGATOR put together again from what a 2-octet speaker
 * passed on.
 */
import { expect, test } from 'bun:test'
import { mergeAs4, pathLength, withAs4 } from '../../../src/bgp/codec/attributes-as-path.ts'
import type { AsPath } from '../../../src/bgp/codec/attributes-types.ts'
import { decodeMessage } from '../../../src/bgp/codec/message.ts'
import { AS_PATH, decodeWith, EXTERNAL, NEXT_HOP, NLRI, ORIGIN, TWO_OCTET, update, updateOf } from './support.ts'

const sequence = (...asNumbers: number[]): AsPath => [{ type: 'AS_SEQUENCE', asNumbers }]
const aggregator = (asNumber: number) => ({ asNumber, address: '10.0.0.1' })

test('ASs that were prepended after AS4_PATH was made stay in front', () => {
  const merged = mergeAs4({ AS_PATH: sequence(100, 200, 23456, 300), AS4_PATH: sequence(70000, 300) })
  expect(merged).toEqual({ AS_PATH: sequence(100, 200, 70000, 300) })
})
test('an AS4_PATH that is longer than AS_PATH is ignored', () => {
  expect(mergeAs4({ AS_PATH: sequence(23456), AS4_PATH: sequence(70000, 300) })).toEqual({ AS_PATH: sequence(23456) })
})
test('a set counts as one AS', () => {
  const path: AsPath = [{ type: 'AS_SET', asNumbers: [1, 2, 3] }, ...sequence(23456, 5)]
  expect(pathLength(path)).toBe(3)
  const merged = mergeAs4({ AS_PATH: path, AS4_PATH: sequence(70000, 5) })
  expect(merged.AS_PATH).toEqual([{ type: 'AS_SET', asNumbers: [1, 2, 3] }, ...sequence(70000, 5)])
})
test('confederation segments count for nothing (RFC 5065 section 5.3)', () => {
  expect(
    pathLength([
      { type: 'AS_CONFED_SEQUENCE', asNumbers: [1, 2] },
      { type: 'AS_CONFED_SET', asNumbers: [3] },
    ]),
  ).toBe(0)
})
test('an AGGREGATOR that is not AS_TRANS makes both AS4 attributes void', () => {
  const merged = mergeAs4({
    AS_PATH: sequence(23456, 300),
    AS4_PATH: sequence(70000, 300),
    AGGREGATOR: aggregator(300),
    AS4_AGGREGATOR: aggregator(70000),
  })
  expect(merged).toEqual({ AS_PATH: sequence(23456, 300), AGGREGATOR: aggregator(300) })
})
test('an AGGREGATOR of AS_TRANS takes that of AS4_AGGREGATOR', () => {
  const merged = mergeAs4({ AGGREGATOR: aggregator(23456), AS4_AGGREGATOR: aggregator(70000) })
  expect(merged).toEqual({ AGGREGATOR: aggregator(70000) })
})
test('an AS4_AGGREGATOR alone is dropped, its AS4_PATH used', () => {
  const merged = mergeAs4({ AS_PATH: sequence(23456), AS4_PATH: sequence(70000), AS4_AGGREGATOR: aggregator(70000) })
  expect(merged).toEqual({ AS_PATH: sequence(70000) })
})
test('AS4_PATH before AS_PATH is merged all the same', () => {
  const attributes = `c01106 0201 00011170 ${ORIGIN} 400204 0201 5ba0 ${NEXT_HOP}`
  const decoded = decodeMessage(update({ attributes, nlri: NLRI }), TWO_OCTET)
  expect(decoded.outcome).toBe('ok')
  expect(updateOf(decoded).attributes.AS_PATH).toEqual(sequence(70000))
})
test('AS4_PATH without AS_PATH does not take its place', () => {
  const decoded = decodeMessage(
    update({ attributes: `c01106 0201 00011170 ${ORIGIN} ${NEXT_HOP}`, nlri: NLRI }),
    TWO_OCTET,
  )
  expect(decoded.outcome).toBe('treat-as-withdraw')
  expect(updateOf(decoded).attributes.AS_PATH).toBeUndefined()
})
test('with keepAs4 both stay as received', () => {
  const { attributes } = updateOf(decodeWith('c01106 0201 00011170', { ...TWO_OCTET, keepAs4: true }))
  expect([attributes.AS_PATH, attributes.AS4_PATH]).toEqual([sequence(65001), sequence(70000)])
})
test('AS4_PATH leaves confederation segments out', () => {
  const path: AsPath = [{ type: 'AS_CONFED_SEQUENCE', asNumbers: [65001] }, ...sequence(70000)]
  expect(withAs4({ AS_PATH: path }).AS4_PATH).toEqual(sequence(70000))
})
test('a 4-octet peer gets the numbers themselves', () => {
  expect(
    updateOf(decodeMessage(update({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: NLRI }), EXTERNAL)).attributes
      .AS_PATH,
  ).toEqual(sequence(65001))
})
