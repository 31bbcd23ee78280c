/** BGPPeers as switches are told of them: the document's example, and what differs from it. */
import { decodeBGPPeer } from '../../../src/kube/decode-bgp-peer.ts'
import { type IntentInput, intentOf, type SwitchIntent } from '../../../src/planner/vendors/intent.ts'

export const SPEAKERS = [
  { node: 'node-1', address: '172.16.0.11' },
  { node: 'node-2', address: '172.16.0.12' },
]

export const SPEAKERS_V6 = [
  { node: 'node-1', address: 'fd00:16::11' },
  { node: 'node-2', address: 'fd00:16::12' },
]

export const PASSWORD = 'mySecretValue'

/** The document's example; `spec` and `rest` override it. */
export function intent(spec: Record<string, unknown> = {}, rest: Partial<IntentInput> = {}): SwitchIntent {
  const decoded = decodeBGPPeer({
    metadata: { name: 'peer' },
    spec: {
      localSpeakers: ['node-1', 'node-2'],
      localAsNumber: 65010,
      peerIP: '172.16.0.1',
      peerAsNumber: 65001,
      nodeSelector: 'alibabacloud.com/nodepool-id=npxxx',
      ...spec,
    },
  })
  if ('problems' in decoded) throw new Error(JSON.stringify(decoded.problems))
  return intentOf({
    peer: decoded.peer,
    speakers: SPEAKERS,
    podCIDRs: ['10.0.0.0/8'],
    podsPerNode: 128,
    maximumPrefixes: 100,
    password: PASSWORD,
    ipv6Only: false,
    ...rest,
  })
}

const AUTH = { authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } }

/** Every word that a vendor may need, in few configurations. */
export const INTENTS: Readonly<Record<string, SwitchIntent>> = {
  'the document': intent(AUTH),
  'bfd and gtsm': intent({ ...AUTH, bfd: { enabled: true }, ttlSecurity: 1 }),
  'both families': intent({}, { podCIDRs: ['10.0.0.0/8', 'fd00:10::/48'] }),
  'ipv6 hosts alone': intent(
    { peerIP: 'fd00:16::1' },
    { speakers: SPEAKERS_V6, podCIDRs: ['10.0.0.0/8', 'fd00:10::/48'], ipv6Only: true },
  ),
  'internal, multihop, passive': intent({ ...AUTH, peerAsNumber: 65010, passive: true, holdTimeSeconds: 30 }),
  'multihop, several pools, long-lived': intent(
    { ebgpMultihop: 3, gracefulRestart: { enabled: true, restartTimeSeconds: 600, longLivedSeconds: 3600 } },
    { podCIDRs: ['10.0.0.0/16', '10.9.0.0/25', '172.24.0.0/14'] },
  ),
  'no graceful restart, four octets': intent({
    localAsNumber: 4_200_000_010,
    peerAsNumber: 4_200_000_001,
    gracefulRestart: { enabled: false },
  }),
}
