/**
 * ENINode (network.openyurt.io/v1alpha1, cluster-scoped, named like its Node): the elastic network
 * interfaces of a node of the cloud and the addresses on them. The controller writes all of it but
 * `status.node`; that the node writes, alone, by server-side apply under a field manager of its
 * own. `decodeENINode` (decode-eni-node.ts) is the door for what the API server sends.
 *
 * An address leaves in three steps: the controller moves it from `addresses` to `releasing`, the
 * node gives it to no pod any more and names it in `released` once no pod has it, and only then the
 * cloud is asked to take it. Pure.
 */
import { fieldManagerOf } from './field-manager.ts'
import { type Condition, ENI_NODES, type KubeObject } from './resources.ts'

export const PLATFORMS = ['ecs', 'ens'] as const
export type Platform = (typeof PLATFORMS)[number]

export const IP_FAMILIES = ['IPv4', 'IPv6'] as const
export type IPFamily = (typeof IP_FAMILIES)[number]

/** States of an interface as the cloud spells them; Unknown is what it does not document. */
export const INTERFACE_STATES = ['Available', 'Attaching', 'InUse', 'Detaching', 'Deleting', 'Unknown'] as const
export type InterfaceState = (typeof INTERFACE_STATES)[number]

export const OPERATION_ACTIONS = [
  'CreateNetworkInterface',
  'AttachNetworkInterface',
  'DetachNetworkInterface',
  'DeleteNetworkInterface',
  'AssignPrivateIpAddresses',
  'UnassignPrivateIpAddresses',
  'AssignIpv6Addresses',
  'UnassignIpv6Addresses',
] as const
export type OperationAction = (typeof OPERATION_ACTIONS)[number]

export interface ENINodeSpec {
  readonly platform: Platform
  readonly instanceID: string
  readonly instanceType: string
  readonly regionID: string
  readonly zoneID: string
  readonly vSwitchIDs: readonly string[]
  readonly securityGroupIDs: readonly string[]
  readonly ipFamilies: readonly IPFamily[]
  readonly limits: {
    /** Interfaces for pods: the instance's primary one is not counted. */
    readonly interfaces: number
    /** Addresses of one family on an interface, its primary one counted. */
    readonly addressesPerInterface: number
  }
  readonly pool: { readonly minIdle: number; readonly maxIdle: number; readonly warmUp: number }
}

export interface ENIInterface {
  readonly id: string
  /** Lower case, with colons. */
  readonly mac: string
  readonly vSwitchID: string
  readonly state: InterfaceState
  /** Of the vSwitch, at most one of a family; canonical. */
  readonly gateways: readonly string[]
  /** What pods may get, both families; canonical. */
  readonly addresses: readonly string[]
  /** What no pod may get any more. */
  readonly releasing: readonly string[]
}

/** A call that changes the cloud, recorded before it is made and until its outcome is. */
export interface ENIOperation {
  readonly action: OperationAction
  /** All of them, named and numbered as they are sent (`SecurityGroupIds.1`). */
  readonly parameters: Readonly<Record<string, string>>
  /** ClientToken; empty where the action has none. */
  readonly token: string
  /** RFC 3339. */
  readonly since: string
}

/** What the node says. */
export interface ENINodeReport {
  /** Addresses that pods have (pods, where each has one of both families). */
  readonly inUse: number
  /** Pods that wait for an address. */
  readonly waiting: number
  /** Of what is in `releasing`: what no pod has, and none will get. */
  readonly released: readonly string[]
  /**
   * What no pod has, the longest idle first: of these the controller chooses what is to be
   * released.
   */
  readonly idle: readonly string[]
  /** The node was drained for good, and no pod has any of its addresses. */
  readonly left: boolean
}

export interface ENINodeStatus {
  readonly interfaces: readonly ENIInterface[]
  readonly operations: readonly ENIOperation[]
  /** Undefined until the node has spoken. */
  readonly node: ENINodeReport | undefined
  /**
   * `SufficientAddresses`: there is an address for the next pod. `CloudAccess`: the cloud answers
   * and lets us.
   */
  readonly conditions: readonly Condition[]
}

/** An ENINode behind the door: canonical and complete. */
export interface ENINode {
  readonly name: string
  readonly uid: string
  readonly spec: ENINodeSpec
  readonly status: ENINodeStatus
}

/** As the API server has it. */
export interface ENINodeObject extends KubeObject {
  readonly spec?: unknown
  readonly status?: unknown
}

/** What a node applies so that `status.node` is `report`, and nothing else. */
export function reportPatch(name: string, report: ENINodeReport): KubeObject & { status: object } {
  return {
    apiVersion: `${ENI_NODES.group}/${ENI_NODES.version}`,
    kind: ENI_NODES.kind,
    metadata: { name },
    status: { node: report },
  }
}

/** The field manager of a node's report. */
export function reportFieldManager(node: string): string {
  return fieldManagerOf('eni', node)
}

/** A spec or a status without its empty texts: a field that has nothing to say is not there. */
export function withoutEmptyTexts<T>(value: T): T {
  if (Array.isArray(value)) return value.map(item => withoutEmptyTexts<unknown>(item)) as T
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, child]) => child !== '')
  return Object.fromEntries(entries.map(([key, child]) => [key, withoutEmptyTexts<unknown>(child)])) as T
}
