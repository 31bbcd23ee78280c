/** A router that is to report to this speaker's station. Pure. */

/** A router that reports. */
export interface MonitoredRouter {
  /** The BGPPeer. */
  readonly key: string
  readonly port: number
  /** Where its BMP connection comes from. */
  readonly routerAddress: string
  /** This speaker's AS: what the router says of neighbours of others is skipped. */
  readonly localAs: number
}
