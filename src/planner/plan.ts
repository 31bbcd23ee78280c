/**
 * The plan of a network: what is wrong with it, what it holds and for how long, the routes of every
 * device, what firewalls must let through. Pure: the document and the date in, the plan out.
 */
import { adviceFindings } from './advice.ts'
import { type Capacity, capacityFindings, capacityOf } from './capacity.ts'
import { type DeviceRoute, deviceRoutes } from './device-routes.ts'
import { type Finding, inOrder } from './finding.ts'
import type { Network } from './network.ts'
import { overlapFindings } from './overlaps.ts'
import { placementFindings } from './placement.ts'
import { type SecurityRule, securityRules } from './security.ts'

export interface Plan {
  readonly findings: readonly Finding[]
  readonly capacity: Capacity
  readonly routes: readonly DeviceRoute[]
  readonly security: readonly SecurityRule[]
}

/** `now` in milliseconds: forecasts are months of the calendar. */
export function planOf(network: Network, now: number): Plan {
  const capacity = capacityOf(network, now)
  return {
    findings: inOrder([
      ...overlapFindings(network),
      ...placementFindings(network),
      ...capacityFindings(network, capacity),
      ...adviceFindings(network),
    ]),
    capacity,
    routes: deviceRoutes(network),
    security: securityRules(network),
  }
}

/** Whether the network can work as it is planned. */
export function hasProblems({ findings }: Pick<Plan, 'findings'>): boolean {
  return findings.some(({ severity }) => severity === 'problem')
}
