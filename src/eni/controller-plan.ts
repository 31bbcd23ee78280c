/**
 * What is to be done for one node now: which addresses are to leave, which calls to make. A function of the record, of what the cloud
 * had when it was last asked, and of what is blocked; made anew after each outcome, so nothing here remembers. Pure.
 */
import { type CloudAction, flatParameters, type ParametersOf, type Tag } from '../cloud/actions.ts'
import type { CloudInterface, VSwitch } from '../cloud/answers.ts'
import type { ENIInterface, ENINodeReport, ENINodeSpec, IPFamily, OperationAction } from '../kube/eni-node.ts'
import { familyOf } from '../lib/ip.ts'
import type { Scope, Verdict } from './cloud-errors.ts'
import type { Recorded } from './operations.ts'
import { addressesToAdd, addressesToRelease, chooseReleases, fill, type Releasable } from './pool.ts'
import { chooseVSwitch, type SelectionPolicy } from './vswitch.ts'

/** none; no-releases: nothing is given back; no-calls: nothing is changed at all. */
export const DEGRADATIONS = ['none', 'no-releases', 'no-calls'] as const
export type Degradation = (typeof DEGRADATIONS)[number]

export interface PlanInput {
  readonly spec: ENINodeSpec
  readonly recorded: Recorded
  /** What the node said last; undefined: nothing yet. */
  readonly report: ENINodeReport | undefined
  /** Every interface of the instance, and ours that are unattached, when the cloud was last asked. */
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

/** Most addresses of one call (API pages of UnassignPrivateIpAddresses and of AssignIpv6Addresses). */
const MOST_UNASSIGNED = 32
const MOST_IPV6 = 10

/** An interface in the plan's words. */
interface Card {
  readonly item: ENIInterface
  readonly cloud: CloudInterface | undefined
  /** It is being given back as a whole. */
  readonly leaving: boolean
  /** Pods' worths. */
  readonly worth: number
  readonly pods: number
}

export function planNode(input: PlanInput): NodePlan {
  const { recorded, degradation, warmedUp } = input
  const still: NodePlan = {
    ...measure(input, recorded.interfaces),
    interfaces: recorded.interfaces,
    calls: [],
    shortage: 0,
    obstacles: [],
    warmedUp,
    done: false,
  }
  if (degradation === 'no-calls') return still
  return input.wish === 'leave' ? planLeave(input) : planStay(input)
}

function cardsOf({ spec, cloud, report }: PlanInput, interfaces: readonly ENIInterface[]): readonly Card[] {
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
      worth: countWorth(item.addresses, spec.ipFamilies),
      pods: Math.max(0, pods),
    }
  })
}

/** Pods' worths: with both families, as many as there are of the scarcer. */
export function countWorth(addresses: readonly string[], families: readonly IPFamily[]): number {
  const ipv4 = addresses.filter(address => familyOf(address) === 'ipv4').length
  return families.includes('IPv6') ? Math.min(ipv4, addresses.length - ipv4) : ipv4
}

function measure({ spec, report }: PlanInput, interfaces: readonly ENIInterface[]): { readonly idle: number } {
  const worth = interfaces.reduce((sum, item) => sum + countWorth(item.addresses, spec.ipFamilies), 0)
  const unused = new Set([...(report?.idle ?? []), ...(report?.released ?? [])])
  const leavingPods = interfaces
    .map(item =>
      countWorth(
        item.releasing.filter(address => !unused.has(address)),
        spec.ipFamilies,
      ),
    )
    .reduce((sum, count) => sum + count, 0)
  return { idle: worth - Math.max(0, (report?.inUse ?? 0) - (report === undefined ? 0 : leavingPods)) }
}

function planStay(input: PlanInput): NodePlan {
  const { spec, recorded, report, degradation } = input
  const { idle } = measure(input, recorded.interfaces)
  const cards = cardsOf(input, recorded.interfaces)
  const total = cards.reduce((sum, { worth }) => sum + worth, 0)
  const warmUpLeft = input.warmedUp ? 0 : Math.max(0, spec.pool.warmUp - total)
  const room = spec.limits.interfaces * spec.limits.addressesPerInterface - total
  const wanted = { idle, waiting: report?.waiting ?? 0, warmUpLeft }
  const add = addressesToAdd(spec.pool, { ...wanted, room })
  const asked = addressesToAdd(spec.pool, { ...wanted, room: Number.MAX_SAFE_INTEGER })
  const busy = new Set<string>()
  const calls: PlannedCall[] = []
  const obstacles: Verdict[] = []
  attachCalls(input, cards, { calls, busy, obstacles })
  const left =
    spec.platform === 'ens'
      ? ensAdditions(input, cards, add, { calls, busy, obstacles })
      : ecsAdditions(input, cards, add, { calls, busy, obstacles })
  let interfaces = recorded.interfaces
  if (degradation !== 'no-releases') {
    const moved = left > 0 ? replaceInterface(input, cards, obstacles) : surplusReleases(input, cards, idle)
    interfaces = withReleases(withExcess(input, interfaces, cards), moved)
    leavingCalls(input, cardsOf(input, interfaces), { calls, busy, obstacles })
    unassignCalls(input, cardsOf(input, interfaces), { calls, busy, obstacles })
  }
  return {
    interfaces,
    calls,
    idle,
    shortage: left + asked - add,
    obstacles,
    warmedUp:
      input.warmedUp || total >= Math.min(spec.pool.warmUp, spec.limits.interfaces * spec.limits.addressesPerInterface),
    done: false,
  }
}

interface Hands {
  readonly calls: PlannedCall[]
  /** Interfaces that a call of this plan is about: one call at a time for each. */
  readonly busy: Set<string>
  readonly obstacles: Verdict[]
}

/** By what name an interface is left alone that was to be made, and has no id. */
export function newInterfaceOf(instanceID: string): string {
  return `new of ${instanceID}`
}

/** Adds the call unless something about it is blocked. Whether it was added. */
function propose<A extends CloudAction>(
  input: PlanInput,
  hands: Hands,
  wish: {
    action: A
    parameters: ParametersOf[A]
    target?: ENIInterface
    vSwitchID?: string
    creates?: boolean
    attaches?: boolean
  },
): boolean {
  const { action, parameters, target, vSwitchID } = wish
  const operation = action.slice(action.indexOf(':') + 1) as OperationAction
  if (target !== undefined && hands.busy.has(target.id)) return false
  const blocks = [
    input.blocked('action', action),
    target && input.blocked('interface', target.id),
    vSwitchID === undefined ? undefined : input.blocked('vswitch', vSwitchID),
    wish.creates === true || wish.attaches === true ? input.blocked('instance', input.spec.instanceID) : undefined,
    wish.creates === true ? input.blocked('account', '') : undefined,
    wish.creates === true ? input.blocked('interface', newInterfaceOf(input.spec.instanceID)) : undefined,
  ].filter(block => block !== undefined)
  hands.obstacles.push(...blocks)
  if (blocks.length > 0) return false
  if (target !== undefined) hands.busy.add(target.id)
  hands.calls.push({ operation, action, parameters: flatParameters(action, parameters) })
  return true
}

/** Interfaces of other instances, and of nobody, take no slot here. */
function slotsTaken({ cloud, spec }: PlanInput): number {
  return cloud.filter(item => item.instanceID === spec.instanceID && item.type !== 'Primary').length
}

function freeSlots(input: PlanInput, cards: readonly Card[]): number {
  const unattached = cards.filter(
    ({ item, leaving, cloud }) => !leaving && isUnattached(item) && cloud?.instanceID === undefined,
  )
  return Math.max(0, input.spec.limits.interfaces - slotsTaken(input) - unattached.length)
}

/**
 * Whether what the node has released is cleared of an interface's addresses: one that is still named from an earlier time would look
 * released as soon as it is in `releasing`, with a pod that got it since.
 */
function isFresh({ report }: PlanInput, { item }: Card): boolean {
  const released = new Set(report?.released ?? [])
  return !item.addresses.some(address => released.has(address))
}

function isUnattached({ state }: ENIInterface): boolean {
  return state === 'Available'
}

/** Attaches what is unattached and has a slot. */
function attachCalls(input: PlanInput, cards: readonly Card[], hands: Hands): void {
  const { spec } = input
  if (spec.platform === 'ens') return
  let slots = spec.limits.interfaces - slotsTaken(input)
  for (const { item, leaving } of cards) {
    if (leaving || !isUnattached(item) || slots <= 0) continue
    slots--
    const parameters = { RegionId: spec.regionID, NetworkInterfaceId: item.id, InstanceId: spec.instanceID }
    propose(input, hands, { action: 'ecs:AttachNetworkInterface', parameters, target: item, attaches: true })
  }
}

/** Unattached interfaces for which there is no slot are given back: they would be paid for nothing. */
function withExcess(
  input: PlanInput,
  interfaces: readonly ENIInterface[],
  cards: readonly Card[],
): readonly ENIInterface[] {
  if (input.spec.platform === 'ens') return interfaces
  const slots = input.spec.limits.interfaces - slotsTaken(input)
  const unattached = cards
    .filter(card => !card.leaving && isUnattached(card.item) && isFresh(input, card))
    .map(({ item }) => item.id)
  const excess = new Set([
    ...unattached.slice(Math.max(0, slots)),
    ...unattached.filter(() => input.blocked('instance', input.spec.instanceID) !== undefined),
  ])
  return withReleases(
    interfaces,
    [...excess].map(id => ({ id, addresses: 'all' as const })),
  )
}

function roomOf(input: PlanInput, { item, leaving, cloud }: Card, family: IPFamily): number {
  const usable = item.state === 'InUse' && (cloud === undefined || cloud.instanceID === input.spec.instanceID)
  if (leaving || !usable) return 0
  const inFamily = (address: string) => (familyOf(address) === 'ipv4') === (family === 'IPv4')
  const held = [...item.addresses, ...item.releasing].filter(inFamily).length
  return Math.max(0, input.spec.limits.addressesPerInterface - held)
}

/** Addresses on ECS: on what is there, then with new interfaces. What could not be had. */
function ecsAdditions(input: PlanInput, cards: readonly Card[], add: number, hands: Hands): number {
  const { spec, blocked } = input
  const dual = spec.ipFamilies.includes('IPv6')
  const open = ({ item }: Card) => {
    const block = blocked('interface', item.id) ?? blocked('vswitch', item.vSwitchID)
    if (block !== undefined && add > 0) hands.obstacles.push(block)
    return block === undefined && !hands.busy.has(item.id)
  }
  if (dual) completePairs(input, cards, hands)
  // addresses that are on their way count: what is being attached has them already
  const fillable = cards.filter(card => roomOf(input, card, 'IPv4') > 0).filter(open)
  const interfaces = fillable.map(card => ({
    id: card.item.id,
    room: Math.min(
      roomOf(input, card, 'IPv4'),
      dual ? Math.min(roomOf(input, card, 'IPv6'), MOST_IPV6) : Number.MAX_SAFE_INTEGER,
    ),
  }))
  const filling = fill(add, {
    interfaces,
    freeSlots: freeSlots(input, cards),
    perInterface: spec.limits.addressesPerInterface,
  })
  let missing = filling.left
  for (const { id, count } of filling.assign) {
    const target = cards.find(({ item }) => item.id === id)?.item
    const parameters = { RegionId: spec.regionID, NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: count }
    const wish = {
      action: 'ecs:AssignPrivateIpAddresses',
      parameters,
      ...(target === undefined ? {} : { target }),
    } as const
    if (!propose(input, hands, wish)) missing += count
  }
  const planned = new Map<string, number>()
  for (const count of filling.create) missing += count - createCall(input, count, { hands, planned })
  return missing
}

/** With both families: what an interface has too few of, up to the number of the other. */
function completePairs(input: PlanInput, cards: readonly Card[], hands: Hands): void {
  const { spec } = input
  for (const card of cards) {
    const { item, leaving } = card
    if (leaving || item.state !== 'InUse' || input.blocked('vswitch', item.vSwitchID) !== undefined) continue
    const ipv4 = item.addresses.filter(address => familyOf(address) === 'ipv4').length
    const lack = Math.min(2 * ipv4 - item.addresses.length, MOST_IPV6, roomOf(input, card, 'IPv6'))
    if (lack <= 0) continue
    const parameters = { RegionId: spec.regionID, NetworkInterfaceId: item.id, Ipv6AddressCount: lack }
    propose(input, hands, { action: 'ecs:AssignIpv6Addresses', parameters, target: item })
  }
}

/** Proposes a new interface with `count` addresses; how many of them it will have. */
function createCall(input: PlanInput, count: number, at: { hands: Hands; planned: Map<string, number> }): number {
  const { spec, vSwitches, selection, random, blocked, tags, resourceGroupID } = input
  const { hands, planned } = at
  const vSwitchID = chooseVSwitch({
    configured: spec.vSwitchIDs,
    zoneID: spec.zoneID,
    known: vSwitches,
    blocked: id => blocked('vswitch', id) !== undefined,
    policy: selection,
    random,
    planned,
  })
  if (vSwitchID === undefined) {
    hands.obstacles.push(...spec.vSwitchIDs.map(id => blocked('vswitch', id)).filter(block => block !== undefined))
    return 0
  }
  const free = (vSwitches.get(vSwitchID)?.availableAddresses ?? count) - (planned.get(vSwitchID) ?? 0)
  const size = Math.max(1, Math.min(count, free))
  const parameters: ParametersOf['ecs:CreateNetworkInterface'] = {
    RegionId: spec.regionID,
    VSwitchId: vSwitchID,
    SecurityGroupIds: spec.securityGroupIDs,
    InstanceType: 'Secondary',
    ...(size > 1 ? { SecondaryPrivateIpAddressCount: size - 1 } : {}),
    ...(spec.ipFamilies.includes('IPv6') ? { Ipv6AddressCount: Math.min(size, MOST_IPV6) } : {}),
    Tag: tags,
    NetworkInterfaceName: `terway-edge-${spec.instanceID}`.slice(0, 128),
    Description: 'addresses of pods, made by terway-edge',
    ...(resourceGroupID === undefined ? {} : { ResourceGroupId: resourceGroupID }),
    SourceDestCheck: false,
    DeleteOnRelease: true,
  }
  if (!propose(input, hands, { action: 'ecs:CreateNetworkInterface', parameters, vSwitchID, creates: true })) return 0
  planned.set(vSwitchID, (planned.get(vSwitchID) ?? 0) + size)
  return size
}

/** Addresses on ENS: one a call, one call at a time for an interface. What could not be had with this round's calls. */
function ensAdditions(input: PlanInput, cards: readonly Card[], add: number, hands: Hands): number {
  const rooms = new Map(cards.map(card => [card.item.id, roomOf(input, card, 'IPv4')]))
  let left = add
  let open = 0
  for (const { item } of cards.toSorted((a, b) => (rooms.get(a.item.id) ?? 0) - (rooms.get(b.item.id) ?? 0))) {
    const room = rooms.get(item.id) ?? 0
    if (room === 0 || left === 0) continue
    const vSwitch = item.vSwitchID === '' ? {} : { VSwitchId: item.vSwitchID }
    const parameters = { NetworkInterfaceId: item.id, ...vSwitch }
    const wish = {
      action: 'ens:AssignPrivateIpAddresses',
      parameters,
      target: item,
      vSwitchID: item.vSwitchID,
    } as const
    if (!propose(input, hands, wish)) continue
    open += room
    left--
  }
  // the rest comes by the next rounds, as far as there is room
  return Math.max(0, add - open)
}

/**
 * Nothing more can be had, and not because the instance is full of addresses: interfaces in vSwitches that are full, or that are not
 * configured any more, hold the slots. The one with the fewest pods is given back, so that one of another vSwitch takes its place.
 */
function replaceInterface(
  input: PlanInput,
  cards: readonly Card[],
  obstacles: readonly Verdict[],
): readonly { id: string; addresses: 'all' }[] {
  const { spec, blocked, vSwitches, random, selection } = input
  if (spec.platform === 'ens' || cards.some(({ leaving }) => leaving) || freeSlots(input, cards) > 0) return []
  if (obstacles.some(({ kind }) => kind !== 'vswitch-full' && kind !== 'configuration')) return []
  const choice = { configured: spec.vSwitchIDs, zoneID: spec.zoneID, known: vSwitches, policy: selection, random }
  if (chooseVSwitch({ ...choice, blocked: id => blocked('vswitch', id) !== undefined }) === undefined) return []
  const spent = ({ item }: Card) =>
    blocked('vswitch', item.vSwitchID) !== undefined || !spec.vSwitchIDs.includes(item.vSwitchID)
  const [fewest] = cards
    .filter(
      card =>
        spent(card) &&
        isFresh(input, card) &&
        card.item.state === 'InUse' &&
        card.worth < spec.limits.addressesPerInterface,
    )
    .toSorted((a, b) => a.pods - b.pods || a.worth - b.worth)
  return fewest === undefined ? [] : [{ id: fewest.item.id, addresses: 'all' }]
}

function surplusReleases(input: PlanInput, cards: readonly Card[], idle: number) {
  const { spec, report, reclaimBatch } = input
  // what the node has not named idle is not known to be
  const count =
    report === undefined ? 0 : addressesToRelease(spec.pool, { idle, waiting: report.waiting, reclaimBatch })
  if (count === 0) return []
  const named = report?.idle ?? []
  const stale = new Set(report?.released ?? [])
  const releasable = cards
    .filter(({ item, leaving }) => !leaving && item.state === 'InUse')
    .map((card): Releasable => {
      const { item, cloud, worth, pods } = card
      const mine = new Set(item.addresses)
      const free = named.filter(address => mine.has(address) && !stale.has(address))
      const takable = free.filter(address => address !== cloud?.primaryAddress && familyOf(address) === 'ipv4')
      const allFree = item.addresses.every(address => free.includes(address)) && item.releasing.length === 0
      return {
        id: item.id,
        idle: takable,
        total: worth,
        pods,
        detachable: spec.platform === 'ecs' && allFree && cloud !== undefined,
      }
    })
    .filter(({ id }) => input.cloud.some(item => item.id === id))
  const releases = chooseReleases(count, releasable)
  if (!spec.ipFamilies.includes('IPv6')) return releases
  return releases.map(release =>
    release.addresses === 'all'
      ? release
      : { ...release, addresses: withPartners(release.addresses, { named, cards, id: release.id }) },
  )
}

/** As many idle IPv6 addresses of the interface as there are IPv4 ones. */
function withPartners(
  addresses: readonly string[],
  from: { named: readonly string[]; cards: readonly Card[]; id: string },
): readonly string[] {
  const mine = new Set(from.cards.find(({ item }) => item.id === from.id)?.item.addresses)
  const ipv6 = from.named.filter(address => familyOf(address) === 'ipv6' && mine.has(address))
  return [...addresses, ...ipv6.slice(0, addresses.length)]
}

/** The first step: from `addresses` to `releasing`. */
export function withReleases(
  interfaces: readonly ENIInterface[],
  releases: readonly { readonly id: string; readonly addresses: 'all' | readonly string[] }[],
): readonly ENIInterface[] {
  return interfaces.map(item => {
    const release = releases.find(({ id }) => id === item.id)
    if (release === undefined) return item
    const leaving = new Set(release.addresses === 'all' ? item.addresses : release.addresses)
    return {
      ...item,
      addresses: item.addresses.filter(address => !leaving.has(address)),
      releasing: [...item.releasing, ...item.addresses.filter(address => leaving.has(address))],
    }
  })
}

/** The third step for single addresses. */
function unassignCalls(input: PlanInput, cards: readonly Card[], hands: Hands): void {
  const { spec, report } = input
  const released = new Set(report?.released ?? [])
  const gone = (address: string) => report?.left === true || released.has(address)
  for (const { item, cloud, leaving } of cards) {
    if ((leaving && spec.platform === 'ecs') || cloud === undefined) continue
    const free = item.releasing.filter(address => gone(address) && address !== cloud.primaryAddress)
    const ipv4 = free.filter(address => familyOf(address) === 'ipv4').slice(0, MOST_UNASSIGNED)
    const ipv6 = free.filter(address => familyOf(address) === 'ipv6').slice(0, MOST_UNASSIGNED)
    const about = { RegionId: spec.regionID, NetworkInterfaceId: item.id }
    if (ipv4.length > 0 && spec.platform === 'ens')
      propose(input, hands, {
        action: 'ens:UnassignPrivateIpAddresses',
        parameters: { NetworkInterfaceId: item.id, PrivateIpAddress: ipv4 },
        target: item,
      })
    else if (ipv4.length > 0)
      propose(input, hands, {
        action: 'ecs:UnassignPrivateIpAddresses',
        parameters: { ...about, PrivateIpAddress: ipv4 },
        target: item,
      })
    else if (ipv6.length > 0)
      propose(input, hands, {
        action: 'ecs:UnassignIpv6Addresses',
        parameters: { ...about, Ipv6Address: ipv6 },
        target: item,
      })
  }
}

/** The third step for whole interfaces: detach, then delete. */
function leavingCalls(input: PlanInput, cards: readonly Card[], hands: Hands): void {
  const { spec, report, wish, stuck } = input
  if (spec.platform === 'ens') return
  const released = new Set(report?.released ?? [])
  for (const { item, cloud, leaving } of cards) {
    if (!leaving || cloud === undefined) continue
    const again = stuck.has(item.id)
    const unattached = item.state === 'Available' || (item.state === 'Deleting' && again)
    const free =
      report?.left === true ||
      item.releasing.every(address => released.has(address)) ||
      (wish === 'leave' && unattached)
    if (!free) continue
    const about = { RegionId: spec.regionID, NetworkInterfaceId: item.id }
    if (unattached) propose(input, hands, { action: 'ecs:DeleteNetworkInterface', parameters: about, target: item })
    else if (item.state === 'InUse' || (item.state === 'Detaching' && again))
      propose(input, hands, {
        action: 'ecs:DetachNetworkInterface',
        parameters: { ...about, InstanceId: cloud.instanceID ?? spec.instanceID },
        target: item,
      })
  }
}

/** The node is to have nothing any more. Without its word, only what is unattached goes: there are no pods on that. */
function planLeave(input: PlanInput): NodePlan {
  const { recorded, report, degradation, spec } = input
  const hands: Hands = { calls: [], busy: new Set(), obstacles: [] }
  let interfaces = recorded.interfaces
  if (degradation === 'none') {
    const going = interfaces.filter(({ state }) => report?.left === true || state === 'Available')
    interfaces = withReleases(
      interfaces,
      going.map(({ id }) => ({ id, addresses: 'all' as const })),
    )
    const cards = cardsOf(input, interfaces)
    leavingCalls(input, cards, hands)
    unassignCalls(input, cards, hands)
  }
  const primaryAlone = (item: ENIInterface) => {
    const cloud = input.cloud.find(({ id }) => id === item.id)
    return (
      report?.left === true &&
      [...item.addresses, ...item.releasing].every(address => address === cloud?.primaryAddress)
    )
  }
  const done =
    recorded.operations.length === 0 &&
    hands.calls.length === 0 &&
    interfaces.every(item => spec.platform === 'ens' && primaryAlone(item))
  return {
    interfaces,
    calls: hands.calls,
    idle: 0,
    shortage: 0,
    obstacles: hands.obstacles,
    warmedUp: input.warmedUp,
    done,
  }
}
