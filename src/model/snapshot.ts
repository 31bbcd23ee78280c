/**
 * What the status interface shows: the answer of `/api/v1/snapshot`, the data of the page, of
 * `/metrics` and of the operator's commands. Types only; who runs (commands/) fills it from the
 * rooms. Times are RFC 3339 in UTC. No secret ever stands here. Pure.
 */
import type { ConditionStatus } from './condition-status.ts'
import type { NodeMode } from './node-mode.ts'
import type { BgpSession } from './session.ts'

export interface Snapshot {
  readonly version: string
  readonly role: 'controller' | 'node'
  /** When it was taken. */
  readonly time: string
  readonly startedAt: string
  readonly build?: { readonly commit: string; readonly runtime: string; readonly platform: string }
  readonly ready: boolean
  /** Why it is not ready, or what an operator should know; empty when all is well. */
  readonly problems: readonly string[]
  /** What to do about problems, by their own words; some say it themselves. */
  readonly remedies?: Readonly<Record<string, string>>
  readonly api: ApiContact
  /** Controller: every node. Node: every node it knows from RouteSlices. */
  readonly nodes: readonly NodeView[]
  readonly lans: readonly LanView[]
  /** Controller: the sessions as the speakers report them. Node: its own. */
  readonly sessions: readonly BgpSession[]
  /**
   * How many removals (entries, memberships, BGPPeers) are held as a likely mistake; a problem says
   * which.
   */
  readonly heldRemovals?: number
  /** Certificates and tokens of this process. */
  readonly expiries?: readonly Expiry[]
  /** Of this node; empty on the controller. */
  readonly routes: readonly RouteRow[]
  /** What packets proved; absent where paths are not measured. */
  readonly paths?: PathsView
  /** The last ones, newest first. */
  readonly events: readonly EventRow[]
  /** Of this node. */
  readonly node?: {
    readonly name: string
    readonly addresses: readonly string[]
    readonly podCIDRs: readonly string[]
    readonly viewSource: 'api' | 'state' | 'none'
    readonly pods?: number
    /** How many pods its pod CIDRs have addresses for. */
    readonly podCapacity?: number
    /** Routes that somebody changed or took away and that were put back, since the start. */
    readonly routeRepairs?: number
    /** Absent where no server of the plugin has said anything. */
    readonly cni?: CniCounts
    /** Where its pods get their addresses; absent while that is not decided. */
    readonly mode?: NodeMode
    /** Elastic network interfaces for pods; absent on nodes that have none by their mode. */
    readonly interfaces?: readonly InterfaceView[]
  }
  /** Of the controller. */
  readonly controller?: {
    readonly leader: string | undefined
    readonly isLeader: boolean
    /** As this process saw it, since its start. */
    readonly leaderChanges?: number
    readonly pools: readonly PoolView[]
    /** What was planned beside what is; absent where the controller was given no plan. */
    readonly plan?: PlanView
    /** Absent where no node is one of the cloud. */
    readonly cloud?: CloudView
  }
}

/** Calls of the CNI plugin since its server started, by operation (`ADD`, `DEL`, …). */
export type CniCounts = Readonly<Record<string, CniOperation>>

export interface CniOperation {
  readonly requests: number
  readonly failures: number
  readonly seconds: number
}

export interface ApiContact {
  readonly server: string
  readonly connected: boolean
  readonly lastContact?: string
  readonly problem?: string
  /** How far this machine's clock is ahead of the server's; negative: behind. */
  readonly clockAheadSeconds?: number
  /** Since the start. */
  readonly requests?: number
  readonly failures?: number
}

/** From one snapshot to the next, as the live stream sends it (`event: changes`). */
export interface SnapshotChanges {
  /** What tells a row from others of its list: the key is the JSON of these fields. */
  readonly keys: Readonly<Record<keyof SnapshotChanges['rows'], readonly string[]>>
  /** Fields that changed, whole. */
  readonly set: Readonly<Record<string, unknown>>
  readonly dropped: readonly string[]
  readonly rows: {
    readonly nodes: ChangedRows<NodeView>
    readonly lans: ChangedRows<LanView>
    readonly sessions: ChangedRows<BgpSession>
    readonly routes: ChangedRows<RouteRow>
  }
}

export interface ChangedRows<Row> {
  /** New or different. */
  readonly changed: readonly Row[]
  /** Keys of those that are no more. */
  readonly gone: readonly string[]
}

/** Something that is good until some day. */
export interface Expiry {
  readonly what: string
  readonly at: string
  /** From when on that is a problem. */
  readonly warnFrom: string
}

export interface NodeView {
  readonly name: string
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  /** BGPPeers that select it. */
  readonly peers: readonly string[]
  /** BGPPeers that it is a speaker of. */
  readonly speakerOf: readonly string[]
  readonly ready?: boolean
  readonly problem?: string
  /** Of a node whose pods sit on elastic network interfaces; the controller knows. */
  readonly cloud?: CloudNodeView
}

/** A BGPPeer and what belongs to it. */
export interface LanView {
  readonly bgpPeer: string
  readonly localAsNumber: number
  readonly peerIP: string
  readonly peerAsNumber: number
  readonly gateway?: string
  readonly nodeSelector: string
  readonly speakers: readonly string[]
  readonly nodes: readonly string[]
  readonly problem?: string
}

export interface RouteRow {
  readonly destination: string
  readonly via: readonly string[]
  readonly interface?: string
  /** Nodes (or `gateway`) that it leads to. */
  readonly reason: string
  readonly state: 'present' | 'missing' | 'failed'
  readonly problem?: string
}

/** What a node's own probes say of the paths from it. */
export interface PathsView {
  /** What is broken, and where, as far as the evidence tells. */
  readonly findings: readonly PathFindingView[]
  /** Whether packets proved that each switch holds the routes. */
  readonly switches: readonly SwitchView[]
  readonly kinds: readonly PathKindView[]
}

export interface PathFindingView {
  readonly place: string
  readonly message: string
  readonly podCIDRs: readonly string[]
  readonly lan: string
  /** What to do first. */
  readonly remedy?: string
}

export interface SwitchView {
  readonly bgpPeer: string
  readonly via: string
  /** As a condition: True, False, Unknown. */
  readonly status: ConditionStatus
  readonly message: string
  /** podCIDRs that were reached by way of the switch lately, and those that were not. */
  readonly verified: readonly string[]
  readonly missing: readonly string[]
}

/** The last probes of one kind of path to one LAN, in one family. */
export interface PathKindView {
  readonly kind: 'direct' | 'by-switch' | 'far' | 'vpc'
  readonly lan: string
  readonly family: 'ipv4' | 'ipv6'
  readonly size: 'small' | 'full'
  readonly sent: number
  readonly lost: number
  /** Median, in milliseconds. */
  readonly roundTripMilliseconds?: number
}

export interface EventRow {
  readonly time: string
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly object: string
  readonly message: string
}

/** An elastic network interface of this node. */
export interface InterfaceView {
  readonly id: string
  readonly mac: string
  readonly vSwitchID: string
  /** As the cloud says. */
  readonly state: string
  /** The link's name; absent while there is none. */
  readonly link?: string
  /** For pods, of both families. */
  readonly addresses: number
  readonly inUse: number
  /** That are to leave. */
  readonly releasing: number
}

export interface PoolView {
  readonly podCIDR: string
  readonly blockLength: number
  readonly blocks: number
  readonly used: number
  /**
   * The month in which it is full at the pace of the last 90 days, such as 2031-05; absent: not to
   * be said, or far away.
   */
  readonly fullIn?: string
  /** The same at the growth that the plan gives. */
  readonly plannedFullIn?: string
}

/** A `network.yaml` beside the cluster that runs. */
export interface PlanView {
  readonly lans: readonly PlannedLanView[]
  readonly departures: readonly Departure[]
}

export interface PlannedLanView {
  readonly lan: string
  /** Those to its switches. */
  readonly bgpPeers: readonly string[]
  /** That there are. */
  readonly nodes: number
  readonly plannedNodes: number
  /** As the plan says it: a number of nodes, or a share such as `15%`. */
  readonly growthPerYear: string
  /** As many as there are, or as are planned where that is more, and five years of growth. */
  readonly nodesInFiveYears: number
}

/** One thing that is otherwise than planned. */
export interface Departure {
  readonly where: string
  readonly planned: string
  readonly is: string
}

/** What the controller knows of a node's elastic network interfaces. */
export interface CloudNodeView {
  readonly mode: NodeMode
  readonly instanceID: string
  readonly instanceType: string
  readonly vSwitchIDs: readonly string[]
  readonly interfaces: readonly {
    readonly id: string
    readonly vSwitchID: string
    readonly state: string
    /** Pods that it has addresses for. */
    readonly addresses: number
    readonly releasing: number
  }[]
  /** Pods that there can be addresses for. */
  readonly capacity: number
  /** As the node last said. */
  readonly inUse: number
  readonly idle: number
  readonly waiting: number
  /** Calls that are under way. */
  readonly operations: readonly string[]
  readonly lastError?: string
}

/** Calls to the cloud. */
export interface CloudView {
  /** Since the start, by action. */
  readonly calls: Readonly<Record<string, number>>
  /** What is left alone for now, and the code that is why. */
  readonly blocked: readonly {
    readonly scope: string
    readonly id: string
    readonly code: string
    readonly seconds: number
  }[]
}
