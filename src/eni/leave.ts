/**
 * Takes the policy routes of a node away, when it leaves the network: rules and tables that bear
 * our protocol number, and the table of nftables. Pods must have gone before. What others made
 * stays.
 */
import { ERRNO } from '../lib/errno.ts'
import { errorText } from '../lib/errors.ts'
import type { PolicyNumbers } from '../model/interface-pool.ts'
import { deleteRoute } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { deleteRule } from '../netlink/rule.ts'
import { MARKS_TABLE, removeMarksScript } from './connection-marks.ts'
import { planDatapath } from './datapath.ts'
import type { Nftables } from './keep-marks.ts'

export interface LeaveInterfaces {
  readonly numbers: PolicyNumbers
  readonly routeTable: number
  readonly nftables: Nftables | undefined
  /** Path of the network namespace; absent: this one. */
  readonly netns?: string
}

/** Returns what was removed, and what could not be. */
export async function leaveInterfaces(input: LeaveInterfaces): Promise<{ removed: string[]; problems: string[] }> {
  const { numbers, routeTable, nftables, netns } = input
  const removed: string[] = []
  const problems: string[] = []
  const netlink = Rtnetlink.open(netns === undefined ? {} : { netns })
  try {
    const observed = {
      links: [],
      addresses: [],
      sources: {},
      routes: netlink.dumpRoutes({ protocol: numbers.protocol }),
      rules: netlink.dumpRules(),
    }
    const nothing = { primaries: [], present: new Map(), missing: [], rules: [], routes: [] }
    const { deleteRules, deleteRoutes } = planDatapath(nothing, {
      numbers,
      routeTable,
      families: [],
      interfaces: [],
      pods: [],
      observed,
    })
    const outcomes = netlink.execute([
      ...deleteRules.map(deleteRule),
      ...deleteRoutes.map(({ destination, table, type, protocol, priority }) =>
        deleteRoute({ destination, table, type, protocol, ...(priority > 0 && { priority }) }),
      ),
    ])
    const gone: readonly number[] = [ERRNO.ENOENT, ERRNO.ESRCH]
    for (const { error } of outcomes)
      if (error !== undefined && !gone.includes(error.errno)) problems.push(error.message)
    const count = deleteRules.length
    if (count > 0) removed.push(`${count === 1 ? '1 policy rule' : `${count} policy rules`} and their tables`)
    const listed = await nftables?.tableText('inet', MARKS_TABLE).catch(() => undefined)
    if (listed !== undefined) {
      await nftables?.apply(removeMarksScript())
      removed.push(`the nftables table ${MARKS_TABLE}`)
    }
  } catch (error) {
    problems.push(`policy routes are left: ${errorText(error)}`)
  } finally {
    netlink.close()
  }
  return { removed, problems }
}
