/**
 * Puts into the kernel what probes need, and takes it away again: compares what is there with what
 * `probe-routes.ts` decided. Touches nothing that does not bear our protocol number in the tables
 * of probes.
 */
import type { NetlinkError } from '../netlink/message.ts'
import { deleteRoute, replaceRoute } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { addRule, deleteRule } from '../netlink/rule.ts'
import { isProbeRoute, isProbeRule, type ProbeRouting, planProbeRouting } from './probe-routes.ts'

const NOTHING: ProbeRouting = { routes: [], rules: [] }

/** Returns what the kernel refused, in words. */
export function applyProbeRouting(netlink: Rtnetlink, wanted: ProbeRouting, protocol: number): string[] {
  const present = {
    routes: netlink.dumpRoutes({ protocol }).filter(route => isProbeRoute(route, protocol)),
    rules: netlink.dumpRules().filter(rule => isProbeRule(rule, protocol)),
  }
  const changes = planProbeRouting(wanted, present)
  const outcomes = netlink.execute([
    ...changes.deleteRules.map(deleteRule),
    ...changes.deleteRoutes.map(({ destination, table, type, priority }) =>
      deleteRoute({ destination, table, type, priority, protocol }),
    ),
    ...changes.addRoutes.map(replaceRoute),
    ...changes.addRules.map(addRule),
  ])
  return outcomes.flatMap(({ error }: { error?: NetlinkError }) => (error === undefined ? [] : [error.message]))
}

/** Takes all of it away: for uninstall, and where paths are not measured any more. */
export function removeProbeRouting(protocol: number): string[] {
  const netlink = Rtnetlink.open()
  try {
    return applyProbeRouting(netlink, NOTHING, protocol)
  } finally {
    netlink.close()
  }
}
