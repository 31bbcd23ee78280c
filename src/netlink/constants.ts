/**
 * Numbers of rtnetlink, each once, under the kernel's own names: <linux/netlink.h>,
 * <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>, <linux/neighbour.h>,
 * <linux/fib_rules.h>, <linux/veth.h>. Only those in use stand here. Pure.
 */

export const NETLINK_ROUTE = 0
export const NETLINK_XFRM = 6
export const NETLINK_NETFILTER = 12
/** Groups of NETLINK_NETFILTER (linux/netfilter/nfnetlink.h). */
export const NFNLGRP = { NFTABLES: 7 } as const
/** Messages and attributes of NETLINK_XFRM (<linux/xfrm.h>). */
export const XFRM_MSG = { GETSADINFO: 0x23, GETSPDINFO: 0x25 } as const
export const XFRMA_SAD_CNT = 1
export const XFRMA_SPD_INFO = 1
export const SOL_NETLINK = 270
/** Options of level SOL_NETLINK. */
export const NETLINK_OPTION = { ADD_MEMBERSHIP: 1, CAP_ACK: 10, EXT_ACK: 11, GET_STRICT_CHK: 12 } as const
export const SOL_SOCKET = 1
export const SOCKET_OPTION = { RCVBUF: 8, RCVTIMEO: 20, RCVBUFFORCE: 33 } as const

/** nlmsg_type below 16: control messages. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const

/** nlmsg_flags. Some values mean one thing in a request and another in an answer. */
export const NLM_F = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  ECHO: 8,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const

/** Attributes behind an NLMSG_ERROR that bears NLM_F_ACK_TLVS. */
export const NLMSGERR_ATTR = { MSG: 1, OFFS: 2 } as const

/** nla_type: the highest bits are flags (nested, network byte order). */
export const NLA_TYPE_MASK = 0x3fff
export const NLA_F_NESTED = 0x8000

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  NEWNETCONF: 80,
} as const

/** Multicast groups of NETLINK_ROUTE. */
export const RTNLGRP = {
  LINK: 1,
  NEIGH: 3,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV4_RULE: 8,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
  IPV6_RULE: 19,
  IPV4_NETCONF: 24,
  IPV6_NETCONF: 25,
} as const

export const RTA = {
  DST: 1,
  SRC: 2,
  IIF: 3,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const

/** rtm_type. */
export const RTN = {
  UNICAST: 1,
  LOCAL: 2,
  BROADCAST: 3,
  BLACKHOLE: 6,
  UNREACHABLE: 7,
  PROHIBIT: 8,
  THROW: 9,
} as const

/** rtm_scope, also of addresses. */
export const RT_SCOPE = { UNIVERSE: 0, SITE: 200, LINK: 253, HOST: 254, NOWHERE: 255 } as const

/** rtm_protocol: who made a route. 187 is ours by default and stands in the configuration. */
export const RTPROT = { UNSPEC: 0, REDIRECT: 1, KERNEL: 2, BOOT: 3, STATIC: 4, RA: 9 } as const

export const RT_TABLE = { UNSPEC: 0, DEFAULT: 253, MAIN: 254, LOCAL: 255 } as const

/** rtnh_flags, and the low byte of rtm_flags. */
export const RTNH_F = { DEAD: 1, PERVASIVE: 2, ONLINK: 4, OFFLOAD: 8, LINKDOWN: 16, UNRESOLVED: 32 } as const

/** rtm_flags. */
export const RTM_F = { CLONED: 0x200, LOOKUP_TABLE: 0x1000, FIB_MATCH: 0x2000 } as const

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  NET_NS_PID: 19,
  IFALIAS: 20,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  LINK_NETNSID: 37,
} as const
export const IFLA_INFO = { KIND: 1, DATA: 2 } as const
export const VETH_INFO_PEER = 1
/**
 * Attributes of IFLA_INFO_DATA with the far end of a tunnel, by the kind of link: IFLA_VXLAN_GROUP,
 * IFLA_GENEVE_REMOTE (<linux/if_link.h>; a second one each for IPv6), IFLA_GRE_REMOTE,
 * IFLA_IPTUN_REMOTE, IFLA_VTI_REMOTE (<linux/if_tunnel.h>).
 */
export const TUNNEL_REMOTE: Readonly<Record<string, readonly number[]>> = {
  vxlan: [2, 16],
  geneve: [2, 7],
  gre: [7],
  gretap: [7],
  ip6gre: [7],
  ip6gretap: [7],
  erspan: [7],
  ip6erspan: [7],
  ipip: [3],
  sit: [3],
  ip6tnl: [3],
  vti: [5],
  vti6: [5],
}
/** Leaves the counters out of a dump of links. */
export const RTEXT_FILTER_SKIP_STATS = 8

/** ifi_flags (<linux/if.h>). */
export const IFF = { UP: 1, LOOPBACK: 8, LOWER_UP: 0x10000 } as const

/** struct netconfmsg (a family, padded) and NETCONFA_* of <linux/netconf.h>. */
export const NETCONFMSG_LENGTH = 4
export const NETCONFA = { IFINDEX: 1 } as const

export const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const
export const IFA_F = { NODAD: 2, DADFAILED: 8, DEPRECATED: 0x20, TENTATIVE: 0x40, PERMANENT: 0x80 } as const

export const NDA = { DST: 1, LLADDR: 2 } as const
/** ndm_state. */
export const NUD = {
  INCOMPLETE: 1,
  REACHABLE: 2,
  STALE: 4,
  DELAY: 8,
  PROBE: 0x10,
  FAILED: 0x20,
  NOARP: 0x40,
  PERMANENT: 0x80,
} as const
/** ndm_flags. */
export const NTF = { USE: 1, PROXY: 8, ROUTER: 0x80 } as const

export const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
  PROTOCOL: 21,
} as const
export const FR_ACT_TO_TBL = 1
