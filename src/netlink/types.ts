/**
 * What rtnetlink says and is told, as values: addresses and prefixes are canonical texts,
 * interfaces are their index (which belongs to one network namespace). The codecs between these and
 * the kernel's bytes are in this room's other files. Pure.
 */
import type { Family } from '../lib/ip.ts'

/** One way of a route. Without a gateway the destination is on-link. */
export interface NextHop {
  readonly gateway?: string
  /** Interface index. */
  readonly interface?: number
  /** RTNH_F_ONLINK: take the gateway as on-link whatever the addresses say. */
  readonly onlink?: boolean
  readonly weight?: number
}

/**
 * A route (struct rtmsg and its attributes). `destination` of the default route is `0.0.0.0/0` or
 * `::/0`.
 */
export interface Route {
  readonly family: Family
  readonly destination: string
  readonly table: number
  readonly protocol: number
  readonly scope: number
  readonly type: RouteType
  readonly priority: number
  readonly preferredSource?: string
  /** One, or several for ECMP; none for unreachable and its like. */
  readonly nextHops: readonly NextHop[]
  /**
   * RTNH_F_DEAD, RTNH_F_LINKDOWN and the like of the first next hop, as the kernel reports them.
   */
  readonly flags: number
}

export type RouteType = 'unicast' | 'local' | 'broadcast' | 'blackhole' | 'unreachable' | 'prohibit' | 'throw' | 'other'

export interface Link {
  readonly index: number
  readonly name: string
  readonly kind: string
  readonly mtu: number
  readonly up: boolean
  /** IFF_LOWER_UP: there is a carrier. */
  readonly carrier: boolean
  readonly loopback: boolean
  /** The hardware address, `02:00:5e:10:00:00`. */
  readonly address: string
  /** Index of the bridge or bond that it is a port of. */
  readonly master?: number
  /** Index of the link that it is on (VLAN, macvlan), where that is in this namespace. */
  readonly parent?: number
  /** The other end of a veth, an index in the namespace `peerNamespace` (absent: this one). */
  readonly peer?: number
  /** Id, in this namespace, of the namespace that `peer` is in. */
  readonly peerNamespace?: number
  readonly alias?: string
  /** Absent: the default one, 0. */
  readonly group?: number
  /** The far end of a tunnel that has one for all packets. */
  readonly remote?: string
}

/** An address on an interface: `address` with its `prefixLength`. */
export interface InterfaceAddress {
  readonly family: Family
  readonly address: string
  readonly prefixLength: number
  readonly interface: number
  readonly scope: number
  readonly flags: number
}

/** How the kernel would send a packet to an address now (`ip route get`). */
export interface RouteLookup {
  readonly destination: string
  readonly type: RouteType
  readonly interface?: number
  readonly gateway?: string
  readonly source?: string
  readonly table: number
}

/** An ARP or ND entry. */
export interface Neighbour {
  readonly family: Family
  readonly address: string
  readonly interface: number
  /** Empty while it is not resolved. */
  readonly hardwareAddress: string
  /** NUD_* bits. */
  readonly state: number
  /** NTF_* bits; NTF_PROXY marks an address that this machine answers for. */
  readonly flags: number
}

/** A policy rule that sends packets to a table. */
export interface Rule {
  readonly family: Family
  readonly priority: number
  readonly table: number
  readonly protocol: number
  /** Prefixes; absent matches all. */
  readonly source?: string
  readonly destination?: string
  readonly inputInterface?: string
  readonly outputInterface?: string
  readonly mark?: number
  readonly markMask?: number
}
