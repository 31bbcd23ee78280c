/**
 * The numbers that IANA registered for BGP, once each, by their RFC names: only those that this
 * speaker sends, checks or names. The name tables at the end are for people. What the numbers mean
 * is said where they are used. Pure.
 */

/**
 * https://www.iana.org/assignments/bgp-parameters#bgp-parameters-1 (RFC 4271 section 4.1, RFC
 * 2918).
 */
export const MessageTypeCode = { OPEN: 1, UPDATE: 2, NOTIFICATION: 3, KEEPALIVE: 4, 'ROUTE-REFRESH': 5 } as const

/** https://www.iana.org/assignments/address-family-numbers (RFC 4760). */
export const Afi = { IPv4: 1, IPv6: 2 } as const

/** https://www.iana.org/assignments/safi-namespace (RFC 4760). */
export const Safi = { unicast: 1, multicast: 2 } as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-parameters-2 */
export const AttributeType = {
  // RFC 4271 section 5.1
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MULTI_EXIT_DISC: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  COMMUNITIES: 8, // RFC 1997
  ORIGINATOR_ID: 9, // RFC 4456
  CLUSTER_LIST: 10, // RFC 4456
  MP_REACH_NLRI: 14, // RFC 4760
  MP_UNREACH_NLRI: 15, // RFC 4760
  EXTENDED_COMMUNITIES: 16, // RFC 4360
  AS4_PATH: 17, // RFC 6793
  AS4_AGGREGATOR: 18, // RFC 6793
  IPV6_EXTENDED_COMMUNITIES: 25, // RFC 5701
  LARGE_COMMUNITIES: 32, // RFC 8092
  ONLY_TO_CUSTOMER: 35, // RFC 9234
} as const

/** Attributes that this speaker passes over, by name only. */
export const OtherAttributeType = {
  PMSI_TUNNEL: 22, // RFC 6514
  TUNNEL_ENCAPSULATION: 23, // RFC 9012
  TRAFFIC_ENGINEERING: 24, // RFC 5543
  AIGP: 26, // RFC 7311
  BGP_LS: 29, // RFC 9552
  BGPSEC_PATH: 33, // RFC 8205
  BFD_DISCRIMINATOR: 38, // RFC 9026
  BGP_PREFIX_SID: 40, // RFC 8669
  ATTR_SET: 128, // RFC 6368
} as const

/** Attribute flags, RFC 4271 section 4.3. The lower four bits are unused and ignored on receipt. */
export const AttributeFlag = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const

/** RFC 4271 section 4.3 a). */
export const Origin = { IGP: 0, EGP: 1, INCOMPLETE: 2 } as const

/** RFC 4271 section 4.3 b), RFC 5065 section 3. */
export const AsPathSegmentType = { AS_SET: 1, AS_SEQUENCE: 2, AS_CONFED_SEQUENCE: 3, AS_CONFED_SET: 4 } as const

/** RFC 6793 section 9: stands for an AS number that does not fit in 2 octets. */
export const AS_TRANS = 23456

/**
 * https://www.iana.org/assignments/bgp-parameters#bgp-parameters-11 (RFC 4271 section 4.2, RFC
 * 5492, RFC 9072).
 */
export const OptionalParameterType = { capabilities: 2, extendedLength: 255 } as const

/** https://www.iana.org/assignments/capability-codes */
export const CapabilityCode = {
  multiprotocol: 1, // RFC 4760 section 8
  'route-refresh': 2, // RFC 2918
  'extended-next-hop': 5, // RFC 8950
  'extended-message': 6, // RFC 8654
  role: 9, // RFC 9234
  'graceful-restart': 64, // RFC 4724
  'four-octet-as': 65, // RFC 6793
  'enhanced-route-refresh': 70, // RFC 7313
  'long-lived-graceful-restart': 71, // RFC 9494
} as const

/** Capabilities that this speaker does not know more of than their name. */
export const OtherCapabilityCode = {
  'outbound-route-filtering': 3, // RFC 5291
  'multiple-labels': 8, // RFC 8277
  'dynamic-capability': 67,
  multisession: 68,
  'add-path': 69, // RFC 7911
  fqdn: 73,
  'bfd-strict-mode': 74,
  'software-version': 75,
  'paths-limit': 76,
  'route-refresh-prestandard': 128,
  'outbound-route-filtering-prestandard': 130,
} as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-role-value (RFC 9234 section 4.1). */
export const Role = { Provider: 0, RS: 1, 'RS-Client': 2, Customer: 3, Peer: 4 } as const

/** ROUTE-REFRESH message subtypes, RFC 7313 section 3.2. */
export const RefreshSubtype = { request: 0, BoRR: 1, EoRR: 2 } as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-parameters-3 */
export const ErrorCode = {
  MessageHeader: 1,
  OpenMessage: 2,
  UpdateMessage: 3,
  HoldTimerExpired: 4,
  FiniteStateMachine: 5,
  Cease: 6,
  RouteRefreshMessage: 7, // RFC 7313
  SendHoldTimerExpired: 8, // RFC 9687
} as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-parameters-5 (RFC 4271 section 6.1). */
export const HeaderError = { ConnectionNotSynchronized: 1, BadMessageLength: 2, BadMessageType: 3 } as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-parameters-6 (RFC 4271 section 6.2). */
export const OpenError = {
  Unspecific: 0,
  UnsupportedVersionNumber: 1,
  BadPeerAs: 2,
  BadBgpIdentifier: 3,
  UnsupportedOptionalParameter: 4,
  UnacceptableHoldTime: 6,
  UnsupportedCapability: 7, // RFC 5492
  RoleMismatch: 11, // RFC 9234
} as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-parameters-7 (RFC 4271 section 6.3). */
export const UpdateError = {
  MalformedAttributeList: 1,
  UnrecognizedWellKnownAttribute: 2,
  MissingWellKnownAttribute: 3,
  AttributeFlagsError: 4,
  AttributeLengthError: 5,
  InvalidOrigin: 6,
  InvalidNextHop: 8,
  OptionalAttributeError: 9,
  InvalidNetworkField: 10,
  MalformedAsPath: 11,
} as const

/**
 * https://www.iana.org/assignments/bgp-parameters#bgp-finite-state-machine-error-subcodes (RFC
 * 6608).
 */
export const FsmError = {
  Unspecified: 0,
  UnexpectedMessageInOpenSent: 1,
  UnexpectedMessageInOpenConfirm: 2,
  UnexpectedMessageInEstablished: 3,
} as const

/** https://www.iana.org/assignments/bgp-parameters#bgp-parameters-8 (RFC 4486). */
export const Cease = {
  MaximumPrefixesReached: 1,
  AdministrativeShutdown: 2,
  PeerDeconfigured: 3,
  AdministrativeReset: 4,
  ConnectionRejected: 5,
  OtherConfigurationChange: 6,
  ConnectionCollisionResolution: 7,
  OutOfResources: 8,
  HardReset: 9, // RFC 8538
  BfdDown: 10, // RFC 9384
} as const

/**
 * https://www.iana.org/assignments/bgp-parameters#route-refresh-error-subcodes (RFC 7313 section
 * 5).
 */
export const RouteRefreshError = { InvalidMessageLength: 1 } as const

/** https://www.iana.org/assignments/bgp-well-known-communities */
export const WellKnownCommunity = {
  'graceful-shutdown': 0xffff0000, // RFC 8326
  'llgr-stale': 0xffff0006, // RFC 9494
  'no-llgr': 0xffff0007, // RFC 9494
  blackhole: 0xffff029a, // RFC 7999
  'no-export': 0xffffff01, // RFC 1997
  'no-advertise': 0xffffff02, // RFC 1997
  'no-export-subconfed': 0xffffff03, // RFC 1997
  'no-peer': 0xffffff04, // RFC 3765
} as const

/** The names of the error codes and of their subcodes, as the RFCs print them. */
export const ERROR_NAMES: Readonly<Record<number, { readonly name: string; readonly subcodes: readonly string[] }>> = {
  1: {
    name: 'Message Header Error',
    subcodes: ['Unspecific', 'Connection Not Synchronized', 'Bad Message Length', 'Bad Message Type'],
  },
  2: {
    name: 'OPEN Message Error',
    subcodes: [
      'Unspecific',
      'Unsupported Version Number',
      'Bad Peer AS',
      'Bad BGP Identifier',
      'Unsupported Optional Parameter',
      'Authentication Failure (deprecated)',
      'Unacceptable Hold Time',
      'Unsupported Capability',
      'Grouping Conflict (deprecated)',
      'Grouping Required (deprecated)',
      'Capability Value Mismatch (deprecated)',
      'Role Mismatch',
    ],
  },
  3: {
    name: 'UPDATE Message Error',
    subcodes: [
      'Unspecific',
      'Malformed Attribute List',
      'Unrecognized Well-known Attribute',
      'Missing Well-known Attribute',
      'Attribute Flags Error',
      'Attribute Length Error',
      'Invalid ORIGIN Attribute',
      'AS Routing Loop (deprecated)',
      'Invalid NEXT_HOP Attribute',
      'Optional Attribute Error',
      'Invalid Network Field',
      'Malformed AS_PATH',
    ],
  },
  4: { name: 'Hold Timer Expired', subcodes: [] },
  5: {
    name: 'Finite State Machine Error',
    subcodes: [
      'Unspecified Error',
      'Receive Unexpected Message in OpenSent State',
      'Receive Unexpected Message in OpenConfirm State',
      'Receive Unexpected Message in Established State',
    ],
  },
  6: {
    name: 'Cease',
    subcodes: [
      'Unspecific',
      'Maximum Number of Prefixes Reached',
      'Administrative Shutdown',
      'Peer De-configured',
      'Administrative Reset',
      'Connection Rejected',
      'Other Configuration Change',
      'Connection Collision Resolution',
      'Out of Resources',
      'Hard Reset',
      'BFD Down',
    ],
  },
  7: { name: 'ROUTE-REFRESH Message Error', subcodes: ['Unspecific', 'Invalid Message Length'] },
  8: { name: 'Send Hold Timer Expired', subcodes: [] },
}

/** The key of `value` in a table of this page. */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name | undefined {
  for (const name in table) if (table[name] === value) return name
  return undefined
}
