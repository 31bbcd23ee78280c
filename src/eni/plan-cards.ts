/**
 * The words of a node's plan: what it is made from and consists of, an interface as the plan sees
 * it, and how a call is proposed. Decides nothing by itself. Pure.
 */
import { type CloudAction, flatParameters, type ParametersOf, type Tag } from '../cloud/actions.ts'
import type { CloudInterface, VSwitch } from '../cloud/answers.ts'
import type { ENIInterface, ENINodeReport, ENINodeSpec, IPFamily, OperationAction } from '../kube/eni-node.ts'
import { familyOf } from '../lib/ip.ts'
import { SCOPES, type Scope, type Verdict } from './cloud-errors.ts'
import type { Recorded } from './operations.ts'
import type { SelectionPolicy } from './vswitch.ts'

/** none; no-releases: nothing is given back; no-calls: nothing is changed at all. */
const DEGRADATIONS = ['none', 'no-releases', 'no-calls'] as const
export type Degradation = (typeof DEGRADATIONS)[number]

export interface PlanInput {
  readonly spec: ENINodeSpec
  readonly recorded: Recorded
  /** What the node said last; undefined: nothing yet. */
  readonly report: ENINodeReport | undefined
  /**
   * Every interface of the instance, and ours that are unattached, when the cloud was last asked.
   */
  readonly cloud: readonly CloudInterface[]
  /** stay; leave: its Node is gone, or it is to have no interfaces any more. */
  readonly wish: 'stay' | 'leave'
  /** Why something is to be left alone now. */
  readonly blocked: (scope: Scope, id: string) => Verdict | undefined
  readonly vSwitches: ReadonlyMap<string, VSwitch>
  readonly selection: SelectionPolicy
  /** In [0, 1). */
  readonly random: number
  readonly degradation: Degradation
  /** Addresses that idle reclaiming may take now. */
  readonly reclaimBatch: number
  readonly warmedUp: boolean
  readonly tags: readonly Tag[]
  readonly resourceGroupID: string | undefined
  /** Interfaces that have been detaching or deleting for too long: to be asked again. */
  readonly stuck: ReadonlySet<string>
}

export interface PlannedCall {
  readonly operation: OperationAction
  readonly action: CloudAction
  readonly parameters: Readonly<Record<string, string>>
}

export interface NodePlan {
  /** The interfaces with what is to leave moved to `releasing`. */
  readonly interfaces: readonly ENIInterface[]
  readonly calls: readonly PlannedCall[]
  /** Pods' worths that are ready for pods, or on the way. */
  readonly idle: number
  /** Wanted and not to be had now. */
  readonly shortage: number
  /** Why not. */
  readonly obstacles: readonly Verdict[]
  /** Whether the node has warmed up by now. */
  readonly warmedUp: boolean
  /** Nothing of the node is left in the cloud that would be ours to take care of. */
  readonly done: boolean
}

/** An interface in the plan's words. */
export interface Card {
  readonly item: ENIInterface
  readonly cloud: CloudInterface | undefined
  /** It is being given back as a whole. */
  readonly leaving: boolean
  /** Pods' worths. */
  readonly worth: number
  readonly pods: number
}

export function cardsOf({ spec, cloud, report }: PlanInput, interfaces: readonly ENIInterface[]): readonly Card[] {
  const there = new Map(cloud.map(item => [item.id, item]))
  const idle = new Set(report?.idle ?? [])
  const released = new Set(report?.released ?? [])
  return interfaces.map(item => {
    const all = [...item.addresses, ...item.releasing]
    const unused = all.filter(address => idle.has(address) || released.has(address))
    const pods = report === undefined ? 0 : countWorth(all, spec.ipFamilies) - countWorth(unused, spec.ipFamilies)
    return {
      item,
      cloud: there.get(item.id),
      leaving: item.addresses.length === 0 && item.releasing.length > 0,
      worth: isElsewhere(there.get(item.id), spec) ? 0 : countWorth(item.addresses, spec.ipFamilies),
      pods: Math.max(0, pods),
    }
  })
}

/** Pods' worths: with both families, as many as there are of the scarcer. */
export function countWorth(addresses: readonly string[], families: readonly IPFamily[]): number {
  const ipv4 = addresses.filter(address => familyOf(address) === 'ipv4').length
  return families.includes('IPv6') ? Math.min(ipv4, addresses.length - ipv4) : ipv4
}

export interface Hands {
  readonly calls: PlannedCall[]
  /** Interfaces that a call of this plan is about: one call at a time for each. */
  readonly busy: Set<string>
  readonly obstacles: Verdict[]
}

/** By what name an interface is left alone that was to be made, and has no id. */
export function newInterfaceOf(instanceID: string): string {
  return `new of ${instanceID}`
}

/** By what name the security groups of a node are left alone: they are used together. */
export function securityGroupsOf(spec: Pick<ENINodeSpec, 'securityGroupIDs'> | undefined): string {
  return (spec?.securityGroupIDs ?? []).join(',')
}

/** Whether a call is proposed only when nothing about the scope is to be left alone. */
export function looksAt(operation: OperationAction, scope: Scope): boolean {
  if (scope === 'action' || scope === 'interface' || operation === 'CreateNetworkInterface') return true
  if (operation === 'AttachNetworkInterface') return scope === 'instance'
  return scope === 'vswitch' && (operation === 'AssignPrivateIpAddresses' || operation === 'AssignIpv6Addresses')
}

/** Adds the call unless something that it looks at is to be left alone. Whether it was added. */
export function propose<A extends CloudAction>(
  input: PlanInput,
  hands: Hands,
  wish: { action: A; parameters: ParametersOf[A]; target?: ENIInterface; vSwitchID?: string },
): boolean {
  const { action, parameters, target } = wish
  const { instanceID } = input.spec
  const operation = action.slice(action.indexOf(':') + 1) as OperationAction
  if (target !== undefined && hands.busy.has(target.id)) return false
  const about: Readonly<Record<Scope, string>> = {
    action,
    interface: target?.id ?? newInterfaceOf(instanceID),
    vswitch: wish.vSwitchID ?? target?.vSwitchID ?? '',
    instance: instanceID,
    account: '',
    'security-group': securityGroupsOf(input.spec),
  }
  const blocks = SCOPES.filter(scope => looksAt(operation, scope)).flatMap(
    scope => input.blocked(scope, about[scope]) ?? [],
  )
  hands.obstacles.push(...blocks)
  if (blocks.length > 0) return false
  if (target !== undefined) hands.busy.add(target.id)
  hands.calls.push({ operation, action, parameters: flatParameters(action, parameters) })
  return true
}

/** Interfaces of other instances, and of nobody, take no slot here. */
export function slotsTaken({ cloud, spec, recorded }: PlanInput): number {
  // while one moves, the cloud may not have told yet, or tell no more, whose it is
  const moving = recorded.interfaces.filter(({ state }) => !isFree(state)).map(({ id }) => id)
  const others = new Set(cloud.filter(item => isElsewhere(item, spec)).map(({ id }) => id))
  const attached = cloud.filter(item => item.instanceID === spec.instanceID && item.type !== 'Primary')
  return new Set([...attached.map(({ id }) => id), ...moving.filter(id => !others.has(id))]).size
}

function isFree(state: ENIInterface['state']): boolean {
  return state === 'Available' || state === 'Deleting'
}

/** Whether the cloud has it at another instance: its addresses are of no use here. */
export function isElsewhere(cloud: CloudInterface | undefined, { instanceID }: ENINodeSpec): boolean {
  return cloud?.instanceID !== undefined && cloud.instanceID !== instanceID
}

export function freeSlots(input: PlanInput, cards: readonly Card[]): number {
  const unattached = cards.filter(
    ({ item, leaving, cloud }) => !leaving && isUnattached(item) && cloud?.instanceID === undefined,
  )
  return Math.max(0, input.spec.limits.interfaces - slotsTaken(input) - unattached.length)
}

export function isUnattached({ state }: ENIInterface): boolean {
  return state === 'Available'
}
