/**
 * What is to be done for one node now: which addresses are to leave, which calls to make. A
 * function of the record, of what the cloud had when it was last asked, and of what is blocked;
 * made anew after each outcome, so nothing here remembers. Pure.
 */
import type { ENIInterface } from '../kube/eni-node.ts'
import type { Verdict } from './cloud-errors.ts'
import { attachCalls, ecsAdditions, ensAdditions, pairsToCome } from './plan-additions.ts'
import {
  type Card,
  cardsOf,
  countWorth,
  type Hands,
  isElsewhere,
  type NodePlan,
  type PlanInput,
  type PlannedCall,
} from './plan-cards.ts'
import {
  leavingCalls,
  replaceInterface,
  surplusReleases,
  unassignCalls,
  withExcess,
  withReleases,
} from './plan-releases.ts'
import { addressesToAdd } from './pool.ts'

export function planNode(input: PlanInput): NodePlan {
  const { recorded, degradation, warmedUp } = input
  if (input.wish === 'leave' && degradation !== 'no-calls') return planLeave(input)
  const cards = cardsOf(input, recorded.interfaces)
  const idle = idleOf(input, cards)
  if (degradation !== 'no-calls') return planStay(input, cards, idle)
  return { interfaces: recorded.interfaces, calls: [], idle, shortage: 0, obstacles: [], warmedUp, done: false }
}

function worthOf(cards: readonly Card[]): number {
  return cards.reduce((sum, { worth }) => sum + worth, 0)
}

/** Pods' worths that no pod has; of what is leaving, pods may have some still. */
function idleOf({ spec, report }: PlanInput, cards: readonly Card[]): number {
  const worth = worthOf(cards)
  if (report === undefined) return worth
  const unused = new Set([...report.idle, ...report.released])
  const leavingPods = cards
    .filter(({ cloud }) => !isElsewhere(cloud, spec))
    .map(({ item }) =>
      countWorth(
        item.releasing.filter(address => !unused.has(address)),
        spec.ipFamilies,
      ),
    )
    .reduce((sum, count) => sum + count, 0)
  return worth - Math.max(0, report.inUse - leavingPods)
}

function planStay(input: PlanInput, cards: readonly Card[], idle: number): NodePlan {
  const { spec, recorded, report, degradation } = input
  const total = worthOf(cards)
  const coming = pairsToCome(input, cards)
  const warmUpLeft = input.warmedUp ? 0 : Math.max(0, spec.pool.warmUp - total - coming)
  const room = spec.limits.interfaces * spec.limits.addressesPerInterface - total - coming
  const wanted = { idle: idle + coming, waiting: report?.waiting ?? 0, warmUpLeft }
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

/**
 * The node is to have nothing any more. Without its word, only what is unattached goes: there are
 * no pods on that.
 */
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
