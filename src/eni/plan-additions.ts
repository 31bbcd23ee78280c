/**
 * How a node gets more addresses: what is unattached is attached, interfaces that have room are
 * filled, new ones are made; on ENS one address a call. Pure.
 */
import type { ParametersOf } from '../cloud/actions.ts'
import type { IPFamily } from '../kube/eni-node.ts'
import { familyOf } from '../lib/ip.ts'
import {
  type Card,
  countWorth,
  freeSlots,
  type Hands,
  isElsewhere,
  isUnattached,
  type PlanInput,
  propose,
  slotsTaken,
} from './plan-cards.ts'
import { fill } from './pool.ts'
import { chooseVSwitch } from './vswitch.ts'

/** Most addresses of one call (API page of AssignIpv6Addresses). */
const MOST_IPV6 = 10

/** Attaches what is unattached and has a slot. */
export function attachCalls(input: PlanInput, cards: readonly Card[], hands: Hands): void {
  const { spec } = input
  if (spec.platform === 'ens') return
  let slots = spec.limits.interfaces - slotsTaken(input)
  for (const { item, leaving } of cards) {
    if (leaving || !isUnattached(item) || slots <= 0) continue
    slots--
    const parameters = { RegionId: spec.regionID, NetworkInterfaceId: item.id, InstanceId: spec.instanceID }
    propose(input, hands, { action: 'ecs:AttachNetworkInterface', parameters, target: item })
  }
}

function roomOf(input: PlanInput, { item, leaving, cloud }: Card, family: IPFamily): number {
  const usable = item.state === 'InUse' && (cloud === undefined || cloud.instanceID === input.spec.instanceID)
  if (leaving || !usable) return 0
  const inFamily = (address: string) => (familyOf(address) === 'ipv4') === (family === 'IPv4')
  const held = [...item.addresses, ...item.releasing].filter(inFamily).length
  return Math.max(0, input.spec.limits.addressesPerInterface - held)
}

/** Addresses on ECS: on what is there, then with new interfaces. What could not be had. */
export function ecsAdditions(input: PlanInput, cards: readonly Card[], add: number, hands: Hands): number {
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

/** Pods' worths that complete pairs of both families, which `completePairs` asks for. */
export function pairsToCome(input: PlanInput, cards: readonly Card[]): number {
  const { ipFamilies } = input.spec
  if (!ipFamilies.includes('IPv6')) return 0
  const lack = ({ item, leaving, worth, cloud }: Card) =>
    leaving || isElsewhere(cloud, input.spec) || input.blocked('vswitch', item.vSwitchID) !== undefined
      ? 0
      : countWorth(item.addresses, ['IPv4']) - worth
  return cards.reduce((sum, card) => sum + lack(card), 0)
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
  if (!propose(input, hands, { action: 'ecs:CreateNetworkInterface', parameters, vSwitchID })) return 0
  planned.set(vSwitchID, (planned.get(vSwitchID) ?? 0) + size)
  return size
}

/**
 * Addresses on ENS: one a call, one call at a time for an interface. What could not be had with
 * this round's calls.
 */
export function ensAdditions(input: PlanInput, cards: readonly Card[], add: number, hands: Hands): number {
  const rooms = new Map(cards.map(card => [card.item.id, roomOf(input, card, 'IPv4')]))
  let left = add
  let open = 0
  for (const { item } of cards.toSorted((a, b) => (rooms.get(a.item.id) ?? 0) - (rooms.get(b.item.id) ?? 0))) {
    const room = rooms.get(item.id) ?? 0
    if (room === 0 || left === 0) continue
    const vSwitch = item.vSwitchID === '' ? {} : { VSwitchId: item.vSwitchID }
    const parameters = { NetworkInterfaceId: item.id, ...vSwitch }
    if (!propose(input, hands, { action: 'ens:AssignPrivateIpAddresses', parameters, target: item })) continue
    open += room
    left--
  }
  // the rest comes by the next rounds, as far as there is room
  return Math.max(0, add - open)
}
