/**
 * Carries a plan of routes out, in one batch: one change that fails does not stop the others.
 * Decides nothing.
 */
import { ERRNO } from '../lib/errno.ts'
import type { Log } from '../lib/log.ts'
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import { type Change, changeRequest, type Plan } from './plan.ts'
import type { Applied } from './rows.ts'

/** What became of the plan, and the changes that were made. Throws `NetlinkError`. */
export function carryOut(netlink: Rtnetlink, plan: Plan, log: Log): Applied & { readonly made: readonly Change[] } {
  const failures = new Map<string, string>()
  const outcomes = netlink.execute(plan.changes.map(changeRequest))
  for (const [index, { error }] of outcomes.entries()) {
    const change = plan.changes[index]
    if (change === undefined) continue
    const gone = change.do === 'delete' && error?.errno === ERRNO.ESRCH
    if (error !== undefined && !gone) failures.set(change.route.destination, error.message)
    else log.debug({ change: change.do, destination: change.route.destination }, 'route changed')
  }
  return { plan, failures, made: plan.changes.filter(({ route }) => !failures.has(route.destination)) }
}
