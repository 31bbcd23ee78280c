/** Every code has a meaning, also the one that nobody has seen yet. */
import { describe, expect, test } from 'bun:test'
import { CLOUD_ERRORS, errorRow, judge } from '../../src/eni/cloud-errors.ts'
import { Blocks } from '../../src/eni/controller-blocks.ts'

const refused = (code: string, httpStatus: number, retryAfterSeconds?: number) =>
  judge({ kind: 'refused', code, httpStatus, message: 'm', requestID: 'r', retryAfterSeconds }, 1_000_000_020_000)

describe('codes', () => {
  test.each([
    ['Throttling.User', 400, 'throttled', 'action'],
    ['Throttling.NewKind', 400, 'throttled', 'action'],
    ['Anything', 429, 'throttled', 'action'],
    ['Anything', 502, 'effect-unknown', 'interface'],
    ['InternalError.Backend', 500, 'effect-unknown', 'interface'],
    ['InvalidVSwitchId.IpNotEnough', 403, 'vswitch-full', 'vswitch'],
    ['QuotaExceeded.PrivateIpAddress', 403, 'vswitch-full', 'vswitch'],
    ['InvalidVSwitch.IpNotEnough', 403, 'vswitch-full', 'vswitch'],
    ['InvalidOperation.Ipv6CountExceeded', 403, 'interface-full', 'interface'],
    ['EniPerInstanceLimitExceeded', 403, 'instance-full', 'instance'],
    ['MaxEniCountExceeded', 403, 'quota', 'account'],
    ['SecurityGroupInstanceLimitExceed', 403, 'quota', 'security-group'],
    ['InvalidSecurityGroup.Gone', 404, 'configuration', 'security-group'],
    ['SomeQuotaExceeded', 403, 'quota', 'account'],
    ['Forbidden.SubUser', 403, 'rights', 'action'],
    ['Forbidden.Unheard', 403, 'rights', 'action'],
    ['InvalidSecurityToken.Malformed', 400, 'rights', 'action'],
    ['NoPermission', 400, 'rights', 'action'],
    ['InvalidVSwitchId.NotFound', 404, 'configuration', 'vswitch'],
    ['InvalidVSwitchId.Ipv6NotTurnOn', 403, 'configuration', 'vswitch'],
    ['Operation.Conflict', 403, 'conflict', 'interface'],
    ['IdempotentFailed', 400, 'token-spent', 'interface'],
    ['NeverSeenBefore', 400, 'other', 'interface'],
    ['toString', 400, 'other', 'interface'],
  ] as const)('%s (%p) is %s of %s', (code, httpStatus, kind, scope) => {
    expect(errorRow(code, httpStatus)).toMatchObject({ kind, scope })
  })

  test('each row says what to do and has a wait that fits its kind', () => {
    for (const [code, row] of Object.entries(CLOUD_ERRORS)) {
      expect(row.advice.length, code).toBeGreaterThan(6)
      expect(row.waitSeconds, code).toBeGreaterThan(0)
    }
    expect(errorRow('InvalidVSwitchId.IpNotEnough', 403).waitSeconds).toBe(600)
    expect(errorRow('EniPerInstanceLimitExceeded', 403).waitSeconds).toBe(60)
  })
})

test('a minute with too many calls ends at the next full one, unless the cloud says when', () => {
  expect(refused('Throttling.User', 400).waitSeconds).toBe(60 - ((1_000_000_020 % 60) | 0))
  expect(refused('Throttling.User', 400, 3).waitSeconds).toBe(3)
  // whatever the cloud says, it is asked again
  expect(refused('Throttling.User', 400, 86_400).waitSeconds).toBe(300)
  expect(refused('InternalError', 500, 86_400).waitSeconds).toBe(300)
})

test('what never left us is no unknown effect; what got no answer is', () => {
  expect(judge({ kind: 'not-sent', reason: 'x' }, 0)).toMatchObject({ kind: 'not-sent', scope: 'action', tell: true })
  expect(judge({ kind: 'unknown', reason: 'x' }, 0)).toMatchObject({ kind: 'effect-unknown', tell: false })
})

describe('what is refused again and again', () => {
  /** How long it is left alone after each refusal in a row, in seconds. */
  function pauses(verdict: ReturnType<typeof judge>, count: number): number[] {
    const blocks = new Blocks()
    let now = 0
    return Array.from({ length: count }, () => {
      blocks.add('x', verdict, now)
      const end = blocks.nextEnd(now) ?? now
      const pause = end - now
      now = end
      return pause / 1000
    })
  }

  test('is asked ever more rarely, and within a quarter of an hour of when somebody mended it', () => {
    expect(pauses(refused('MaxEniCountExceeded', 403), 5)).toEqual([300, 600, 900, 900, 900])
    expect(pauses(refused('InvalidOperation.EniServiceManaged', 403), 2)).toEqual([3600, 3600])
  })

  test('a cloud that is out of reach is tried as often after an hour as at first', () => {
    expect(pauses(judge({ kind: 'not-sent', reason: 'refused' }, 0), 200).at(-1)).toBe(15)
  })

  test('what many nodes are told at once is one refusal, and what is long over is forgotten', () => {
    const blocks = new Blocks()
    const quota = refused('MaxEniCountExceeded', 403)
    const news = Array.from({ length: 50 }, () => blocks.add('', quota, 0))
    expect(news.filter(Boolean).length).toBe(1)
    expect(blocks.nextEnd(0)).toBe(300_000)
    expect(blocks.add('', quota, 10 * 3_600_000)).toBe(true)
  })
})
