/** What a device says of itself beside what packets proved: one proof. */
import { describe, expect, test } from 'bun:test'
import type { SwitchVerdict } from '../../src/bgp/bmp/switch-verdict.ts'
import type { RoutesProof } from '../../src/speaker/session-status.ts'
import { joinedProof, monitoredRouters, toldProof, unheardText } from '../../src/speaker/switch-told.ts'
import { bgpPeer } from '../support/cluster.ts'

const YES: RoutesProof = { status: 'True', message: 'packets came out' }
const NO: RoutesProof = { status: 'False', message: 'packets did not come out' }
const MAYBE: RoutesProof = { status: 'Unknown', message: 'nobody to ask' }
const KEPT: SwitchVerdict = { status: 'kept', prefixes: 2 }
const REFUSED: SwitchVerdict = { status: 'not-kept', refused: ['10.0.1.0/25'], missing: [], altered: [] }
const SILENT: SwitchVerdict = { status: 'unknown', reason: 'it monitors nothing' }

describe('packets and the device', () => {
  test.each([
    ['nobody says anything', undefined, undefined, undefined],
    ['packets alone', YES, undefined, 'True'],
    ['the device alone', undefined, KEPT, 'True'],
    ['packets cannot tell, the device can', MAYBE, KEPT, 'True'],
    ['packets do not arrive, whatever the device has', NO, KEPT, 'False'],
    ['the device refuses what packets still reach', YES, REFUSED, 'False'],
    ['the device cannot tell', YES, SILENT, 'True'],
    ['neither can', MAYBE, SILENT, 'Unknown'],
  ] as const)('%s', (_what, packets, verdict, status) => {
    expect(joinedProof(packets, verdict && toldProof(verdict))?.status as string | undefined).toBe(status)
  })

  test('the device names the cause first', () => {
    const message = joinedProof(NO, toldProof(REFUSED))?.message ?? ''
    expect(message).toMatch(/^by BMP: the device's import policy refuses 10\.0\.1\.0\/25.*; packets did not come out$/)
  })
})

describe('who is to report', () => {
  const BMP = { enabled: true, port: 11019 }

  test('devices of BGPPeers with bmp, from where they say', () => {
    const peers = [
      bgpPeer('off', { peerIP: '172.16.0.1' }),
      bgpPeer('on', { peerIP: '172.16.0.1', bmp: BMP }),
      bgpPeer('elsewhere', { peerIP: '172.16.0.2', bmp: { ...BMP, port: 5000, address: '10.255.0.1' } }),
      bgpPeer('disabled', { peerIP: '172.16.0.3', bmp: { ...BMP, enabled: false } }),
    ]
    expect(monitoredRouters(peers).map(({ key, port, routerAddress }) => [key, port, routerAddress])).toEqual([
      ['on', 11019, '172.16.0.1'],
      ['elsewhere', 5000, '10.255.0.1'],
    ])
  })

  test('one that does not is told how', () => {
    expect(unheardText(bgpPeer('on', { peerIP: '172.16.0.1', bmp: BMP }))).toContain(
      'let it connect from 172.16.0.1 to TCP port 11019 of this node',
    )
  })
})
