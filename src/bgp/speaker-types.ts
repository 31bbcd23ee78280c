/**
 * The contract between the BGP room and who uses it: what a speaker is told (peers, announcements)
 * and what it tells (sessions). Knows no Kubernetes. `speaker.ts` implements `Speaker`. Pure.
 */
import type { Family } from '../lib/ip.ts'
import type { Secret } from '../lib/secret.ts'
import type { AdvertisedRoute, BgpNeighbor, BgpState } from '../model/session.ts'
import type { SessionSettings } from '../model/session-settings.ts'
import type { CodecContext } from './codec/message-types.ts'

/** RFC 4271 section 8.2.2. */
export type State = BgpState

/**
 * A configured peer. `key` names it for its whole life; a change of anything else is applied with
 * the smallest disturbance.
 */
export interface PeerConfig extends SessionSettings {
  readonly key: string
  readonly localAs: number
  readonly peerAs: number
  readonly peerAddress: string
  /** The BGP Identifier, dotted. */
  readonly routerId: string
  /**
   * Where our connections come from when no `sourceAddress` is demanded; the peer may dial any
   * address of ours.
   */
  readonly preferredSource?: string
  /** TCP MD5 key (RFC 2385). */
  readonly password?: Secret
  /** Address families to negotiate (RFC 4760), unicast each. */
  readonly families: readonly Family[]
}

/**
 * A prefix to announce with the next hop that owns it (third-party next hop, RFC 4271 section
 * 5.1.3).
 */
export interface Announcement {
  readonly prefix: string
  readonly nextHop: string
  readonly med?: number
  /** To iBGP peers only; absent: 100. */
  readonly localPref?: number
  readonly communities?: readonly string[]
  readonly largeCommunities?: readonly string[]
}

/** One session as it is now. */
export interface SessionView {
  readonly key: string
  readonly peerAddress: string
  readonly state: State
  /** Clock.now() milliseconds. */
  readonly since: number
  readonly localAddress?: string
  readonly localAs: number
  readonly peerAs: number
  readonly negotiated?: {
    readonly holdTimeSeconds: number
    /** Capability names that both sides have. */
    readonly capabilities: readonly string[]
  }
  readonly advertisedPrefixes: number
  /** What was given to announce and cannot be in this session; empty while none is established. */
  readonly notAnnounced: readonly NotAnnounced[]
  readonly receivedPrefixes: number
  readonly flaps: number
  readonly lastError?: SessionError
  /** The rest that an engineer asks for. */
  readonly neighbor: BgpNeighbor
}

export type NotAnnouncedReason =
  | 'family-not-negotiated'
  | 'extended-next-hop-not-negotiated' // IPv4 over IPv6 next hops
  | 'no-next-hop'
  | 'attributes-too-long'

/** Prefixes of one family that cannot be announced for one reason. */
export interface NotAnnounced {
  readonly family: Family
  readonly reason: NotAnnouncedReason
  readonly prefixes: number
  /** For people: why, and what to change. */
  readonly message: string
}

/** Why a session did not come up or went down. */
export interface SessionError {
  readonly kind: SessionErrorKind
  /** For people: what happened and what to do. */
  readonly message: string
  readonly at: number
  readonly notification?: {
    readonly sent: boolean
    readonly code: number
    readonly subcode: number
    readonly text: string
  }
  /** This node closed the session on purpose and opens it again at once: nobody has to act. */
  readonly planned?: true
}

export type SessionErrorKind =
  | 'refused'
  | 'timed-out' // with a password set: a wrong password looks like this
  | 'unreachable'
  | 'reset'
  | 'closed'
  | 'wrong-as'
  | 'notification-sent'
  | 'notification-received'
  | 'hold-timer-expired'
  | 'bfd-down'
  | 'no-md5-support'
  | 'local-problem'

export type SessionEvent =
  | { readonly kind: 'established'; readonly key: string; readonly session: SessionView }
  | { readonly kind: 'failed'; readonly key: string; readonly session: SessionView; readonly error: SessionError }
  | { readonly kind: 'lost'; readonly key: string; readonly session: SessionView; readonly error: SessionError }
  | { readonly kind: 'graceful-restart'; readonly key: string; readonly session: SessionView; readonly detail: string }

export type SpeakerClosing =
  | { readonly mode: 'restart' }
  | { readonly mode: 'shutdown'; readonly reason: string; readonly forewarnMilliseconds?: number }

export interface PathFailure {
  readonly kind: 'bfd-down' | 'local-end-gone'
  readonly reason: string
}

/** A message of a session, as it went over the line. */
export interface TracedMessage {
  /** Clock.now() milliseconds. */
  readonly at: number
  readonly direction: 'sent' | 'received'
  readonly bytes: Uint8Array
  readonly context: CodecContext
}

export interface Speaker {
  /**
   * The whole set of peers wanted: starts, changes and (withdrawing, then Cease) removes as needed.
   */
  setPeers(peers: readonly PeerConfig[]): void
  /**
   * The whole set wanted for one peer; only the difference goes out. Before the first call nothing
   * is sent, not even End-of-RIB.
   */
  setAnnouncements(key: string, announcements: readonly Announcement[]): void
  /**
   * Ends an established session at once because the path is gone: says BFD (RFC 5882 section 4.2),
   * and the peer is told with Cease, BFD Down (RFC 9384); or our own end of it is gone, as a
   * connection that breaks. The next try follows as after any loss. `reason` is for people. A
   * session that is not established is left alone.
   */
  failSession(key: string, failure: PathFailure): void
  /**
   * With a reason, no session is begun or let in until it is called without; one that is up stays.
   */
  holdSession(key: string, reason: string | undefined): void
  /**
   * Whether packets of a peer whose session is up bear at least this TTL (RFC 5082), and so would
   * pass TTL security: tried on the session, which is not disturbed. Tells once; undefined: not
   * known. What it returns ends the trial early, as another trial of that session does.
   */
  tryTtl?(key: string, minimum: number, done: (passes: boolean | undefined) => void): () => void
  sessions(): readonly SessionView[]
  /** Why peers cannot dial in; undefined where they can, or are not meant to. */
  readonly listenProblem?: string | undefined
  /**
   * What the peer was told and not told otherwise since, in its session; undefined: there is no
   * such peer.
   */
  advertised(key: string): readonly AdvertisedRoute[] | undefined
  /**
   * Tells of every message with a peer from now on, until what it returns is called; undefined:
   * there is no such peer. A listener must not take long.
   */
  trace?(key: string, listener: (message: TracedMessage) => void): (() => void) | undefined
  onEvent(listener: (event: SessionEvent) => void): () => void
  /** Called after any change of `sessions()`; for pages and metrics. */
  onChange(listener: () => void): () => void
  /**
   * Ends. `restart` closes without NOTIFICATION so that peers keep our routes (RFC 4724);
   * `shutdown` withdraws, then sends Cease (Administrative Shutdown, with `reason` as RFC 9003
   * text). With `forewarnMilliseconds` peers are first told for so long that our routes are on
   * their way out (RFC 8326), and move to others; a second call cuts that short.
   */
  close(how: SpeakerClosing): Promise<void>
}
