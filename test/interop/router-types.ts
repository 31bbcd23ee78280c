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
  readonly families: readonly ('ipv4' | 'ipv6')[]
}

export interface RouterConfig {
  readonly asNumber: number
  readonly routerId: string
  readonly neighbour: Neighbour
}

export interface Router {
  /** Starts, and returns when the control socket answers. */
  start(): Promise<void>
  /** Puts a changed configuration into force without a restart. */
  configure(config: RouterConfig): void
  established(): boolean
  /** The next hops of the routes that the router has from us, by prefix. */
  routes(): Record<string, string>
  /** Asks the neighbour for its routes again (RFC 2918). */
  refresh(): void
  /** What the router shows of the session, for the message of a failed test. */
  show(): string
  /** Stops and continues the process: a router that hangs. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  close(): void
}
