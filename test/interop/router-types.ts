/**
 * What an interop test needs of a router, whatever its make.
 */

/** Our speaker, as the router is told about it. */
export interface Neighbour {
  readonly address: string
  readonly asNumber: number
  readonly password?: string
  /** GTSM: the most hops our packets may have made. */
  readonly ttlSecurity?: number
  /** 4-octet AS numbers (RFC 6793) are on unless this is false. */
  readonly fourOctetAs?: boolean
  /** IPv4 prefixes over IPv6 next hops (RFC 8950). */
  readonly extendedNextHop?: boolean
  /** The router waits for us; else it dials as well. */
  readonly passive?: boolean
  readonly holdTimeSeconds?: number
  readonly maximumPrefixes?: number
  /** eBGP over so many hops. */
  readonly multihop?: number
  /** The router's role (RFC 9234). */
  readonly role?: 'provider' | 'customer'
  /** How long the router keeps stale routes after the restart time (RFC 9494). */
  readonly longLivedSeconds?: number
  /** Single-hop BFD, 100 ms times 3, that takes the session down. */
  readonly bfd?: boolean
  readonly families: readonly ('ipv4' | 'ipv6')[]
  /** Reports by BMP, before and after its policy, to this TCP port of `address`. */
  readonly bmp?: number
  /** Its import policy refuses this IPv4 prefix. */
  readonly refuses?: string
  /** Its import policy sets this next hop. */
  readonly nextHop?: string
}

export interface RouterConfig {
  readonly asNumber: number
  readonly routerId: string
  /** Of the router. */
  readonly address: string
  readonly neighbour: Neighbour
}

export interface Router {
  /** Whether it puts what it learns into the kernel's table. */
  readonly installs: boolean
  /**
   * Starts, and returns when the control socket answers. `recovering`: as the restarting side of a
   * graceful restart.
   */
  start(how?: { readonly recovering: boolean }): Promise<void>
  /** Puts a changed configuration into force without a restart. */
  configure(config: RouterConfig): void
  /** Takes us out of its configuration. */
  deconfigure(): void
  /** Shuts the session with us down; `text` is for our operator (RFC 9003). */
  shutdown(text: string): void
  established(): boolean
  /** The next hops of the routes that the router has from us, by prefix. */
  routes(): Record<string, string>
  /** What the router shows of a route from us: attributes as it spells them. */
  route(prefix: string): string
  /** Asks the neighbour for its routes again (RFC 2918). */
  refresh(): void
  /** What the router shows of the session, for the message of a failed test. */
  show(): string
  /** Stops and continues the process: a router that hangs. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  /**
   * Ends such that `start({recovering: true})` finds its routes in place (RFC 4724, as the
   * restarting side).
   */
  stopForRestart(): Promise<void>
  close(): void
}
