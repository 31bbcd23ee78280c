import { describe, expect, test } from 'bun:test'
import { type Candidate, judgeGateways, type PeerEvidence, peerEvidence } from '../../src/agent/gateway-evidence.ts'
import type { BgpSession } from '../../src/model/session.ts'
import { bgpPeer } from '../support/cluster.ts'

const candidate = (address: string, change: Partial<Candidate> = {}): Candidate => ({
  address,
  isDerived: true,
  answers: true,
  ...change,
})
const peer = (peerIP: string, change: Partial<PeerEvidence> = {}): PeerEvidence => ({
  peerIP,
  wasUp: true,
  bfdIsDown: false,
  ...change,
})
const counting = (candidates: Candidate[], peers: PeerEvidence[]) => [...judgeGateways(candidates, peers).counting]

describe('judgeGateways', () => {
  test('each kind of evidence rules one out, and says why', () => {
    const all = [candidate('1.1.1.1'), candidate('2.2.2.2')]
    const silent = [candidate('1.1.1.1', { answers: false }), candidate('2.2.2.2')]
    expect(judgeGateways(silent, [peer('1.1.1.1'), peer('2.2.2.2')])).toEqual({
      counting: new Set(['2.2.2.2']),
      reasons: new Map([['1.1.1.1', 'does not answer']]),
    })
    expect(counting(all, [peer('1.1.1.1', { bfdIsDown: true }), peer('2.2.2.2')])).toEqual(['2.2.2.2'])
    expect(counting(all, [peer('1.1.1.1', { wasUp: false }), peer('2.2.2.2')])).toEqual(['2.2.2.2'])
  })

  test('a gateway that a BGPPeer names needs no session; what nobody knows rules nobody out', () => {
    const named = [candidate('1.1.1.1', { isDerived: false }), candidate('2.2.2.2')]
    expect(counting(named, [peer('1.1.1.1', { wasUp: false }), peer('2.2.2.2')])).toEqual(['1.1.1.1', '2.2.2.2'])
    const two = [candidate('1.1.1.1'), candidate('2.2.2.2')]
    expect(counting(two, [peer('1.1.1.1', { wasUp: undefined }), peer('2.2.2.2')])).toEqual(['1.1.1.1', '2.2.2.2'])
    expect(counting(two, [])).toEqual(['1.1.1.1', '2.2.2.2'])
  })

  test('one session of several that was up is enough', () => {
    const two = [candidate('1.1.1.1'), candidate('2.2.2.2')]
    const peers = [peer('1.1.1.1', { wasUp: false }), peer('1.1.1.1'), peer('2.2.2.2')]
    expect(counting(two, peers)).toEqual(['1.1.1.1', '2.2.2.2'])
  })

  test('where all are ruled out they all count; of those that answer the weaker evidence is dropped first', () => {
    const none = [candidate('1.1.1.1', { answers: false }), candidate('2.2.2.2', { answers: false })]
    expect(counting(none, [])).toEqual(['1.1.1.1', '2.2.2.2'])
    const one = [candidate('1.1.1.1'), candidate('2.2.2.2', { answers: false })]
    expect(counting(one, [peer('1.1.1.1', { bfdIsDown: true, wasUp: false }), peer('2.2.2.2')])).toEqual(['1.1.1.1'])
    const two = [candidate('1.1.1.1'), candidate('2.2.2.2')]
    const noSession = [peer('1.1.1.1', { wasUp: false }), peer('2.2.2.2', { wasUp: false, bfdIsDown: true })]
    expect(counting(two, noSession)).toEqual(['1.1.1.1'])
  })
})

describe('peerEvidence', () => {
  const peers = [bgpPeer('lan', { peerIP: '1.1.1.1' })]
  const session = (change: Partial<BgpSession>) => [{ bgpPeer: 'lan', state: 'Active', ...change } as BgpSession]
  const of = (reported: boolean | undefined, sessions: readonly BgpSession[] = []) =>
    peerEvidence(peers, () => reported, sessions)[0]

  test("this node's session, or what speakers reported; otherwise nothing is known", () => {
    expect(of(undefined)).toEqual({ peerIP: '1.1.1.1', wasUp: undefined, bfdIsDown: false })
    expect(of(undefined, session({}))?.wasUp).toBeUndefined()
    expect(of(undefined, session({ state: 'Established' }))?.wasUp).toBe(true)
    expect(of(false, session({}))?.wasUp).toBe(false)
    expect(of(true)?.wasUp).toBe(true)
  })

  test('BFD counts where it was Up, and not where somebody switched it off', () => {
    const since = '2026-01-01T00:00:00Z'
    const down = { state: 'Down', since, lastDown: 'ControlDetectionTimeExpired' } as const
    expect(of(true, session({ bfd: down }))?.bfdIsDown).toBe(true)
    expect(of(true, session({ bfd: { state: 'Down', since } }))?.bfdIsDown).toBe(false)
    expect(of(true, session({ bfd: { ...down, remoteState: 'AdminDown' } }))?.bfdIsDown).toBe(false)
    expect(of(true, session({ bfd: { ...down, state: 'Up' } }))?.bfdIsDown).toBe(false)
  })
})
