/**
 * Where a node's pods get their addresses: out of its podCIDR (`route`), or of elastic network
 * interfaces of the cloud (`eni-ecs`) or of Edge Node Service (`eni-ens`). The controller decides
 * by what the Node says of itself (`modeOfNode`); a node follows what it sees of that
 * (`modeInput`), unless its configuration pins the mode, and never changes it under the feet of its
 * pods (`decideMode`). Pure.
 */

import type { Platform } from '../kube/eni-node.ts'
import type { Node } from '../kube/resources.ts'
import type { NodeMode } from '../model/node-mode.ts'

/** What the node's configuration may say. */
export type ConfiguredMode = 'auto' | NodeMode

export const ENS_INSTANCE_LABEL = 'alibabacloud.com/ens-instance-id'
const EDGE_WORKER_LABEL = 'alibabacloud.com/is-edge-worker'

/** What of a Node tells its mode. */
export interface NodeTraits {
  readonly labels: Readonly<Record<string, string>>
  /**
   * spec.providerID: `cn-hangzhou.i-bp1…` of an ECS instance, with or without `alicloud://` in
   * front.
   */
  readonly providerID?: string
}

/** The mode, why, and the instance that the cloud knows the node by. */
export type ModeOfNode =
  | { readonly mode: 'route'; readonly why: string }
  | { readonly mode: 'eni-ecs'; readonly why: string; readonly instanceID: string; readonly regionID: string }
  | { readonly mode: 'eni-ens'; readonly why: string; readonly instanceID: string }

/** What the controller makes of a Node. */
export function modeOfNode({ labels, providerID = '' }: NodeTraits): ModeOfNode {
  const ens = labels[ENS_INSTANCE_LABEL] ?? ''
  if (ens !== '') return { mode: 'eni-ens', why: `label ${ENS_INSTANCE_LABEL}=${ens}`, instanceID: ens }
  const [, regionID, instanceID] = /^(?:[a-z]+:\/\/)?([a-z0-9-]+)\.(i-[a-z0-9]+)$/i.exec(providerID) ?? []
  if (regionID === undefined || instanceID === undefined) {
    const why = providerID === '' ? 'it has no providerID' : `providerID ${providerID} is not of an ECS instance`
    return { mode: 'route', why: `${why}, and no label ${ENS_INSTANCE_LABEL}` }
  }
  if (labels[EDGE_WORKER_LABEL] === 'true') return { mode: 'route', why: `label ${EDGE_WORKER_LABEL}=true` }
  return { mode: 'eni-ecs', why: `providerID ${providerID}`, instanceID, regionID }
}

/** Whether a Node's pods are to sit on elastic network interfaces. */
export function isOfCloud({ metadata, spec }: Pick<Node, 'metadata' | 'spec'>): boolean {
  return modeOfNode({ labels: metadata.labels ?? {}, providerID: spec?.providerID ?? '' }).mode !== 'route'
}

/** The mode of a node whose ENINode names a platform. */
export const MODE_ON: Readonly<Record<Platform, NodeMode>> = { ecs: 'eni-ecs', ens: 'eni-ens' }

/** What a node sees that tells its mode. */
export interface SeenByNode {
  readonly configured: ConfiguredMode
  /** Of its ENINode: whether there is one now (undefined: nobody has said), and its platform. */
  readonly eniNode: { readonly exists: boolean | undefined; readonly platform: Platform | undefined }
  /** Whether a RouteSlice names it. */
  readonly isRouted: boolean
  /** Its pods, and whether any sits on an elastic network interface; undefined: cannot be read. */
  readonly attached: { readonly pods: number; readonly onInterfaces: boolean } | undefined
  /** The mode that its process works in; undefined before it has begun. */
  readonly running: NodeMode | undefined
}

/**
 * An ENINode that is gone with nothing in its place decides nothing: the node goes on as it is.
 * Where the records of pods cannot be read there may be some, and what runs goes on.
 */
export function modeInput({ configured, eniNode, isRouted, attached, running }: SeenByNode): ModeInput {
  const onInterfaces = eniNode.platform && MODE_ON[eniNode.platform]
  const otherwise = isRouted || (onInterfaces === undefined && configured === 'auto') ? 'route' : undefined
  const decided = eniNode.exists === false ? otherwise : (onInterfaces ?? otherwise)
  if (attached === undefined) return { configured, decided, attached: 1, current: running }
  const { pods } = attached
  const inUse = attached.onInterfaces ? (onInterfaces ?? 'eni-ecs') : 'route'
  return { configured, decided, attached: pods, current: pods === 0 ? undefined : inUse }
}

export interface ModeInput {
  readonly configured: ConfiguredMode
  /**
   * What the controller says by the objects that it made for this node; undefined while it has said
   * nothing.
   */
  readonly decided: NodeMode | undefined
  /** What this node works in, also before a restart; undefined on its first start. */
  readonly current: NodeMode | undefined
  /** How many pods are attached. */
  readonly attached: number
}

export interface ModeDecision {
  /** Undefined: wait, and attach no pods. */
  readonly mode: NodeMode | undefined
  readonly refusal?: ModeRefusal
}

/** For a condition and an Event. */
export interface ModeRefusal {
  readonly reason: 'ModeContradiction' | 'ModeChangeRefused'
  readonly message: string
}

/** The mode to work in. What cannot be followed is refused, and the node stays what it is. */
export function decideMode({ configured, decided, current, attached }: ModeInput): ModeDecision {
  if (configured !== 'auto' && decided !== undefined && configured !== decided) {
    const message = `the node's configuration says mode: ${configured}, the controller decided ${decided}; set mode: auto, or mend the labels and providerID of the Node`
    return { mode: current, refusal: { reason: 'ModeContradiction', message } }
  }
  const wanted = configured === 'auto' ? (decided ?? current) : configured
  if (current === undefined || wanted === undefined || wanted === current || attached === 0) return { mode: wanted }
  const pods = attached === 1 ? '1 pod is' : `${attached} pods are`
  const message = `the mode stays ${current} and does not become ${wanted} while ${pods} attached: drain the node`
  return { mode: current, refusal: { reason: 'ModeChangeRefused', message } }
}
