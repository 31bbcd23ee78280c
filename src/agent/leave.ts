/**
 * Takes this node out of the pod network for good: its routes, CNI configuration and settings go,
 * and nothing that others made. For `uninstall`; the agent must have ended before. The rules of the
 * firewall are taken away by firewall/reconcile.ts.
 */
import { counted } from '../lib/count-text.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { cniConfigFile, removeCniConfig } from './cni-config.ts'
import { changeRequest, planRemoval, type RouteMark } from './plan.ts'
import { restoreSettings } from './sysctl.ts'

export interface LeaveInput {
  readonly mark: RouteMark
  readonly confDir: string
  readonly stateDir: string
  /** Path of the network namespace; absent: this one. */
  readonly netns?: string
}

/** Returns what was done, a line each, and what could not be. */
export function leaveNetwork(input: LeaveInput): {
  readonly done: readonly string[]
  readonly problems: readonly string[]
} {
  const { mark, confDir, netns } = input
  const done: string[] = []
  if (removeCniConfig(confDir)) done.push(`removed ${cniConfigFile(confDir)}`)
  const { removed, problems } = removeRoutes(mark, netns)
  if (removed > 0) done.push(`removed ${counted(removed, 'route')}`)
  for (const { name, value } of restoreSettings(input)) done.push(`set ${name.replaceAll('/', '.')} back to ${value}`)
  return { done, problems }
}

/** Deletes every route that bears our mark. */
function removeRoutes(mark: RouteMark, netns?: string): { removed: number; problems: string[] } {
  const netlink = Rtnetlink.open(netns === undefined ? {} : { netns })
  try {
    const outcomes = netlink.execute(planRemoval(netlink.dumpRoutes(mark)).map(changeRequest))
    const problems = outcomes.flatMap(({ error }) => (error === undefined ? [] : [error.message]))
    return { removed: outcomes.length - problems.length, problems }
  } finally {
    netlink.close()
  }
}
