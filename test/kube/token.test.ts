/** What is read off a ServiceAccount's token, and when the next one is asked for. */
import { expect, test } from 'bun:test'
import { claimsOf, renewalDue, replaces } from '../../src/kube/token.ts'

function token(claims: object): string {
  return ['{}', JSON.stringify(claims), 'signature'].map(part => Buffer.from(part).toString('base64url')).join('.')
}

const SUBJECT = 'system:serviceaccount:terway-edge-nodes:edge-1'
const at = (iat: number, sub = SUBJECT) => token({ sub, iat, exp: iat + 1000 })

test('a token says whose it is and for how long; others say nothing', () => {
  const claims = { namespace: 'terway-edge-nodes', account: 'edge-1', issuedAt: 100, expiresAt: 1100 }
  expect(claimsOf(at(100))).toEqual(claims)
  for (const other of ['', 'abc', 'a.b.c', token({ sub: SUBJECT }), token({ sub: 'someone', iat: 1, exp: 2 })])
    expect(claimsOf(other)).toBeUndefined()
})

test('the next one is due when a fifth of the life is over', () => {
  const claims = claimsOf(at(0))
  expect([199, 200, 5000].map(now => claims && renewalDue(claims, now))).toEqual([false, true, true])
})

test('a younger token of the same account is used; of another account, or an older one, is not', () => {
  expect(replaces(at(200), at(100))).toBe(true)
  expect(replaces(at(100), at(200))).toBe(false)
  expect(replaces(at(200, 'system:serviceaccount:terway-edge-nodes:edge-2'), at(100))).toBe(false)
  expect(replaces('', at(100))).toBe(false)
  expect(replaces(at(200), 'a legacy token')).toBe(false)
})
