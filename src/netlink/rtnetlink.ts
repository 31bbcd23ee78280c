/**
 * A conversation with the kernel's rtnetlink (rtnetlink(7)): typed dumps and lookups, and requests
 * with one answer each, many in a datagram. All of it is synchronous: the kernel answers within the
 * call. Requests are made by the files of the families (`addRoute`, `addVeth`, …).
 *
 * Holds no state of the network and retries nothing but interrupted dumps. Changes are told by
 * `watch.ts`.
 */
import { ERRNO, SystemError } from '../lib/errno.ts'
import { decodeAddress, dumpAddressesRequest } from './address.ts'
import { Encoder } from './attributes.ts'
import { NLM_F, NLMSG } from './constants.ts'
import { decodeLink, dumpLinksRequest, getLinkRequest, type LinkReference } from './link.ts'
import { decodeError, decodeMessages, encodeMessage, type Message, NetlinkError, type Request } from './message.ts'
import { decodeNeighbour, dumpNeighboursRequest, type NeighbourSpec, probeNeighbour } from './neighbour.ts'
import {
  decodeRoute,
  dumpRoutesRequest,
  type ForwardedFrom,
  lookupOf,
  lookupRequest,
  matchRequest,
  type RouteFilter,
} from './route.ts'
import { decodeRule, dumpRulesRequest } from './rule.ts'
import { type Kernel, type OpenOptions, RequestSocket } from './socket.ts'
import type { InterfaceAddress, Link, Neighbour, Route, RouteLookup, RouteType, Rule } from './types.ts'

/** How one request of a batch ended; no `error`: it was done. */
export interface Outcome {
  readonly request: Request
  readonly error?: NetlinkError
}

/**
 * Requests in one datagram: their acknowledgements must fit the receive buffer even where it could
 * not be made larger.
 */
const BATCH_LENGTH = 200
/** How often a dump that other changes interrupted is tried (NLM_F_DUMP_INTR). */
const DUMP_TRIES = 5

/** What a lookup fails with, and the type of route that makes it so (fib_props of the kernel). */
const LOOKUP_FAILURES: Readonly<Partial<Record<number, RouteType>>> = {
  [ERRNO.ENETUNREACH]: 'unreachable',
  [ERRNO.EHOSTUNREACH]: 'unreachable',
  [ERRNO.EACCES]: 'prohibit',
  [ERRNO.EINVAL]: 'blackhole',
}

export class Rtnetlink {
  readonly #kernel: Kernel
  readonly #closeKernel: () => void
  #sequence = 1

  /** Over a kernel given by the caller: for tests. Programs use `open`. */
  constructor(kernel: Kernel, closeKernel: () => void = () => {}) {
    this.#kernel = kernel
    this.#closeKernel = closeKernel
  }

  /** Throws `SystemError` when there is no such namespace, or no right to enter it. */
  static open(options: OpenOptions = {}): Rtnetlink {
    const socket = RequestSocket.open(options)
    return new Rtnetlink(
      requests => socket.exchange(requests),
      () => socket.close(),
    )
  }

  close(): void {
    this.#closeKernel()
  }

  /**
   * Does every request, in order, whatever becomes of the others. Requests as many as there are
   * outcomes.
   */
  execute(requests: readonly Request[]): Outcome[] {
    const outcomes: Outcome[] = []
    for (let start = 0; start < requests.length; start += BATCH_LENGTH) {
      outcomes.push(...this.#batch(requests.slice(start, start + BATCH_LENGTH)))
    }
    return outcomes
  }

  /** Does one request. Throws `NetlinkError` when the kernel refuses. */
  run(request: Request): void {
    const error = this.execute([request])[0]?.error
    if (error !== undefined) throw error
  }

  /** Routes, of both families unless the filter says one. A table that does not exist has none. */
  dumpRoutes(filter: RouteFilter = {}): Route[] {
    const families = filter.family === undefined ? (['ipv4', 'ipv6'] as const) : [filter.family]
    return families.flatMap(family =>
      this.#dump(dumpRoutesRequest(family, filter), decodeRoute).filter(
        route =>
          route.family === family && // a kernel without IPv6 answers with all families
          (filter.protocol === undefined || route.protocol === filter.protocol) &&
          (filter.table === undefined || route.table === filter.table),
      ),
    )
  }

  dumpLinks(): Link[] {
    return this.#dump(dumpLinksRequest(), decodeLink)
  }

  /** The link of that index or name; undefined when there is none. */
  getLink(link: LinkReference): Link | undefined {
    try {
      return this.#ask(getLinkRequest(link)).map(message => decodeLink(message.body))[0]
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === ERRNO.ENODEV) return undefined
      throw error
    }
  }

  dumpAddresses(): InterfaceAddress[] {
    return this.#dump(dumpAddressesRequest(), decodeAddress)
  }

  dumpNeighbours(): Neighbour[] {
    return this.#dump(dumpNeighboursRequest(), decodeNeighbour)
  }

  /**
   * Has the kernel ask for neighbours by ARP or ND, as for a packet to them; what they answer is in
   * its table of neighbours then.
   */
  solicit(neighbours: readonly Pick<NeighbourSpec, 'address' | 'interface'>[]): void {
    this.execute(neighbours.map(probeNeighbour))
  }

  dumpRules(): Rule[] {
    return this.#dump(dumpRulesRequest(), decodeRule)
  }

  /**
   * How the kernel would send a packet to `address` now. No route at all is type `unreachable` of
   * table 0.
   */
  lookup(address: string): RouteLookup {
    const answer = this.#routeTo(lookupRequest(address))
    return typeof answer === 'string' ? { destination: address, type: answer, table: 0 } : lookupOf(address, answer)
  }

  /**
   * The route that a packet to `address` would take now, with its own destination; undefined when
   * there is no way.
   */
  match(address: string): Route | undefined {
    const answer = this.way(address)
    return typeof answer === 'string' ? undefined : answer
  }

  /**
   * `match`, also of a packet that is forwarded, or what becomes of the packet where there is no
   * way. Throws `NetlinkError` where `from` names no interface.
   */
  way(address: string, from?: ForwardedFrom): Route | RouteType {
    return this.#routeTo(matchRequest(address, from))
  }

  /** The route that the kernel answers with, or why there is none. */
  #routeTo(request: Request): Route | RouteType {
    try {
      return this.#ask(request).map(message => decodeRoute(message.body))[0] ?? 'unreachable'
    } catch (error) {
      // with a text of its own it is the request that the kernel dislikes, not the destination
      const type = error instanceof NetlinkError && !error.extendedAck ? LOOKUP_FAILURES[error.errno] : undefined
      if (type === undefined) throw error
      return type
    }
  }

  #batch(requests: readonly Request[]): Outcome[] {
    const first = this.#sequence
    const answers = new Map<number, NetlinkError | undefined>()
    for (const message of this.#exchange(requests)) {
      if (message.type === NLMSG.ERROR) {
        const request = requests[message.sequence - first]
        const reply = decodeError(message)
        answers.set(message.sequence, reply.errno === 0 || !request ? undefined : new NetlinkError(request.text, reply))
      }
      if (answers.size === requests.length) break
    }
    return requests.map((request, index) => {
      const error = answers.get(first + index)
      return error === undefined ? { request } : { request, error }
    })
  }

  /** The answers to one request that is acknowledged after them. */
  #ask(request: Request): Message[] {
    const answers: Message[] = []
    for (const message of this.#exchange([request])) {
      if (message.type !== NLMSG.ERROR) {
        answers.push({ ...message, body: message.body.slice() })
        continue
      }
      const reply = decodeError(message)
      if (reply.errno !== 0) throw new NetlinkError(request.text, reply)
      return answers
    }
    throw new Error(`${request.text}: the kernel did not end its answer`)
  }

  #dump<T>(request: Request, decode: (body: Uint8Array) => T | undefined): T[] {
    for (let tries = 1; ; tries++) {
      const { values, interrupted } = this.#dumpOnce(request, decode)
      if (!interrupted || tries === DUMP_TRIES) return values
    }
  }

  #dumpOnce<T>(request: Request, decode: (body: Uint8Array) => T | undefined): { values: T[]; interrupted: boolean } {
    const values: T[] = []
    let interrupted = false
    for (const message of this.#exchange([request])) {
      interrupted ||= (message.flags & NLM_F.DUMP_INTR) !== 0
      if (message.type === NLMSG.DONE || message.type === NLMSG.ERROR) {
        const reply = decodeError(message)
        if (reply.errno === ERRNO.ENOENT) return { values: [], interrupted: false } // no such table
        if (reply.errno !== 0) throw new NetlinkError(request.text, reply)
        return { values, interrupted }
      }
      const value = decode(message.body)
      if (value !== undefined) values.push(value)
    }
    throw new Error(`${request.text}: the kernel did not end its answer`)
  }

  /** Sends requests and yields what answers them; answers to former requests are dropped. */
  *#exchange(requests: readonly Request[]): Generator<Message> {
    const first = this.#sequence
    this.#sequence += requests.length
    const encoder = new Encoder(64 * requests.length)
    for (const [index, request] of requests.entries()) {
      const dump = (request.flags & NLM_F.DUMP) === NLM_F.DUMP
      encodeMessage(encoder, request, { sequence: first + index, ack: !dump })
    }
    try {
      for (const datagram of this.#kernel(encoder.bytes())) {
        for (const message of decodeMessages(datagram)) {
          if (message.sequence >= first && message.sequence < this.#sequence) yield message
        }
      }
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
      throw new Error(`rtnetlink: cannot ${requests[0]?.text ?? 'send'}`, { cause: error })
    }
  }
}
