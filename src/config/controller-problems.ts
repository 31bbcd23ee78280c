/**
 * What a configuration that could be read lacks for the controller: it names the ranges and Nodes
 * that it allocates for, which have no default. Pure.
 */
import type { Problem } from '../lib/errors.ts'
import type { Config } from './schema.ts'

/** What a configuration lacks for the controller: a node's needs none of it. */
export function controllerProblems({ allocatePodCIDRs, network }: Config): Problem[] {
  if (!allocatePodCIDRs) return []
  const elsewhere = 'or set allocatePodCIDRs: false where something else allocates them'
  const problems: Problem[] = []
  if (network.podCIDRs.length === 0) {
    const message = `is empty: name the pools that pod CIDRs come from, ${elsewhere}`
    problems.push({ path: 'network.podCIDRs', message })
  }
  if (network.edgeNodes === undefined) {
    const message = `is required: say which Nodes get a pod CIDR, for ever (a label selector, or all()), ${elsewhere}`
    problems.push({ path: 'network.edgeNodes', message })
  }
  return problems
}
