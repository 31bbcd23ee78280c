/**
 * What `doctor` knows of a node before it judges, as plain values: its checks are pure functions of
 * these (`checks.ts`). The kernel's part is seen by `observe.ts`, the rest by `inspect.ts`.
 */
import type { Expiry } from '../model/snapshot.ts'

/** A process that listens on a port; `pid` 0: it cannot be seen. */
export interface PortHolder {
  readonly pid: number
  readonly name: string
}

export interface DoctorFacts {
  /** When it looked, in milliseconds since the epoch. */
  readonly now: number
  /** This node's name. */
  readonly node: string
  readonly lackingCapabilities: readonly string[]
  readonly machine: MachineFacts
  /** Why the kernel cannot sign with TCP MD5. */
  readonly md5Problem?: string
  /** `present`: there is such a file; if not, the defaults stand. */
  readonly config: { readonly file: string; readonly present: boolean; readonly problem?: string }
  readonly kubeconfig: { readonly origin: string; readonly problem?: string }
  /**
   * Absent: not asked, for want of a kubeconfig. `status` is the HTTP code of a refusal, 0 without
   * an answer.
   */
  readonly api?: {
    readonly server: string
    readonly problem?: string
    readonly status?: number
    readonly clockAheadSeconds?: number
  }
  /** Of the kubeconfig; empty where nothing expires. */
  readonly expiries: readonly Expiry[]
  /** Who listens where peers are to dial in; absent: nobody is meant to. */
  readonly bgpPort?: { readonly port: number; readonly holders: readonly PortHolder[] }
  readonly state: { readonly folder: string; readonly problem?: string; readonly clusterProblem?: string }
  /** The local process. */
  readonly service: {
    readonly pid?: number
    /**
     * Why its status interface could not be asked; without a pid, why it cannot be told whether it
     * runs.
     */
    readonly problem?: string
    readonly ready?: boolean
    readonly problems: readonly string[]
  }
  /** Whether the server of the CNI plugin answers; undefined where `doctor` may not ask. */
  readonly cniServed: boolean | undefined
  /** Absent: the kernel could not be asked, see `networkProblem`. */
  readonly network?: NetworkFacts
  readonly networkProblem?: string
  /** Absent: its files could not be read, see `cniProblem`. */
  readonly cni?: CniFacts
  readonly cniProblem?: string
  /** BGPPeers that this node is a speaker of. */
  readonly peers: readonly PeerFacts[]
  /** Absent where pods have addresses of podCIDRs. */
  readonly interfaces?: InterfaceFacts
  readonly interfacesProblem?: string
}

export interface MachineFacts {
  /** As uname says it: 6.1.0-28-amd64. */
  readonly kernel: string
  /** Of the C library that runs the executable; undefined: not told. */
  readonly libc: string | undefined
  readonly memoryMebibytes: number
}

/** Of elastic network interfaces. */
export interface InterfaceFacts {
  readonly mode: string
  /** For pods, of both families. */
  readonly addresses: number
  readonly inUse: number
  /** Pods that wait for an address. */
  readonly waiting: number
  /** Why there are no more. */
  readonly shortage?: string
  /** `link` absent: it is not among the links. */
  readonly interfaces: readonly { readonly id: string; readonly mac: string; readonly link?: string }[]
  /** Addresses that somebody gave to one of them. */
  readonly configured: readonly { readonly link: string; readonly address: string; readonly by: string }[]
  /** Programs of the machine that say they look after one, whether it has an address now or not. */
  readonly managed: readonly { readonly link: string; readonly by: string }[]
  /** What the service would change now. */
  readonly changes: readonly string[]
  readonly nft: boolean
  /** Whether our table of nftables is there. */
  readonly marked: boolean
}

export interface NetworkFacts {
  /** Whether the state folder names this node. */
  readonly known: boolean
  readonly podCIDRs: readonly string[]
  /** Whether pods here have IPv4 and the machine itself has no address that they can answer to. */
  readonly lacksIPv4: boolean
  readonly routes: {
    readonly wanted: number
    /** What the agent would do now, `add 10.0.2.0/25`. */
    readonly changes: readonly string[]
    readonly conflicts: readonly string[]
    readonly problems: readonly string[]
    /** Packets that would not go where they should, though the routes are there. */
    readonly astray: readonly string[]
  }
  /** Kernel settings that are not as they should be. */
  readonly settings: readonly { readonly name: string; readonly now: string; readonly value: string }[]
  readonly uplink?: { readonly name: string; readonly mtu: number; readonly carrier: boolean }
  /** Interfaces of pods whose MTU is larger than the uplink's. */
  readonly largerLinks: readonly { readonly name: string; readonly mtu: number }[]
  readonly firewall: FirewallFacts
  readonly duplicates: DuplicateFacts
}

export interface DuplicateFacts {
  /** Who said that it has an address of this node, or of a peer or gateway on the uplink's LAN. */
  readonly answers: readonly {
    readonly address: string
    readonly whose: 'node' | 'device'
    readonly hardwareAddresses: readonly string[]
  }[]
  readonly ownHardwareAddresses: readonly string[]
  /** Peers and gateways on the uplink's LAN at which nobody answers, of how many. */
  readonly silent: readonly string[]
  readonly asked: number
  /** Addresses that the kernel does not use since another machine has them (IPv6). */
  readonly failed: readonly { readonly address: string; readonly interface: string }[]
  /** Why the LAN could not be asked. */
  readonly problem?: string
}

export interface FirewallFacts {
  /** Whether the program nft is installed, and what went wrong with it. */
  readonly nft: boolean
  readonly problem?: string
  /** Whether pods here have IPv6, whose sources nft alone can check. */
  readonly ipv6Pods: boolean
  /** Whether `firewall.acceptPodTraffic` is on. */
  readonly accept: boolean
  /**
   * Tables on the forward hook that drop what nobody accepts, and whether pods are let through all
   * the same.
   */
  readonly dropping: readonly { readonly table: string; readonly accepted: boolean; readonly advice: string }[]
  /** What the ruleset does to a sample packet between pods: rules that drop it, and that might. */
  readonly drops: readonly string[]
  readonly doubts: readonly string[]
  /** What must be run for legacy iptables. */
  readonly legacyCommands: readonly string[]
  /** Families to be masqueraded whose table is missing; undefined: it is off. */
  readonly masqueradeMissing?: readonly string[]
}

export interface CniFacts {
  readonly plugin: { readonly file: string; readonly state: FileState }
  readonly loopback: { readonly file: string; readonly state: FileState }
  readonly conflist: { readonly file: string; readonly state: 'missing' | 'right' | 'different' }
  /** Configurations of others that come first in order of names: the runtime takes the first. */
  readonly before: readonly string[]
  /** As the configuration names it, in bytes. */
  readonly mtu: number | 'auto'
  /** Plugins that could be called after ours and are not there, with what pods lack for it. */
  readonly notChained: readonly { readonly file: string; readonly effect: string }[]
}

export type FileState = 'missing' | 'not executable' | 'executable'

export interface PeerFacts {
  readonly bgpPeer: string
  readonly peerIP: string
  readonly port: number
  /** Sent to directly on one of this node's interfaces. */
  readonly onLink: boolean
  readonly multihop: boolean
  /** It bears ttlSecurity, beside which ebgpMultihop is refused. */
  readonly securesTtl?: boolean
  readonly password: boolean
  /** As the local process says. */
  readonly sessionState?: string
  readonly sessionError?: string
  /**
   * What the peer or this node said in a NOTIFICATION since the session was up: no guess about the
   * connection says more.
   */
  readonly sessionSaid?: string
  /** How a TCP connection ended, where one was tried. */
  readonly tcp?: { readonly kind: string; readonly detail: string } | 'connected'
}

/** Something that is on this machine because of terway-edge; `uninstall` takes it away. */
export interface HostChange {
  readonly kind: 'sysctl' | 'route' | 'rule' | 'file' | 'firewall' | 'interface'
  readonly what: string
  /** The value before, of a setting. */
  readonly former?: string
  readonly now?: string
}
