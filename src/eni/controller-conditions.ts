/**
 * What is said of a node's addresses: the conditions of its ENINode, the condition SufficientIP of
 * its Node, and the reasons that its pods are told while there is none. Pure.
 */
import type { Condition } from '../kube/resources.ts'
import type { Verdict } from './cloud-errors.ts'
import type { NodePlan } from './plan-cards.ts'

/** A condition without its time. */
export type ConditionFinding = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>

export interface Judged {
  readonly plan: NodePlan | undefined
  readonly capacity: number
  readonly waiting: number
  /** Why the configuration gives the node no addresses at all. */
  readonly misconfigured: string | undefined
  /**
   * The last thing that went wrong with the cloud itself (rights, out of reach); undefined: it
   * answers.
   */
  readonly access: { readonly action: string; readonly verdict: Verdict } | undefined
  /** The node is to have warmed up; told by a condition, for it happens once. */
  readonly warmedUp: boolean
  readonly degradation: string
}

export function findings(judged: Judged): readonly ConditionFinding[] {
  const { access, warmedUp } = judged
  const rows: ConditionFinding[] = [
    sufficient(judged),
    access === undefined
      ? { type: 'CloudAccess', status: 'True', reason: 'Answers', message: 'the cloud answers' }
      : {
          type: 'CloudAccess',
          status: 'False',
          reason: access.verdict.reason,
          message: verdictText(access.action, access.verdict),
        },
  ]
  if (warmedUp)
    rows.push({ type: 'WarmedUp', status: 'True', reason: 'Done', message: 'the node has had its first addresses' })
  return rows
}

function sufficient({ plan, capacity, waiting, misconfigured, access, degradation }: Judged): ConditionFinding {
  const no = (reason: string, message: string): ConditionFinding => ({
    type: 'SufficientAddresses',
    status: 'False',
    reason,
    message,
  })
  if (misconfigured !== undefined && (plan?.idle ?? 0) <= 0) return no('WrongConfiguration', misconfigured)
  if (plan === undefined)
    return access === undefined
      ? {
          type: 'SufficientAddresses',
          status: 'Unknown',
          reason: 'NotRead',
          message: 'the cloud has not said yet what there is',
        }
      : no(access.verdict.reason, verdictText(access.action, access.verdict))
  const [obstacle] = plan.obstacles
  // what is on its way to pods that wait counts, unless something is in its way
  if (plan.idle > 0 && plan.idle >= waiting && (waiting === 0 || obstacle === undefined))
    return { type: 'SufficientAddresses', status: 'True', reason: 'SufficientIP', message: 'there are idle addresses' }
  if (degradation === 'no-calls') return no('Degraded', 'calls to the cloud are switched off (cloud.degradation)')
  if (obstacle !== undefined) return no(obstacle.reason, obstacleText(obstacle))
  if (access !== undefined) return no(access.verdict.reason, verdictText(access.action, access.verdict))
  if (plan.shortage > 0)
    return no(
      'CapacityReached',
      `the node takes ${capacity} pods and has no more addresses; take a larger instance type, or more interfaces`,
    )
  if (waiting > 0) return no('PoolEmpty', 'addresses are on their way')
  return {
    type: 'SufficientAddresses',
    status: 'True',
    reason: 'SufficientIP',
    message: 'an address is got when a pod asks for one',
  }
}

function obstacleText({ code, message, advice }: Verdict): string {
  return `${code === '' ? message : `${code}: ${message}`}; ${advice}`
}

/** A refusal for people: what was asked, what the cloud said, what to do. */
export function verdictText(action: string, verdict: Verdict): string {
  return `${action}: ${obstacleText(verdict)}`
}

/** The conditions with their times: those that did not change keep theirs. */
export function withTimes(
  wanted: readonly ConditionFinding[],
  before: readonly Condition[],
  time: string,
): readonly Condition[] {
  return wanted.map(finding => {
    const old = before.find(({ type }) => type === finding.type)
    const lastTransitionTime =
      old?.status === finding.status && old.lastTransitionTime !== '' ? old.lastTransitionTime : time
    return { ...finding, lastTransitionTime }
  })
}
