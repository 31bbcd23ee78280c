/** What a router has from this speaker, from its messages, and what that means. */
import { describe, expect, test } from 'bun:test'
import { decodeBmp } from '../../../src/bgp/bmp/bmp-message.ts'
import { SwitchTable } from '../../../src/bgp/bmp/switch-table.ts'
import { switchVerdict, verdictText } from '../../../src/bgp/bmp/switch-verdict.ts'
import { announcing, END_OF_RIB, monitored, peerDown, peerUp, withdrawing } from './bmp-fixtures.ts'

const PRE = { postPolicy: false }
const POST = { postPolicy: true }
const A = '10.0.1.0/25'
const B = '10.0.2.0/25'
const ANNOUNCED = new Map([
  [A, '10.0.0.11'],
  [B, '10.0.0.12'],
])

function tableAfter(...messages: Uint8Array[]): SwitchTable {
  const table = new SwitchTable()
  for (const [at, message] of messages.entries())
    table.take(
      decodeBmp(message, () => true),
      at,
    )
  return table
}

const bothPre = [monitored(announcing([A], '10.0.0.11'), PRE), monitored(announcing([B], '10.0.0.12'), PRE)]
const bothPost = [monitored(announcing([A], '10.0.0.11'), POST), monitored(announcing([B], '10.0.0.12'), POST)]
const verdictAfter = (...messages: Uint8Array[]) => switchVerdict(ANNOUNCED, tableAfter(peerUp(), ...messages))

describe('verdicts', () => {
  test('everything kept', () => {
    expect(verdictAfter(...bothPre, ...bothPost)).toEqual({ status: 'kept', prefixes: 2 })
  })

  test('one view alone is enough to say that all is well', () => {
    expect(verdictAfter(...bothPre).status).toBe('kept')
    expect(verdictAfter(...bothPost).status).toBe('kept')
  })

  test('refused by the policy, in the words of the router', () => {
    const verdict = verdictAfter(...bothPre, monitored(announcing([A], '10.0.0.11'), POST))
    expect(verdict).toEqual({ status: 'not-kept', refused: [B], missing: [], altered: [] })
    if (verdict.status === 'not-kept') expect(verdictText(verdict)).toContain(`import policy refuses ${B}: permit`)
  })

  test('everything refused: the End-of-RIB says that the view is there', () => {
    expect(verdictAfter(...bothPre, monitored(END_OF_RIB, POST))).toMatchObject({ refused: [A, B], missing: [] })
  })

  test('never received', () => {
    const verdict = verdictAfter(monitored(announcing([A], '10.0.0.11'), PRE))
    expect(verdict).toEqual({ status: 'not-kept', refused: [], missing: [B], altered: [] })
  })

  test('another next hop', () => {
    const verdict = verdictAfter(...bothPre, ...bothPost, monitored(announcing([B], '10.0.0.254'), POST))
    expect(verdict).toMatchObject({ altered: [{ prefix: B, announced: '10.0.0.12', becomes: '10.0.0.254' }] })
    if (verdict.status === 'not-kept') expect(verdictText(verdict)).toContain('from 10.0.0.12 to 10.0.0.254')
  })

  test('withdrawn again', () => {
    expect(verdictAfter(...bothPost, monitored(withdrawing([A]), POST))).toMatchObject({ refused: [A] })
  })

  test.each([
    ['before the session is up', switchVerdict(ANNOUNCED, tableAfter(...bothPre))],
    ['before any route', verdictAfter()],
    ['after the session went down', verdictAfter(...bothPre, peerDown())],
  ])('unknown %s', (_what, verdict) => {
    expect(verdict.status).toBe('unknown')
  })

  test('many are counted, a few are named', () => {
    const refused = Array.from({ length: 30 }, (_, index) => `10.0.${index}.0/24`)
    const words = verdictText({ status: 'not-kept', refused, missing: [], altered: [] })
    expect(words).toContain('10.0.3.0/24 and 26 more')
  })
})

describe('the table', () => {
  test('a session that comes up again begins with nothing', () => {
    const table = tableAfter(peerUp(), ...bothPre, peerDown(), peerUp())
    expect([table.up, table.received, table.kept]).toEqual([true, undefined, undefined])
  })

  test('the second Peer Up of one session forgets nothing', () => {
    const table = tableAfter(peerUp(), ...bothPre, peerUp(POST))
    expect(table.received?.size).toBe(2)
  })

  test('it knows when it changed last', () => {
    expect(tableAfter(peerUp(), ...bothPre).changedAt).toBe(2)
  })
})
