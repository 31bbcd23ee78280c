/** Which addresses count as the API server's: in contact, in an outage, with a clock that jumps. */
import { expect, test } from 'bun:test'
import {
  type ApiAddresses,
  countingAddresses,
  nextAddresses,
  type SeenAddresses,
} from '../../src/agent/api-addresses.ts'
import { nameServersOf, plainAddress } from '../../src/agent/lifeline-texts.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const NONE: ApiAddresses = { known: new Map(), doubtful: new Map() }
const API = ['192.168.0.10', 'fd00::10']

function look(before: ApiAddresses, now: number, found: readonly string[], change: Partial<SeenAddresses> = {}) {
  return nextAddresses(before, { written: [], found, contactAt: undefined, now, ...change })
}

/** Found, answered, found again. */
const known = look(look(NONE, 0, API), 2 * MINUTE, API, { contactAt: MINUTE })

test('what a name resolves to counts at once, and for days when the server has answered since', () => {
  expect(countingAddresses(look(NONE, 0, API), 0)).toEqual(API)
  const later = look(known, 3 * DAY, [])
  expect(countingAddresses(later, 3 * DAY)).toEqual(API)
})

test('what is written as an address counts, in contact or not', () => {
  const written = look(NONE, 0, [], { written: ['10.0.0.1'] })
  expect(countingAddresses(written, DAY)).toEqual(['10.0.0.1'])
})

test('what a name resolves to in an outage counts for three minutes, and once a day', () => {
  let portal = known
  const counted: number[] = []
  for (let minute = 3; minute < 24 * 60 + 10; minute++) {
    portal = look(portal, minute * MINUTE, ['10.0.0.1'], { contactAt: MINUTE })
    if (countingAddresses(portal, minute * MINUTE).includes('10.0.0.1')) counted.push(minute)
  }
  expect(counted).toEqual([3, 4, 5, 1443, 1444, 1445])
  const over = look(portal, 2 * DAY, API, { contactAt: 2 * DAY - 1 })
  expect(countingAddresses(over, 2 * DAY)).toEqual(API)
})

test('an address that the server moved to stays when it answers there', () => {
  const moved = look(known, 5 * MINUTE, ['192.168.0.20'], { contactAt: MINUTE })
  expect(countingAddresses(moved, 5 * MINUTE)).toContain('192.168.0.20')
  const reached = look(moved, 7 * MINUTE, ['192.168.0.20'], { contactAt: 6 * MINUTE })
  expect(countingAddresses(reached, 5 * DAY)).toContain('192.168.0.20')
  expect(reached.doubtful.size).toBe(0)
})

test('one that was not seen for a week is forgotten, but not because the clock jumps in an outage', () => {
  const jumped = look(known, 10_000 * DAY, [], { contactAt: MINUTE })
  expect(countingAddresses(jumped, 10_000 * DAY)).toHaveLength(2)
  const back = look(jumped, 10_000 * DAY, ['192.168.0.20'], { contactAt: 10_000 * DAY })
  expect(countingAddresses(back, 10_000 * DAY)).toEqual(['192.168.0.20'])
})

test('where the clock is set back a new address is tried anew, and not for ever', () => {
  const doubtful = look(NONE, 10 * DAY, ['10.0.0.1'])
  const back = look(doubtful, DAY, ['10.0.0.1'])
  expect(countingAddresses(back, DAY)).toEqual(['10.0.0.1'])
  expect(countingAddresses(look(back, DAY + 5 * MINUTE, ['10.0.0.1']), DAY + 5 * MINUTE)).toEqual([])
})

test('name servers and addresses are taken as packets go: IPv4 in the form of IPv6 is IPv4', () => {
  const text =
    'search a\nnameserver ::ffff:192.168.0.53\n nameserver fe80::1%eth0\nnameserver 127.0.0.53\nnameserver x\n'
  expect(nameServersOf(text)).toEqual(['192.168.0.53', 'fe80::1'])
  expect([plainAddress('::ffff:c0a8:a'), plainAddress('api.example')]).toEqual(['192.168.0.10', undefined])
})
