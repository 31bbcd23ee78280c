/**
 * Says that the nftables ruleset changed, whoever changed it: nft, iptables-nft, firewalld. Not
 * what changed: that is for the listener to list. Messages that were lost are a change too. Legacy
 * iptables tells nobody.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { NETLINK_NETFILTER, NFNLGRP } from './constants.ts'
import { type OpenOptions, openMulticast } from './socket.ts'

export interface RulesetWatchOptions extends OpenOptions {
  readonly clock: Clock
  readonly onChange: () => void
}

/** The pause before another try to open the socket when that failed. */
const REOPEN_MILLISECONDS = 1000

export class RulesetWatch {
  readonly #options: RulesetWatchOptions
  #socket: Bun.Socket<undefined> | undefined
  #cancelRetry: Cancel | undefined
  #closed = false

  /** Begins at once; a socket that cannot be opened is tried again for ever. */
  constructor(options: RulesetWatchOptions) {
    this.#options = options
    this.#open()
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
    this.#socket?.terminate()
  }

  #open(): void {
    this.#connect().then(
      () => {
        if (!this.#closed) this.#options.onChange() // it may have changed before
      },
      () => {
        if (!this.#closed) this.#retry()
      },
    )
  }

  async #connect(): Promise<void> {
    const { netns } = this.#options
    const fd = openMulticast([NFNLGRP.NFTABLES], {
      protocol: NETLINK_NETFILTER,
      ...(netns !== undefined && { netns }),
    })
    const options = {
      fd, // Bun owns it from here on and closes it
      socket: {
        data: () => {
          if (!this.#closed) this.#options.onChange()
        },
        close: () => this.#lost(),
        error: () => {}, // `close` follows
      },
    }
    // Bun's types do not know `fd` yet
    this.#socket = await Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<undefined>)
    if (this.#closed) this.#socket.terminate()
  }

  #lost(): void {
    this.#socket = undefined
    if (!this.#closed) this.#retry()
  }

  #retry(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = this.#options.clock.after(REOPEN_MILLISECONDS, () => this.#open())
  }
}
