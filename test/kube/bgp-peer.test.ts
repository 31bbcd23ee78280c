/**
 * The door for BGPPeers: the user's document, every default, every range, and what the problems
 * say.
 */
import { expect, test } from 'bun:test'
import { WellKnownCommunity } from '../../src/bgp/codec/registry.ts'
import { COMMUNITY_NAMES } from '../../src/kube/bgp-peer.ts'
import { decodeBGPPeer } from '../../src/kube/decode-bgp-peer.ts'

const SPEC = {
  localSpeakers: ['node-1', 'node-2'],
  localAsNumber: 65010,
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  nodeSelector: 'alibabacloud.com/nodepool-id=npxxx',
}

function decode(change: Record<string, unknown>) {
  const metadata = { name: 'peer', uid: 'u', generation: 3 }
  return decodeBGPPeer({
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata,
    spec: { ...SPEC, ...change },
  })
}

function problems(change: Record<string, unknown>): string[] {
  const decoded = decode(change)
  return 'problems' in decoded ? decoded.problems.map(({ path, message }) => `${path}: ${message}`) : []
}

test("the user document's BGPPeer is complete with defaults", () => {
  expect(decode({ authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } })).toEqual({
    peer: {
      name: 'peer',
      uid: 'u',
      generation: 3,
      spec: {
        ...SPEC,
        authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } },
        peerPort: 179,
        holdTimeSeconds: 90,
        connectRetrySeconds: 30,
        gracefulRestart: { enabled: true, restartTimeSeconds: 600 },
        passive: false,
        communities: [],
        largeCommunities: [],
      },
    },
  })
})

test('what is given is taken over, canonical', () => {
  const decoded = decode({
    peerIP: 'FD00:0::1',
    gateway: 'fd00:0:0::fe',
    sourceAddress: 'fd00::2',
    localAsNumber: 4200000000,
    peerPort: 1179,
    holdTimeSeconds: 0,
    connectRetrySeconds: 5,
    gracefulRestart: { enabled: false },
    ttlSecurity: 1,
    passive: true,
    bfd: {},
    communities: ['no-export', '65001:100', '65001:100'],
    largeCommunities: ['65001:1:2'],
    med: 0,
    somethingNew: 1,
  })
  expect('peer' in decoded ? decoded.peer.spec : decoded).toMatchObject({
    peerIP: 'fd00::1',
    gateway: 'fd00::fe',
    sourceAddress: 'fd00::2',
    localAsNumber: 4200000000,
    peerPort: 1179,
    holdTimeSeconds: 0,
    gracefulRestart: { enabled: false, restartTimeSeconds: 600 },
    ttlSecurity: 1,
    passive: true,
    bfd: { enabled: true, minimumIntervalMilliseconds: 300, multiplier: 3 },
    communities: ['no-export', '65001:100'],
    med: 0,
  })
})

test.each<[Record<string, unknown>, string]>([
  [{ localSpeakers: undefined }, 'spec.localSpeakers: is required'],
  [{ localSpeakers: [] }, 'spec.localSpeakers: is empty; name at least one node'],
  [{ localSpeakers: 'node-1' }, 'spec.localSpeakers: must be a list of texts, not "node-1"'],
  [{ localSpeakers: ['node-1', 7] }, 'spec.localSpeakers[1]: must be a text, not 7'],
  [{ localSpeakers: ['Node_1'] }, 'spec.localSpeakers[0]: "Node_1" is not the name of a node'],
  [{ localSpeakers: ['a', 'a'] }, 'spec.localSpeakers[1]: a is named twice'],
  [{ localAsNumber: 0 }, 'spec.localAsNumber: AS 0 is reserved (RFC 7607)'],
  [{ localAsNumber: 23456 }, 'spec.localAsNumber: AS 23456 is AS_TRANS'],
  [{ peerAsNumber: 65535 }, 'spec.peerAsNumber: AS 65535 is reserved (RFC 7300)'],
  [{ peerAsNumber: 4294967295 }, 'spec.peerAsNumber: AS 4294967295 is reserved'],
  [{ peerAsNumber: 4294967296 }, 'spec.peerAsNumber: must be 1 to 4294967294, not 4294967296'],
  [{ peerAsNumber: -1 }, 'spec.peerAsNumber: must be'],
  [{ peerAsNumber: '65001' }, 'spec.peerAsNumber: must be'],
  [{ peerAsNumber: 1.5 }, 'spec.peerAsNumber: must be'],
  [{ peerAsNumber: null }, 'spec.peerAsNumber: is required'],
  [{ peerIP: undefined }, 'spec.peerIP: is required'],
  [{ peerIP: '172.16.0.256' }, 'spec.peerIP: "172.16.0.256" is not an IPv4 or IPv6 address'],
  [
    { peerIP: '172.16.0.1/24' },
    'spec.peerIP: "172.16.0.1/24" is not an IPv4 or IPv6 address; remove the prefix length',
  ],
  [{ peerIP: 'fe80::1%eth0' }, 'spec.peerIP: "fe80::1%eth0" is not an IPv4 or IPv6 address; zones'],
  [{ peerIP: 'fe80::1' }, 'spec.peerIP: fe80::1 is link-local'],
  [{ peerIP: '0.0.0.0' }, 'spec.peerIP: 0.0.0.0 is not the address of another host'],
  [{ peerIP: '224.0.0.5' }, 'spec.peerIP: 224.0.0.5 is not the address of another host'],
  [{ peerIP: '127.0.0.1' }, 'spec.peerIP: 127.0.0.1 is not the address of another host'],
  [{ peerIP: '::1' }, 'spec.peerIP: ::1 is not the address of another host'],
  [{ peerIP: '::ffff:172.16.0.1' }, 'spec.peerIP: ::ffff:ac10:1 is an IPv4 address in the form of IPv6'],
  [{ peerIP: '::' }, 'spec.peerIP: :: is not the address of another host'],
  [{ gateway: 'gw' }, 'spec.gateway: "gw" is not an IPv4 or IPv6 address'],
  [{ gateway: 'fd00::1' }, 'spec.gateway: fd00::1 is not of the same address family as peerIP 172.16.0.1'],
  [{ sourceAddress: 'fd00::1' }, 'spec.sourceAddress: fd00::1 is not of the same'],
  [{ sourceAddress: '172.16.0.1' }, 'spec.sourceAddress: is the same as peerIP'],
  [{ nodeSelector: '' }, 'spec.nodeSelector: is empty; write all()'],
  [{ nodeSelector: 'a=b c' }, 'spec.nodeSelector: "a=b c": at character 5'],
  [{ nodeSelector: { a: 'b' } }, 'spec.nodeSelector: must be a text'],
  [{ authPassword: 'secret' }, 'spec.authPassword: must be an object'],
  [{ authPassword: {} }, 'spec.authPassword.secretKeyRef: is required'],
  [{ authPassword: { secretKeyRef: { name: 'x' } } }, 'spec.authPassword.secretKeyRef.key: is required'],
  [{ authPassword: { secretKeyRef: { name: 'X', key: 'k' } } }, 'spec.authPassword.secretKeyRef.name: "X" is not'],
  [{ authPassword: { secretKeyRef: { name: 'x', key: 'a b' } } }, 'spec.authPassword.secretKeyRef.key: "a b" is not'],
  [{ peerPort: 0 }, 'spec.peerPort: must be 1 to 65535, not 0'],
  [{ peerPort: 65536 }, 'spec.peerPort: must be'],
  [{ role: 'friend' }, 'spec.role: "friend" is not a role: customer, peer, provider, rs-client, rs'],
  [{ role: 'customer', localAsNumber: 65001 }, 'spec.role: is for a device of another AS'],
  [{ gracefulRestart: { longLivedSeconds: 0 } }, 'spec.gracefulRestart.longLivedSeconds: must be'],
  [{ holdTimeSeconds: 1 }, 'spec.holdTimeSeconds: must be 0 or 3 to 65535 seconds, not 1'],
  [{ holdTimeSeconds: 2 }, 'spec.holdTimeSeconds: must be 0 or 3'],
  [{ holdTimeSeconds: 65536 }, 'spec.holdTimeSeconds: must be'],
  [{ connectRetrySeconds: 0 }, 'spec.connectRetrySeconds: must be 1 to 65535 seconds'],
  [
    { gracefulRestart: { restartTimeSeconds: 4096 } },
    'spec.gracefulRestart.restartTimeSeconds: must be 1 to 4095 seconds',
  ],
  [{ gracefulRestart: { enabled: 'yes' } }, 'spec.gracefulRestart.enabled: must be true or false, not "yes"'],
  [{ ebgpMultihop: 256 }, 'spec.ebgpMultihop: must be 1 to 255 hops'],
  [{ ttlSecurity: 255 }, 'spec.ttlSecurity: must be 1 to 254 hops'],
  [{ ebgpMultihop: 2, ttlSecurity: 2 }, 'spec.ttlSecurity: cannot be used together with ebgpMultihop'],
  [{ bfd: { multiplier: 1 } }, 'spec.bfd.multiplier: must be 2 to 255'],
  [{ bmp: { port: 65536 } }, 'spec.bmp.port: must be 1 to 65535'],
  [{ bmp: { address: 'fe80::1' } }, 'spec.bmp.address: fe80::1 is link-local'],
  [{ communities: ['1:2:3'] }, 'spec.communities[0]: "1:2:3" is not a community'],
  [{ communities: ['65536:1'] }, 'spec.communities[0]: "65536:1" is not a community'],
  [{ communities: ['ok:1'] }, 'spec.communities[0]: "ok:1" is not a community'],
  [{ largeCommunities: ['1:2'] }, 'spec.largeCommunities[0]: "1:2" is not a large community'],
  [{ med: 4294967296 }, 'spec.med: must be 0 to 4294967295'],
])('%j is refused', (change, message) => {
  const found = problems(change)
  expect(found).toHaveLength(1)
  expect(found[0]).toStartWith(message)
})

test('all problems are told at once', () => {
  expect(
    problems({ localAsNumber: 0, peerIP: 'x', nodeSelector: '=', med: -1 }).map(text => text.split(':')[0]),
  ).toEqual(['spec.localAsNumber', 'spec.peerIP', 'spec.nodeSelector', 'spec.med'])
})

test.each([
  undefined,
  null,
  7,
  'x',
  {},
  { metadata: {} },
  { metadata: { name: 'x' } },
  { metadata: { name: 'x' }, spec: [] },
])('%j is refused whole', object => {
  expect(decodeBGPPeer(object)).toHaveProperty('problems')
})

test('the names of communities are those that the speaker knows', () => {
  expect([...COMMUNITY_NAMES].sort()).toEqual(
    Object.keys(WellKnownCommunity).sort() as typeof COMMUNITY_NAMES extends readonly (infer N)[] ? N[] : never,
  )
})
