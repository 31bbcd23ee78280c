/**
 * A BGP session as people see it: one shape for the status page, the commands, the metrics, the
 * `status.speakers[]` of a BGPPeer and the lab. BGP's own words for it are `SessionView`
 * (bgp/speaker-types.ts); the border between the two is speaker/session-status.ts.
 *
 * What a reader cannot know is absent, never zero: the controller knows what the speakers report,
 * only the node itself knows the rest. Times are RFC 3339 in UTC. No secret ever stands here. Pure.
 */

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
  readonly since: string
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
  /** Only a node knows it, of a BGPPeer that asks for BFD. */
  readonly bfd?: BfdPath
  /**
   * Whether packets that were handed to the peer came out at the nodes whose pod CIDRs it was told of,
   * as a condition's status has it; absent where nobody measures.
   */
  readonly routesVerified?: 'True' | 'False' | 'Unknown'
  /** What packets did not come out, where they did not. */
  readonly routesProblem?: string
}
