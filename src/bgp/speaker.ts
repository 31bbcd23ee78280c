/**
 * A BGP speaker: configured peers, the listening socket, and the door for who uses it
 * (speaker-types.ts). Announces only; imports nothing, so it holds no routes of peers. Knows no
 * Kubernetes.
 *
 * Only configured peers may dial in: anybody else's connection is closed at once, and a peer has
 * one pending connection at most.
 */
import { type Cancel, type Clock, sleep } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Secret } from '../lib/secret.ts'
import { type Bucket, type Rate, take } from '../lib/token-bucket.ts'
import type { AdvertisedRoute } from '../model/session.ts'
import { cease } from './codec/errors.ts'
import { encodeMessage, INITIAL_CONTEXT } from './codec/message.ts'
import { Cease } from './codec/registry.ts'
import type { Closing } from './machine/graceful-restart.ts'
import { onTheWayOut } from './machine/graceful-shutdown.ts'
import { disturbance } from './machine/peer-settings.ts'
import { explainSilence } from './machine/silent-peer.ts'
import { Peer } from './peer.ts'
import type {
  Announcement,
  PathFailure,
  PeerConfig,
  SessionEvent,
  SessionView,
  Speaker,
  SpeakerClosing,
  TracedMessage,
} from './speaker-types.ts'
import { createTransport } from './tcp/transport.ts'
import type { Connection, Listener, ListenOptions, Transport } from './tcp/transport-types.ts'

export interface SpeakerOptions {
  readonly clock: Clock
  readonly log: Log
  /** Where peers may dial in; absent: nowhere, all sessions are ours to open. Usually port 179. */
  readonly listen?: ListenOptions
  /**
   * This process follows one that closed with `restart` (RFC 4724): peers may still hold our
   * routes.
   */
  readonly restarting: boolean
  /**
   * With `restarting`: the whole machine did, so that it forwarded nothing meanwhile (RFC 4724
   * section 4.1).
   */
  readonly rebooted?: boolean
  readonly transport?: Transport
}

/** A listening port that cannot be had is tried again this often. */
const LISTEN_RETRY_MILLISECONDS = 10_000
/** Answers to diallers that are refused; to more of them the reset is the answer. */
const WORDS: Rate = { burst: 10, everyMilliseconds: 500 }

export function createSpeaker(options: SpeakerOptions): Speaker {
  return new BgpSpeaker(options)
}

class BgpSpeaker implements Speaker {
  readonly #options: SpeakerOptions
  readonly #transport: Transport
  readonly #startedAt: number
  readonly #peers = new Map<string, Peer>()
  /** What was last wanted, also for peers that are not configured yet. */
  readonly #announcements = new Map<string, readonly Announcement[]>()
  readonly #listeners = new Set<(event: SessionEvent) => void>()
  readonly #watchers = new Set<() => void>()
  /** Peers that are saying goodbye. */
  readonly #leaving = new Set<Promise<void>>()
  #listener: Listener | undefined
  /**
   * TCP MD5 keys that the listening socket has, and the addresses whose key it does not take: these
   * may not dial in.
   */
  readonly #keys = new Map<string, Secret>()
  readonly #unprotected = new Set<string>()
  #cancelListen: Cancel = () => {}
  #words: Bucket | undefined
  #listenProblem: string | undefined
  #closed = false
  /** Ends the forewarning of a shutdown. */
  readonly #hurry = new AbortController()

  constructor(options: SpeakerOptions) {
    this.#options = options
    this.#transport = options.transport ?? explainSilence(createTransport({ clock: options.clock }))
    this.#startedAt = options.clock.monotonic()
    if (options.listen !== undefined) this.#listen(options.listen)
  }

  setPeers(configs: readonly PeerConfig[]): void {
    if (this.#closed) return
    const wanted = new Map(configs.map(config => [config.key, config]))
    for (const [key, peer] of this.#peers) {
      const config = wanted.get(key)
      if (config === undefined) this.#announcements.delete(key)
      if (config === undefined || disturbance(peer.config, config) === 'replace') this.#remove(key, peer)
    }
    this.#setKeys(configs)
    for (const config of wanted.values()) {
      const peer = this.#peers.get(config.key)
      if (peer === undefined) this.#add(config)
      else peer.configure(config, disturbance(peer.config, config) === 'reopen')
    }
    this.#changed()
  }

  setAnnouncements(key: string, announcements: readonly Announcement[]): void {
    this.#announcements.set(key, announcements)
    this.#peers.get(key)?.setAnnouncements(announcements)
  }

  failSession(key: string, failure: PathFailure): void {
    this.#peers.get(key)?.fail(failure)
  }

  holdSession(key: string, reason: string | undefined): void {
    this.#peers.get(key)?.hold(reason)
  }

  tryTtl(key: string, minimum: number, done: (passes: boolean | undefined) => void): () => void {
    const peer = this.#peers.get(key)
    if (peer !== undefined) return peer.tryTtl(minimum, done)
    done(undefined)
    return () => {}
  }

  advertised(key: string): readonly AdvertisedRoute[] | undefined {
    return this.#peers.get(key)?.advertised()
  }

  trace(key: string, listener: (message: TracedMessage) => void): (() => void) | undefined {
    return this.#peers.get(key)?.trace(listener)
  }

  sessions(): readonly SessionView[] {
    return [...this.#peers.values()].map(peer => peer.view())
  }

  get listenProblem(): string | undefined {
    return this.#listenProblem
  }

  onEvent(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onChange(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  async close(how: SpeakerClosing): Promise<void> {
    if (this.#closed) return this.#hurry.abort()
    this.#closed = true
    this.#cancelListen()
    this.#listener?.close()
    if (how.mode === 'shutdown') await this.#forewarn(how.forewarnMilliseconds ?? 0)
    const closing: Closing =
      how.mode === 'restart' ? 'restart' : { final: cease(Cease.AdministrativeShutdown, how.reason) }
    await Promise.all([...this.#leaving, ...[...this.#peers.values()].map(peer => peer.close(closing))])
  }

  /**
   * RFC 8326 section 4: announces everything as the last resort, and gives the peers time to find
   * better.
   */
  async #forewarn(milliseconds: number): Promise<void> {
    if (milliseconds === 0 || !this.sessions().some(({ state }) => state === 'Established')) return
    for (const [key, peer] of this.#peers) {
      const announcements = this.#announcements.get(key)
      if (announcements !== undefined) peer.setAnnouncements(onTheWayOut(announcements))
    }
    await sleep(this.#options.clock, milliseconds, this.#hurry.signal)
  }

  #add(config: PeerConfig): void {
    const { clock, log, restarting, rebooted = false } = this.#options
    const peer = new Peer(config, {
      clock,
      log: log.child({ bgpPeer: config.key }),
      transport: this.#transport,
      ...(restarting && { restarted: { at: this.#startedAt, rebooted } }),
      refuse: connection => this.#refuse(connection),
      emit: event => this.#emit(event),
      changed: () => this.#changed(),
    })
    this.#peers.set(config.key, peer)
    const announcements = this.#announcements.get(config.key)
    if (announcements !== undefined) peer.setAnnouncements(announcements)
    peer.start()
  }

  #remove(key: string, peer: Peer): void {
    this.#peers.delete(key)
    const gone = peer.close({ final: cease(Cease.PeerDeconfigured) }).finally(() => this.#leaving.delete(gone))
    this.#leaving.add(gone)
  }

  #listen(where: ListenOptions): void {
    try {
      this.#listener = this.#transport.listen(where, connection => this.#accept(connection))
      this.#setKeys([...this.#peers.values()].map(peer => peer.config))
      this.#listenProblem = undefined
    } catch (error) {
      const problem = errorText(error)
      if (problem !== this.#listenProblem) {
        const detail = 'peers cannot dial in; sessions that this node opens are not concerned'
        this.#options.log.error({ port: where.port, reason: problem, detail }, 'cannot listen for BGP peers')
      }
      this.#listenProblem = problem
      this.#cancelListen = this.#options.clock.after(LISTEN_RETRY_MILLISECONDS, () => this.#listen(where))
    }
  }

  /**
   * Brings the TCP MD5 keys of the listening socket in line with the peers wanted (RFC 2385). Runs
   * before a peer starts.
   */
  #setKeys(configs: readonly PeerConfig[]): void {
    const passwords = new Map(
      configs.flatMap(({ peerAddress, password }) => (password ? [[peerAddress, password] as const] : [])),
    )
    for (const address of this.#keys.keys()) {
      if (!passwords.has(address)) this.#setKey(address, undefined)
    }
    for (const [address, password] of passwords) {
      if (!password.equals(this.#keys.get(address))) this.#setKey(address, password)
    }
  }

  #setKey(address: string, password: Secret | undefined): void {
    const problem = this.#listener?.setKey(address, password)
    if (problem !== undefined) {
      this.#options.log.error({ address, reason: problem.detail }, 'cannot set the TCP MD5 key of a BGP peer')
      this.#unprotected.add(address)
      return
    }
    this.#unprotected.delete(address)
    if (password === undefined) this.#keys.delete(address)
    else if (this.#listener !== undefined) this.#keys.set(address, password)
  }

  #accept(connection: Connection): void {
    const peer = this.#peerOf(connection)
    if (peer === undefined || this.#unprotected.has(connection.remoteAddress)) this.#refuse(connection)
    else peer.accept(connection)
  }

  /**
   * RFC 4486 section 4: Cease, Connection Rejected for whom we do not want. Not more often than now
   * and then: who floods us is no neighbour that reads it.
   */
  #refuse(connection: Connection): void {
    this.#options.log.debug({ address: connection.remoteAddress }, 'refused a BGP connection')
    const words = take(this.#words, WORDS, this.#options.clock.monotonic())
    if (words === undefined) {
      connection.abort()
      return
    }
    this.#words = words
    connection.write(encodeMessage(cease(Cease.ConnectionRejected), INITIAL_CONTEXT))
    connection.close()
  }

  #peerOf({ remoteAddress, localAddress }: Connection): Peer | undefined {
    return [...this.#peers.values()].find(
      ({ config }) =>
        config.peerAddress === remoteAddress &&
        (config.sourceAddress === undefined || config.sourceAddress === localAddress),
    )
  }

  #emit(event: SessionEvent): void {
    for (const listener of this.#listeners) this.#tell(() => listener(event))
  }

  #changed(): void {
    for (const watcher of this.#watchers) this.#tell(watcher)
  }

  /** A listener that throws must not stop a state machine in the middle of its actions. */
  #tell(listener: () => void): void {
    try {
      listener()
    } catch (err) {
      this.#options.log.error({ err }, 'a listener of the BGP speaker failed')
    }
  }
}
