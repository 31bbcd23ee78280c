/** Networks for the planner's tests: the document's example, and what differs from it. */

import { parseYaml } from '../../src/lib/yaml.ts'
import { checkedNetwork, type Network } from '../../src/planner/network.ts'
import { planOf } from '../../src/planner/plan.ts'

/**
 * The user's document: data center 172.16.0.0/16, VPC 192.168.0.0/16, edge pods 10.0.0.0/8, joined
 * by Express Connect.
 */
export const DOCUMENT = `
vpc:
  cidrs: [192.168.0.0/16]
  nodeVSwitches:
    - {name: nodes-a, zone: a, cidr: 192.168.0.0/19}
    - {name: nodes-b, zone: b, cidr: 192.168.32.0/19}
    - {name: nodes-c, zone: c, cidr: 192.168.64.0/19}
  podVSwitches:
    - {name: pods-a, zone: a, cidr: 192.168.128.0/19}
    - {name: pods-b, zone: b, cidr: 192.168.160.0/19}
    - {name: pods-c, zone: c, cidr: 192.168.192.0/19}
serviceCIDRs: [172.21.0.0/20]
edge: {podCIDRs: [10.0.0.0/8]}
dataCenters:
  - name: dc
    cidrs: [172.16.0.0/16]
    path:
      - {kind: gateway, name: gw, address: 172.16.255.254, cloudAddress: 172.31.0.1}
      - {kind: vbr, name: vbr, address: 172.31.0.2}
      - {kind: ecr, name: ecr}
      - {kind: cen, name: cen}
    lans:
      - name: lan
        hostCIDRs: [172.16.0.0/24]
        switches: [{address: 172.16.0.1, asNumber: 65001}]
        localAsNumber: 65010
        speakers: [node-1, node-2, node-3]
        nodes: 40
        growthPerYear: 10
`

/** What the parser gives, to be changed by a test. */
// biome-ignore lint/suspicious/noExplicitAny: a document before it is checked has no type
export type Draft = any

/** The document's example after a change. */
export function network(change: (draft: Draft) => void = () => {}): Network {
  const draft: Draft = parseYaml(DOCUMENT, 'network.yaml')
  change(draft)
  return checkedNetwork(draft, 'network.yaml')
}

/** 2026-12-01, UTC. */
export const NOW = Date.UTC(2026, 11, 1)

/** `severity rule` of what the plan finds, without notes. */
export function found(change: (draft: Draft) => void): string[] {
  return planOf(network(change), NOW)
    .findings.filter(({ severity }) => severity !== 'note')
    .map(({ severity, rule }) => `${severity} ${rule}`)
}
