/**
 * The words of the Container Network Interface (CNI specification 1.1.0, and 1.0.0, 0.4.0, 0.3.1
 * before it): versions, error codes, requests and results as typed values. `decode.ts` makes the
 * requests out of environment and stdin, `encode.ts` the JSON of the answers.
 *
 * It decides nothing and touches nothing. Pure.
 */

export const CNI_VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof CNI_VERSIONS)[number]
export const NEWEST_VERSION: CniVersion = '1.1.0'

export const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
export type Command = (typeof COMMANDS)[number]

/** Section 2, "Errors": below 100 the specification's meaning, from 100 ours. */
export const CNI_ERROR = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS: an ADD cannot be served. */
  notAvailable: 50,
  /** STATUS: an ADD cannot be served, and pods that are attached may be cut off. */
  limitedConnectivity: 51,
  noFreeAddress: 100,
  addressRefused: 101,
  attachedAlready: 102,
  nameClash: 103,
  wiringFailed: 104,
  checkFailed: 105,
  cleanupFailed: 106,
} as const
export type CniErrorCode = (typeof CNI_ERROR)[keyof typeof CNI_ERROR]

/** What went wrong (`msg`, one line) and what an operator can do about it (`details`). */
export interface Failure {
  readonly kind: 'failure'
  readonly code: CniErrorCode
  readonly msg: string
  readonly details?: string
}

export function failure(code: CniErrorCode, msg: string, details?: string): Failure {
  return details === undefined ? { kind: 'failure', code, msg } : { kind: 'failure', code, msg, details }
}

/**
 * One interface of one container: the key of all that is kept (with the network's name, as the
 * specification asks).
 */
export interface Attachment {
  readonly containerId: string
  /** CNI_IFNAME: the name inside the container. */
  readonly interfaceName: string
}

/** The pod that a Kubernetes runtime names in CNI_ARGS. */
export interface PodName {
  readonly namespace: string
  readonly name: string
}

export interface NetworkConfig {
  readonly cniVersion: CniVersion
  /** The network's name. */
  readonly name: string
  readonly type: string
  /** Whether pods' addresses are of the node's podCIDRs or of its elastic network interfaces. */
  readonly addressSource: 'podCIDRs' | 'interfaces'
  readonly podCIDRs: readonly string[]
  /** Bytes; absent: that of the uplink. */
  readonly mtu?: number
  /** Name of the interface that leads to other nodes; absent: that of the default route. */
  readonly uplink?: string
  readonly stateDir: string
  /** Whether pods may send from any address, not from their own alone. */
  readonly allowSourceAddresses?: boolean
  readonly dns?: Dns
  readonly prevResult?: Result
  /** Addresses asked for by the `ips` capability, `args.cni.ips` or CNI_ARGS `IP`. */
  readonly requestedAddresses: readonly string[]
  /** Hardware address asked for by the `mac` capability, `args.cni.mac` or CNI_ARGS `MAC`. */
  readonly requestedMac?: string
}

export interface AttachRequest {
  readonly command: 'ADD' | 'CHECK'
  readonly config: NetworkConfig
  readonly attachment: Attachment
  /** CNI_NETNS. */
  readonly namespacePath: string
  /** CNI_NETNS_OVERRIDE: the container may be in the plugin's own namespace. */
  readonly ownNamespaceAllowed: boolean
  readonly pod?: PodName
}

export interface DetachRequest {
  readonly command: 'DEL'
  readonly config: NetworkConfig
  readonly attachment: Attachment
  readonly namespacePath?: string
}

export interface CollectRequest {
  readonly command: 'GC'
  readonly config: NetworkConfig
  readonly valid: readonly Attachment[]
}

export interface StatusRequest {
  readonly command: 'STATUS'
  readonly config: NetworkConfig
}

export interface VersionRequest {
  readonly command: 'VERSION'
  readonly cniVersion: string
}

export type Request = AttachRequest | DetachRequest | CollectRequest | StatusRequest | VersionRequest

export interface ResultInterface {
  readonly name: string
  readonly mac?: string
  /** 1.1.0. */
  readonly mtu?: number
  /** The namespace's path; absent for an interface of the host. */
  readonly sandbox?: string
  /** 1.1.0. */
  readonly socketPath?: string
  /** 1.1.0. */
  readonly pciID?: string
}

export interface ResultIp {
  /** With its length: `10.0.1.5/32`. */
  readonly address: string
  readonly gateway?: string
  /** Index into the interfaces. */
  readonly interface?: number
}

export interface ResultRoute {
  readonly dst: string
  readonly gw?: string
  /** These five: 1.1.0. */
  readonly mtu?: number
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

export interface Dns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

/** The result of an ADD, in no version's spelling yet. */
export interface Result {
  readonly interfaces: readonly ResultInterface[]
  readonly ips: readonly ResultIp[]
  readonly routes: readonly ResultRoute[]
  readonly dns?: Dns
}
