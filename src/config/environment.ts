/**
 * What the service manager and the cluster put into the environment. This file and main.ts alone
 * read it, beside cni, whose parameters come that way, and lab.
 */

export const environment = {
  /** systemd's notification socket (sd_notify(3)). */
  notifySocket: () => process.env.NOTIFY_SOCKET,
  /**
   * Within how many microseconds systemd wants to hear of the service, where it does
   * (sd_watchdog_enabled(3)).
   */
  watchdogMicroseconds: () => Number(process.env.WATCHDOG_USEC ?? 0),
  /** Whether the operator wants no colours (no-color.org), or has a terminal that shows none. */
  noColours: () => (process.env.NO_COLOR ?? '') !== '' || process.env.TERM === 'dumb',
  /** Proxies that every request of this process goes by, where the operator set any. */
  proxies: () => ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].flatMap(name => process.env[name] || []),
}
