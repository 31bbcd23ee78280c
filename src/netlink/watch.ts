/**
 * Watches rtnetlink's multicast groups: says which kinds of things changed, at once, and never
 * misses that something did. What changed is for the listener to dump: a link that goes down takes
 * its IPv4 routes along without a word about each. What a message names can be had as well.
 *
 * When the kernel had more to say than the socket could hold (ENOBUFS), or the socket is lost
 * otherwise, it is opened anew and `onLost` is called: everything may have changed.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { decodeAddress } from './address.ts'
import { Attributes } from './attributes.ts'
import { NETCONFA, NETCONFMSG_LENGTH, RTM, RTNLGRP } from './constants.ts'
import { decodeLink } from './link.ts'
import { decodeMessages, type Message } from './message.ts'
import { decodeRoute } from './route.ts'
import { type OpenOptions, openMulticast } from './socket.ts'
import type { Link, Route } from './types.ts'

/** `netconf`: settings of interfaces, forwarding among them. */
export type ChangeKind = 'link' | 'address' | 'route' | 'neighbour' | 'rule' | 'netconf'

const GROUPS: Readonly<Record<ChangeKind, readonly number[]>> = {
  link: [RTNLGRP.LINK],
  address: [RTNLGRP.IPV4_IFADDR, RTNLGRP.IPV6_IFADDR],
  route: [RTNLGRP.IPV4_ROUTE, RTNLGRP.IPV6_ROUTE],
  neighbour: [RTNLGRP.NEIGH],
  rule: [RTNLGRP.IPV4_RULE, RTNLGRP.IPV6_RULE],
  netconf: [RTNLGRP.IPV4_NETCONF, RTNLGRP.IPV6_NETCONF],
}

const KINDS: Readonly<Partial<Record<number, ChangeKind>>> = {
  [RTM.NEWLINK]: 'link',
  [RTM.DELLINK]: 'link',
  [RTM.NEWADDR]: 'address',
  [RTM.DELADDR]: 'address',
  [RTM.NEWROUTE]: 'route',
  [RTM.DELROUTE]: 'route',
  [RTM.NEWNEIGH]: 'neighbour',
  [RTM.DELNEIGH]: 'neighbour',
  [RTM.NEWRULE]: 'rule',
  [RTM.DELRULE]: 'rule',
  [RTM.NEWNETCONF]: 'netconf',
}

/** A change that names its thing; `interface` is an index. */
export type NamedChange =
  | { readonly kind: 'link'; readonly link: Link; readonly isGone: boolean }
  | { readonly kind: 'route'; readonly route: Route; readonly isGone: boolean }
  | { readonly kind: 'address' | 'netconf'; readonly interface: number }

export interface WatchOptions extends OpenOptions {
  readonly clock: Clock
  /** Default: link, address and route. */
  readonly kinds?: readonly ChangeKind[]
  readonly onChange: (kinds: ReadonlySet<ChangeKind>) => void
  /**
   * Is shown each change that is named, before `onChange`. Returns whether nothing more is to be
   * done about it: then `onChange` is not called for it.
   */
  readonly onNamed?: (change: NamedChange) => boolean
  /** Messages were lost: everything may have changed. The watch goes on. */
  readonly onLost: () => void
  /** Bytes of the socket's receive buffer (8 MiB). */
  readonly receiveBytes?: number
}

const DEFAULT_KINDS: readonly ChangeKind[] = ['link', 'address', 'route']
/**
 * The pause before another try to open the socket when that failed (no memory, no file
 * descriptors).
 */
const REOPEN_MILLISECONDS = 1000

export class Watch {
  readonly #options: WatchOptions
  #socket: Bun.Socket<undefined> | undefined
  #cancelRetry: Cancel | undefined
  #closed = false

  private constructor(options: WatchOptions) {
    this.#options = options
  }

  /**
   * Throws `SystemError` when there is no such namespace. From its return on, no change goes
   * unsaid.
   */
  static async open(options: WatchOptions): Promise<Watch> {
    const watch = new Watch(options)
    await watch.#connect()
    return watch
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
    this.#socket?.terminate()
  }

  async #connect(): Promise<void> {
    const { kinds = DEFAULT_KINDS, netns, receiveBytes } = this.#options
    const groups = kinds.flatMap(kind => GROUPS[kind])
    const fd = openMulticast(groups, {
      ...(netns !== undefined && { netns }),
      ...(receiveBytes !== undefined && { receiveBytes }),
    })
    const options = {
      fd, // Bun owns it from here on and closes it
      socket: {
        data: (_socket: Bun.Socket<undefined>, datagram: Uint8Array) => this.#received(datagram),
        close: (closed: Bun.Socket<undefined>) => this.#lost(closed),
        error: () => {}, // `close` follows
      },
    }
    // Bun's types do not know `fd` yet
    const socket = await Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<undefined>)
    this.#socket = socket
    if (this.#closed) socket.terminate()
  }

  #received(datagram: Uint8Array): void {
    if (this.#closed) return
    const kinds = new Set<ChangeKind>()
    for (const message of decodeMessages(datagram)) {
      const kind = KINDS[message.type]
      if (kind !== undefined && !this.#isDone(message)) kinds.add(kind)
    }
    if (kinds.size > 0) this.#options.onChange(kinds)
  }

  #isDone(message: Message): boolean {
    const { onNamed } = this.#options
    const change = onNamed === undefined ? undefined : namedIn(message)
    return change !== undefined && onNamed?.(change) === true
  }

  #lost(socket: Bun.Socket<undefined>): void {
    if (this.#closed || (this.#socket !== undefined && this.#socket !== socket)) return
    this.#socket = undefined
    this.#reopen()
  }

  #reopen(): void {
    this.#connect().then(
      () => {
        if (!this.#closed) this.#options.onLost()
      },
      () => {
        if (!this.#closed) this.#cancelRetry = this.#options.clock.after(REOPEN_MILLISECONDS, () => this.#reopen())
      },
    )
  }
}

/** What a message names; undefined where it names nothing of use. */
function namedIn({ type, body }: Message): NamedChange | undefined {
  switch (type) {
    case RTM.NEWLINK:
    case RTM.DELLINK: {
      const link = decodeLink(body)
      return link && { kind: 'link', link, isGone: type === RTM.DELLINK }
    }
    case RTM.NEWROUTE:
    case RTM.DELROUTE: {
      const route = decodeRoute(body)
      return route && { kind: 'route', route, isGone: type === RTM.DELROUTE }
    }
    case RTM.NEWADDR:
    case RTM.DELADDR: {
      const address = decodeAddress(body)
      return address && { kind: 'address', interface: address.interface }
    }
    case RTM.NEWNETCONF: {
      const index = new Attributes(body.subarray(NETCONFMSG_LENGTH)).i32(NETCONFA.IFINDEX)
      return index === undefined ? undefined : { kind: 'netconf', interface: index }
    }
    default:
      return undefined
  }
}
