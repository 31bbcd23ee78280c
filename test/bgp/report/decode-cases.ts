/**
 * Tests of what `terway-edge bgp decode` makes of a message: a row each, with the outcome, the
 * section of the RFC and the NOTIFICATION that it asks for.
 */
import { expect, test } from 'bun:test'
import { reportMessage } from '../../../src/bgp/report/decode-report.ts'
import { readHexLine } from '../../../src/bgp/report/hex-lines.ts'
import { reportContext } from '../../../src/bgp/report/report-options.ts'
import { hex, MANDATORY, NLRI, update } from '../codec/support.ts'

export const DEFAULTS = { as2: false, ibgp: false, families: ['ipv4', 'ipv6'], extendedMessages: false } as const
export type Options = Partial<Parameters<typeof reportContext>[0]>

export const OK = 'ok'
export const DISCARD = 'attribute-discard'
export const WITHDRAW = 'treat-as-withdraw'
export const RESET = 'session-reset'

export interface Case {
  readonly name: string
  readonly wire: Uint8Array
  readonly options?: Options
  readonly outcome: string
  /** Part of the reason. */
  readonly section?: string
  /** `code/subcode`, and the data where the RFC says what it is. */
  readonly notification?: string
  readonly data?: string
  readonly report?: object
}

/** One test a row. */
export function testOutcomes(cases: readonly Case[]): void {
  for (const { name, wire, options = {}, outcome, section, notification, data, report } of cases) {
    test(`${name}: ${outcome}`, () => {
      const line = readHexLine(hex(wire))
      if (line.kind !== 'bytes') throw new Error('not hexadecimal')
      const found = reportMessage(line.bytes, reportContext({ ...DEFAULTS, ...options }))
      expect(`${found.outcome} ${found.reason ?? ''}`).toStartWith(outcome)
      if (outcome === OK) expect(found).not.toHaveProperty('reason')
      else expect(String(found.reason)).toContain(section ?? '')
      if (outcome !== RESET) expect(found).not.toHaveProperty(wire[18] === 3 ? 'reason' : 'notification')
      const sent = found.notification as { code: number; subcode: number; data: string } | undefined
      if (notification !== undefined) expect(`${sent?.code}/${sent?.subcode}`).toBe(notification)
      if (data !== undefined) expect(sent?.data).toBe(data)
      if (report !== undefined) expect(found).toMatchObject(report)
    })
  }
}

/** An UPDATE with the mandatory attributes, `extra`, and 10.0.1.0/24. */
export const withExtra = (extra: string) => update({ attributes: `${MANDATORY} ${extra}`, nlri: NLRI })
