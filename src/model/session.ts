/**
 * A BGP session as people see it: one shape for the status page, the commands, the metrics, the
 * `status.speakers[]` of a BGPPeer and the lab. BGP's own words for it are `SessionView`
 * (bgp/speaker-types.ts); the border between the two is speaker/session-status.ts.
 *
 * What a reader cannot know is absent, never zero: the controller knows what the speakers report,
 * only the node itself knows the rest. Times are RFC 3339 in UTC. No secret ever stands here. Pure.
 */
import type { ConditionStatus } from './condition-status.ts'

/** RFC 4271 section 8.2.2. */
export type BgpState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established'

/** The BFD session beside a BGP session (RFC 5880 section 6.1). */
export interface BfdPath {
  readonly state: 'AdminDown' | 'Down' | 'Init' | 'Up'
  readonly since: string
  /** What the peer says, while it is heard. */
  readonly remoteState?: 'AdminDown' | 'Down' | 'Init' | 'Up'
  readonly detectionTimeMilliseconds?: number
  /** Why it left Up last. */
  readonly lastDown?: string
}

/** How many messages of each type (RFC 4271 section 4.1, RFC 2918). */
export interface MessageCounts {
  readonly open: number
  readonly update: number
  readonly notification: number
  readonly keepalive: number
  readonly routeRefresh: number
}

/** What an engineer asks a router of a neighbour; what is not known yet is absent. */
export interface BgpNeighbor {
  readonly routerId: string
  readonly peerRouterId?: string
  readonly peerPort: number
  /** Of the connection that is furthest: who opened it, and its ports. */
  readonly connection?: {
    readonly openedBy: 'us' | 'peer'
    readonly localPort?: number
    readonly remotePort?: number
  }
  readonly passive: boolean
  /** TCP MD5 (RFC 2385). */
  readonly password: boolean
  /** Sent, and the least that is taken (RFC 5082). */
  readonly ttl: number
  readonly minimumTtl?: number
  readonly configured: { readonly holdTimeSeconds: number; readonly connectRetrySeconds: number }
  readonly negotiated?: { readonly holdTimeSeconds: number; readonly keepaliveSeconds: number }
  readonly lastRead?: string
  readonly lastWrite?: string
  readonly sent: MessageCounts
  readonly received: MessageCounts
  /** How often it came up, and how often it went down whatever the reason. */
  readonly established: number
  readonly dropped: number
  readonly lastReset?: { readonly time: string; readonly reason: string }
  /**
   * By name; what is not known is `unknown` with its code. The peer's are those of its last OPEN
   * that was taken.
   */
  readonly localCapabilities: readonly string[]
  readonly peerCapabilities?: readonly string[]
  readonly families: readonly BgpFamily[]
  readonly gracefulRestart?: {
    /** How long the peer is to keep our routes, and asks us to wait for itself. */
    readonly localSeconds?: number
    readonly peerSeconds?: number
    /** Also over a NOTIFICATION (RFC 8538): both sides. */
    readonly notification: boolean
  }
  /** Prefixes that are still to be announced or withdrawn, and whether the peer reads slowly. */
  readonly waitingPrefixes: number
  readonly congested: boolean
}

/** A prefix as the peer was told it; the AS_PATH as numbers in order. */
export interface AdvertisedRoute {
  readonly prefix: string
  readonly nextHop: string
  readonly origin: string
  readonly asPath: readonly number[]
  readonly med?: number
  readonly localPref?: number
  readonly communities?: readonly string[]
  readonly largeCommunities?: readonly string[]
  readonly onlyToCustomer?: number
}

/** Something that a session went through. */
export interface SessionTransition {
  readonly time: string
  /** It came up; it was lost; a try to bring it up failed. */
  readonly what: 'up' | 'down' | 'failed'
  readonly reason?: string
  /** Who said the reason in a NOTIFICATION: this node, or the peer. */
  readonly notification?: 'sent' | 'received'
  /** Of tries that failed alike: how many, and when the last one was. */
  readonly times: number
  readonly lastTime?: string
}

/**
 * A BGP message of a session as it is shown live; beside these, the fields that `terway-edge bgp
 * decode` gives.
 */
export interface TraceLine {
  readonly time: string
  readonly direction: 'sent' | 'received'
  readonly [field: string]: unknown
}

/** RFC 4271 section 4.5. */
export interface NotificationCount {
  readonly direction: 'sent' | 'received'
  readonly code: number
  readonly subcode: number
  readonly count: number
}

export interface BgpFamily {
  readonly family: 'ipv4' | 'ipv6'
  readonly negotiated: boolean
  readonly endOfRibSent: boolean
  readonly endOfRibReceived: boolean
}

export interface BgpSession {
  readonly bgpPeer: string
  /** The speaker. */
  readonly node: string
  readonly peerIP: string
  readonly peerAsNumber: number
  readonly localAsNumber: number
  readonly localAddress?: string
  /**
   * A `BgpState`, or what a speaker of another version wrote; `unknown` on the controller where the
   * speaker says nothing or is not heard: its numbers are not known then.
   */
  readonly state: string
  /** When it came up; of a session that is not up, since when it is not, however often it tried. */
  readonly since: string
  /** When it was up last; absent of one that never was, or where that is not known. */
  readonly lastUp?: string
  readonly advertisedPrefixes: number
  /**
   * Prefixes that the peer does not take or that have no next hop; only a node knows it, of a
   * session that is up. `lastError` says why.
   */
  readonly notAnnouncedPrefixes?: number
  readonly receivedPrefixes: number
  readonly flaps: number
  readonly holdTimeSeconds?: number
  /** Those that both sides have, by their names in the registry. */
  readonly capabilities: readonly string[]
  readonly lastError?: string
  /** Only a node knows it. */
  readonly neighbor?: BgpNeighbor
  /** Only a node knows it, of a BGPPeer that asks for BFD. */
  readonly bfd?: BfdPath
  /**
   * Whether packets that were handed to the peer came out at the nodes whose pod CIDRs it was told
   * of, as a condition's status has it; absent where nobody measures.
   */
  readonly routesVerified?: ConditionStatus
  /** What packets did not come out, where they did not. */
  readonly routesProblem?: string
  /** Newest first. */
  readonly history?: readonly SessionTransition[]
  readonly notifications?: readonly NotificationCount[]
}

/** When a session has something to report in a field. */
export type Reported = 'always' | 'while-up'

/**
 * What of a session its speaker reports in `status.speakers[]` of the BGPPeer: what is worth a
 * write that travels to every node.
 */
export const REPORTED = {
  node: 'always',
  state: 'always',
  since: 'always',
  lastError: 'always',
  flaps: 'always',
  localAddress: 'while-up',
  advertisedPrefixes: 'while-up',
  receivedPrefixes: 'while-up',
  holdTimeSeconds: 'while-up',
  capabilities: 'while-up',
  routesVerified: 'while-up',
  routesProblem: 'while-up',
} as const satisfies Partial<Record<keyof BgpSession, Reported>>
