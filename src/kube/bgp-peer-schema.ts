/**
 * The fields of a BGPPeer, once: a property for each, with its bounds. config/crd-bgppeers.yaml is
 * made of this table (`scripts/crds`), and decode-bgp-peer.ts takes its bounds from it, so what a
 * server refuses and what the door refuses cannot part ways. A field of `BGPPeerSpec` without a row
 * does not compile.
 *
 * The schema may be wider than the door (a server before 1.25 knows no rules about two fields),
 * never narrower. Pure.
 */
import { CONDITION_STATUSES } from '../model/condition-status.ts'
import { BGP_ROLES } from '../model/session-settings.ts'
import { type BGPPeerSpec, type BGPPeerStatus, COMMUNITY_NAMES, type SpeakerStatus } from './bgp-peer.ts'
import {
  boolean,
  decimalUpTo,
  integer,
  list,
  OBJECT_PROPERTIES,
  type ObjectProperty,
  type Properties,
  type Rule,
  text,
} from './openapi.ts'
import type { Condition } from './resources.ts'

/** RFC 1123 subdomain: the names of Nodes and Secrets. */
const NAME = { minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' } as const

/** 0 (RFC 7607), AS_TRANS (RFC 6793), the last of 16 and of 32 bits (RFC 7300). */
const AS_NUMBER = { minimum: 1, maximum: 4_294_967_294, not: [23456, 65535] } as const

/**
 * An address that can be another host's: not 0/8, 127/8, multicast or above; not ::, ::1, mapped,
 * multicast, link-local.
 */
const HOST = {
  maxLength: 45,
  anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }],
  not: {
    pattern: String.raw`^((0|127|22[4-9]|2[3-5][0-9])\.|::1?$|::[fF]{4}:|[fF]{2}[0-9a-fA-F]{2}:|[fF][eE][89abAB])`,
  },
} as const

function asNumber(description: string) {
  return integer(description, AS_NUMBER.minimum, AS_NUMBER.maximum, AS_NUMBER.not)
}

/** The grammar of node selectors; what is wrong within a label is told by the door, in words. */
function selectorPattern(): string {
  const word = '[A-Za-z0-9][-A-Za-z0-9_./]*'
  const requirement = String.raw`(!\s*${word}|${word}(\s*(==?|!=)\s*(${word})?|\s+(in|notin)\s*\([^()=!]*\))?)`
  return String.raw`^\s*(all\s*\(\s*\)|${requirement}(\s*,\s*${requirement})*)\s*$`
}

export const GRACEFUL_RESTART = {
  enabled: boolean('Default true.'),
  restartTimeSeconds: integer(
    'How long the device shall wait for a speaker to return, 1 to 4095 seconds. Default 600.',
    1,
    4095,
  ),
  longLivedSeconds: integer(
    'How much longer the device may keep the routes as a last resort (RFC 9494), 1 to 16777215 seconds. Default off.',
    1,
    16_777_215,
  ),
} as const satisfies Properties<BGPPeerSpec['gracefulRestart']>

export const BFD = {
  enabled: boolean('Default true where bfd is given.'),
  minimumIntervalMilliseconds: integer(
    'Interval of packets to send and to ask for, 50 to 60000 milliseconds. Default 300.',
    50,
    60_000,
  ),
  multiplier: integer('Packets that may be lost before the session is down, 2 to 255. Default 3.', 2, 255),
} as const satisfies Properties<NonNullable<BGPPeerSpec['bfd']>>

export const BMP = {
  enabled: boolean('Default true where bmp is given.'),
  port: integer('TCP port of the speakers that the device connects to, 1 to 65535. Default 11019.', 1, 65535),
  address: text('Address that the device connects from. Default peerIP.', HOST),
} as const satisfies Properties<NonNullable<BGPPeerSpec['bmp']>>

const SECRET_KEY_REFERENCE = {
  name: text('Name of the Secret.', NAME),
  key: text('Key in the Secret.', { minLength: 1, maxLength: 253, pattern: '^[-._a-zA-Z0-9]+$' }),
} as const satisfies Properties<NonNullable<BGPPeerSpec['authPassword']>['secretKeyRef']>

export const BGP_PEER_SPEC = {
  localSpeakers: list(
    'Names of the nodes that open BGP sessions for the LAN, at least one; two or more are recommended.',
    { type: 'string', ...NAME },
    { minItems: 1, 'x-kubernetes-list-type': 'set' },
  ),
  localAsNumber: asNumber(
    'AS number of the LAN, 1 to 4294967294 but not 23456 or 65535. Private ones are 64512 to 65534 and from 4200000000 on.',
  ),
  peerIP: text("IPv4 or IPv6 address of the LAN's gateway or layer 3 switch, where sessions are opened.", HOST),
  peerAsNumber: asNumber('AS number of that device. Equal to localAsNumber means iBGP.'),
  gateway: text(
    "Next hop to pods of other LANs. Default: peerIP where it is on a network of the node, else the node's default gateway.",
    HOST,
  ),
  nodeSelector: text(
    'Which nodes belong to the LAN: a label selector (k=v, k==v, k!=v, k in (a,b), k notin (a,b), k, !k, joined by commas), or all().',
    { minLength: 1, maxLength: 8192, pattern: selectorPattern() },
  ),
  authPassword: {
    description: 'TCP MD5 password of the sessions (RFC 2385).',
    type: 'object',
    required: ['secretKeyRef'],
    properties: {
      secretKeyRef: {
        description: 'Where the password is, in a Secret of the namespace kube-system.',
        type: 'object',
        required: ['name', 'key'],
        properties: SECRET_KEY_REFERENCE,
      },
    },
  },
  peerPort: integer('TCP port of the device. Default 179.', 1, 65535),
  sourceAddress: text(
    "Address of the speaker to connect from. Default the node's InternalIP in the network of peerIP; only useful with one speaker.",
    HOST,
  ),
  holdTimeSeconds: integer(
    'Hold time to offer in seconds, 0 (no keepalives) or 3 to 65535. Default 90.',
    0,
    65535,
    [1, 2], // RFC 4271 section 4.2
  ),
  connectRetrySeconds: integer('Pause between tries to connect in seconds, 1 to 65535. Default 30.', 1, 65535),
  gracefulRestart: {
    description: 'Graceful restart (RFC 4724), by which the device keeps forwarding while a speaker restarts.',
    type: 'object',
    properties: GRACEFUL_RESTART,
  },
  role: text(
    'Role of the speakers towards a device of another AS (RFC 9234), one of customer, peer, provider, rs-client, rs. Default none.',
    { enum: BGP_ROLES },
  ),
  ebgpMultihop: integer(
    'TTL for an eBGP peer that is not on a network of the speakers, 1 to 255. Default single hop.',
    1,
    255,
  ),
  ttlSecurity: integer(
    'GTSM (RFC 5082), the most hops that packets of the device may have made, 1 to 254. Not together with ebgpMultihop.',
    1,
    254,
  ),
  passive: boolean('Wait for the device to connect, never connect. Default false.'),
  nextHopSelf: boolean(
    "Announce the speaker's own address as next hop, so that it passes on what is for other nodes, not the address of the node that has the prefix. Default true with ebgpMultihop of 2 and more, else false.",
  ),
  bfd: {
    description: 'Bidirectional forwarding detection (RFC 5880) towards the device.',
    type: 'object',
    properties: BFD,
  },
  bmp: {
    description:
      'The device reports to the speakers by the BGP Monitoring Protocol (RFC 7854), which then know what it received and kept.',
    type: 'object',
    properties: BMP,
  },
  communities: list('Communities (RFC 1997) of the routes, such as 65001:100 or no-export.', {
    type: 'string',
    pattern: `^(${decimalUpTo(65535)}:${decimalUpTo(65535)}|${COMMUNITY_NAMES.join('|')})$`,
  }),
  largeCommunities: list('Large communities (RFC 8092) of the routes, such as 65001:1:2.', {
    type: 'string',
    pattern: `^${decimalUpTo(4_294_967_295)}(:${decimalUpTo(4_294_967_295)}){2}$`,
  }),
  med: integer('MULTI_EXIT_DISC of the routes, 0 to 4294967295. Default none.', 0, 4_294_967_295),
} as const satisfies Properties<BGPPeerSpec>

const COUNT = { minimum: 0, maximum: 4_294_967_295 } as const

function count(description: string) {
  return integer(description, COUNT.minimum, COUNT.maximum)
}

const CONDITION = {
  type: { type: 'string' },
  status: { type: 'string', enum: CONDITION_STATUSES },
  reason: { type: 'string' },
  message: { type: 'string', maxLength: 32_768 },
  lastTransitionTime: { type: 'string', format: 'date-time' },
  observedGeneration: { type: 'integer', format: 'int64', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
} as const satisfies Properties<Condition>

/** Of a speaker of another version, too: states are not an enumeration here. */
const SPEAKER_STATUS = {
  node: { type: 'string', ...NAME },
  state: text('State of the session, spelled as in RFC 4271 section 8.2.2.'),
  since: text('Since when it is in that state.'),
  localAddress: { type: 'string' },
  advertisedPrefixes: count('Prefixes that the speaker announces.'),
  receivedPrefixes: count('Prefixes that the device announces; they are counted and dropped.'),
  lastError: { type: 'string' },
  flaps: count('How often the session went down.'),
  holdTimeSeconds: integer('As negotiated.', 0, 65535),
  capabilities: list('As negotiated.', { type: 'string' }),
  routesVerified: {
    description: 'Whether packets by way of the device came out at the right nodes, as a condition has it.',
    type: 'string',
    enum: CONDITION_STATUSES,
  },
  routesProblem: text('What packets did not come out, where they did not.'),
} as const satisfies Properties<SpeakerStatus>

const BGP_PEER_STATUS = {
  conditions: list(
    'Accepted (the spec can work), Established (the sessions are up), RoutesVerified (packets proved that the device holds the routes) and others.',
    { type: 'object', required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'], properties: CONDITION },
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
  ),
  selectedNodes: list('Nodes that nodeSelector selects.', { type: 'string' }),
  sessions: text('Established sessions of those wanted, such as 2/2.'),
  prefixes: count('Pod CIDRs announced by the speaker that announces most.'),
  speakers: list(
    'The session of each speaker.',
    { type: 'object', required: ['node'], properties: SPEAKER_STATUS },
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['node'] },
  ),
} as const satisfies Properties<BGPPeerStatus>

/**
 * What needs two fields, as rules of the spec. They are not in config/crd-bgppeers.yaml, because
 * kubectl refuses a field that a server before 1.25 does not know; the controller adds them where
 * the server takes them.
 */
export const BGP_PEER_RULES: readonly Rule[] = [
  {
    rule: "!has(self.gateway) || self.gateway.contains(':') == self.peerIP.contains(':')",
    message: 'gateway must be of the address family of peerIP',
  },
  {
    rule: "!has(self.sourceAddress) || self.sourceAddress.contains(':') == self.peerIP.contains(':')",
    message: 'sourceAddress must be of the address family of peerIP',
  },
  {
    rule: '!has(self.sourceAddress) || self.sourceAddress != self.peerIP',
    message: "sourceAddress is the speaker's own address, not peerIP",
  },
  {
    rule: '!has(self.role) || self.localAsNumber != self.peerAsNumber',
    message: 'role is for a device of another AS: remove it, localAsNumber and peerAsNumber are equal',
  },
  {
    rule: '!has(self.ebgpMultihop) || !has(self.ttlSecurity)',
    message: 'ttlSecurity cannot be used together with ebgpMultihop; it allows several hops by itself',
  },
]

/** The whole schema of the kind. */
export const BGP_PEER_SCHEMA: ObjectProperty = {
  description:
    'A BGP peer of a LAN, usually its layer 3 switch. The speakers open a session with it each and announce the pod CIDR of every node that nodeSelector selects, with that node as next hop.',
  type: 'object',
  required: ['spec'],
  properties: {
    ...OBJECT_PROPERTIES,
    spec: {
      description: 'What is wanted.',
      type: 'object',
      required: ['localSpeakers', 'localAsNumber', 'peerIP', 'peerAsNumber', 'nodeSelector'],
      not: { required: ['ebgpMultihop', 'ttlSecurity'] },
      properties: BGP_PEER_SPEC,
    },
    status: {
      description: 'What is there. speakers belongs to the speakers, one entry each; all else to the controller.',
      type: 'object',
      properties: BGP_PEER_STATUS,
    },
  },
}
