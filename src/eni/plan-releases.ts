/**
 * How a node gives addresses back: which are to leave (first step), and, when the node has let them
 * go, which calls take them (third step). Pure.
 */
import type { ENIInterface } from '../kube/eni-node.ts'
import { familyOf } from '../lib/ip.ts'
import type { Verdict } from './cloud-errors.ts'
import { type Card, freeSlots, type Hands, isUnattached, type PlanInput, propose, slotsTaken } from './plan-cards.ts'
import { addressesToRelease, chooseReleases, type Releasable } from './pool.ts'
import { chooseVSwitch } from './vswitch.ts'

/** Most addresses of one call (API page of UnassignPrivateIpAddresses). */
const MOST_UNASSIGNED = 32

/**
 * Whether what the node has released is cleared of an interface's addresses: one that is still
 * named from an earlier time would look released as soon as it is in `releasing`, with a pod that
 * got it since.
 */
function isFresh({ report }: PlanInput, { item }: Card): boolean {
  const released = new Set(report?.released ?? [])
  return !item.addresses.some(address => released.has(address))
}

/**
 * Unattached interfaces for which there is no slot are given back: they would be paid for nothing.
 */
export function withExcess(
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

/**
 * Nothing more can be had, and not because the instance is full of addresses: interfaces in
 * vSwitches that are full, or that are not configured any more, hold the slots. The one with the
 * fewest pods is given back, so that one of another vSwitch takes its place.
 */
export function replaceInterface(
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

export function surplusReleases(input: PlanInput, cards: readonly Card[], idle: number) {
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
export function unassignCalls(input: PlanInput, cards: readonly Card[], hands: Hands): void {
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
export function leavingCalls(input: PlanInput, cards: readonly Card[], hands: Hands): void {
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
