/**
 * What the sessions need of the network: packets out to one peer, packets in from all. transport.ts
 * does it with UDP sockets. No state of a session is here. Pure.
 */

/** One end-to-end path of RFC 5881. */
export interface Endpoint {
  readonly peerAddress: string
  readonly localAddress?: string
  /** Undefined: nowhere now. */
  readonly interface: string | undefined
}

/** An end of a path to which packets come. */
export interface Hearing extends Endpoint {
  /** Ours: the Your Discriminator of packets that belong to it. */
  readonly discriminator: number
}

export interface Sender {
  /** Sends or drops one packet; returns what is wrong, if anything is. */
  send(bytes: Uint8Array): string | undefined
  /** Sends from this interface from now on. */
  move(interfaceName: string | undefined): void
  close(): void
}

export interface Transport {
  /** A source port of its own for packets to one peer. */
  sender(endpoint: Endpoint): Sender
  /**
   * Receives for these, each on its interface, and no longer for others. Interfaces are looked up
   * anew.
   */
  listen(ends: readonly Hearing[]): void
  close(): void
}

export interface TransportEvents {
  /** A packet that came in by one hop; `address` is canonical. */
  readonly received: (bytes: Uint8Array, address: string) => void
  /** Nothing can be received; it is tried again. Undefined: it can. */
  readonly problem: (detail: string | undefined) => void
}
