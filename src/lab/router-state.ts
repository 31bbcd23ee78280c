/**
 * What the lab's routers say of their BGP sessions: the answers of birdc and vtysh, untrusted text,
 * to sessions by peer address; and what their kernels' route tables hold. Pure.
 *
 * Does not read anything that the lab does not show: attributes, timers and capabilities stay with
 * birdc and vtysh.
 */

/** A session as the router sees it; states as RFC 4271 spells them, where the router says one. */
export interface RouterSession {
  readonly peerAddress: string
  readonly peerAsNumber: number
  readonly state: string
  /** Prefixes it has from the peer, of all families. */
  readonly received: number
  readonly lastError?: string
}

/** `birdc show protocols all`: one paragraph per protocol. */
export function parseBirdSessions(text: string): readonly RouterSession[] {
  return text.split(/\n(?=\S)/).flatMap(paragraph => {
    const find = (pattern: RegExp) => pattern.exec(paragraph)?.[1]?.trim()
    const state = find(/^\s+BGP state:\s+(.+)$/m)
    const address = find(/^\s+Neighbor address:\s+(\S+)$/m)
    if (state === undefined || address === undefined) return []
    const lastError = find(/^\s+Last error:\s+(.+)$/m)
    return [
      {
        peerAddress: address,
        peerAsNumber: Number(find(/^\s+Neighbor AS:\s+(\d+)$/m) ?? 0),
        state: state === 'Passive' ? 'Active' : state,
        received: [...paragraph.matchAll(/^\s+Routes:\s+(\d+) imported/gm)].reduce(
          (sum, [, count]) => sum + Number(count),
          0,
        ),
        ...(lastError === undefined ? {} : { lastError }),
      },
    ]
  })
}

/** `vtysh -c 'show bgp summary json'`: the peers by address family. */
export function parseFrrSessions(text: string): readonly RouterSession[] {
  const value: unknown = JSON.parse(text)
  const sessions = new Map<string, RouterSession>()
  for (const family of ['ipv4Unicast', 'ipv6Unicast']) {
    const peers = property(property(value, family), 'peers')
    if (typeof peers !== 'object' || peers === null) continue
    for (const [address, peer] of Object.entries(peers)) {
      const received = Number(property(peer, 'pfxRcd') ?? 0)
      sessions.set(address, {
        peerAddress: address,
        peerAsNumber: Number(property(peer, 'remoteAs') ?? 0),
        state: String(property(peer, 'state') ?? 'Unknown'),
        received: received + (sessions.get(address)?.received ?? 0),
      })
    }
  }
  return [...sessions.values()]
}

/** One line of `ip -j route`: where packets for `destination` go. */
export interface KernelRoute {
  readonly destination: string
  readonly via: readonly string[]
}

/** `ip -j route show`. */
export function parseKernelRoutes(text: string): readonly KernelRoute[] {
  const value: unknown = text.trim() === '' ? [] : JSON.parse(text)
  if (!Array.isArray(value)) return []
  return value.map((route: unknown) => {
    const nexthops = property(route, 'nexthops')
    const hops: unknown[] = Array.isArray(nexthops) ? nexthops : [route]
    const via = hops.flatMap(hop => {
      const gateway = property(hop, 'gateway')
      return typeof gateway === 'string' ? [gateway] : []
    })
    return { destination: String(property(route, 'dst') ?? ''), via }
  })
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}
