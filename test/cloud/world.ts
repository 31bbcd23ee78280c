/**
 * A simulated cloud as tests use it: one region, one VPC, two zones, the instance types of the
 * facts, and ways to call it.
 */

import { actionFacts } from '../../src/cloud/actions.ts'
import type { CloudAnswer, CloudApi, CloudCall } from '../../src/cloud/cloud-api.ts'
import { CloudSimulator } from '../../src/cloudsim/simulator.ts'
import type { SimAccessKey, SimOptions } from '../../src/cloudsim/types.ts'
import type { Clock } from '../../src/lib/clock.ts'

export const REGION = 'cn-hangzhou'
export const ZONE = 'cn-hangzhou-k'
export const KEY: SimAccessKey = { id: 'LTAI-test', secret: 'a secret with & and =' }

export const TYPES = [
  { name: 'ecs.g7.xlarge', interfaces: 4, ipv4PerInterface: 15, ipv6PerInterface: 15 },
  { name: 'ecs.g7.4xlarge', interfaces: 8, ipv4PerInterface: 30, ipv6PerInterface: 30 },
  { name: 'ecs.g6.large', interfaces: 2, ipv4PerInterface: 6, ipv6PerInterface: 1 },
  { name: 'ecs.u1-c1m4.xlarge', interfaces: 3, ipv4PerInterface: 10, ipv6PerInterface: 1 },
  { name: 'ecs.xn4.small', interfaces: 2, ipv4PerInterface: 2, ipv6PerInterface: 2, attachStopped: true },
] as const

export function simulator(clock: Clock, more: Partial<SimOptions> = {}): CloudSimulator {
  return new CloudSimulator({
    clock,
    regionID: REGION,
    accessKeys: [KEY],
    vSwitches: [
      { id: 'vsw-node', vpcID: 'vpc-1', zoneID: ZONE, cidr: '192.168.0.0/19' },
      { id: 'vsw-1', vpcID: 'vpc-1', zoneID: ZONE, cidr: '192.168.32.0/19', ipv6Cidr: 'fd00:32::/64' },
      { id: 'vsw-2', vpcID: 'vpc-1', zoneID: ZONE, cidr: '192.168.64.0/24', ipv6Cidr: 'fd00:64::/64' },
      { id: 'vsw-ens', vpcID: 'n-ens', zoneID: 'cn-ens-1', cidr: '10.8.0.0/24' },
    ],
    securityGroups: ['sg-1', 'sg-2'],
    instanceTypes: TYPES,
    ...more,
  })
}

/** The simulated cloud without HTTP and signatures: for what is tested with a clock of its own. */
export class DirectCloud implements CloudApi {
  readonly #simulator: CloudSimulator
  constructor(simulator: CloudSimulator) {
    this.#simulator = simulator
  }
  async call({ action, parameters, token }: CloudCall): Promise<CloudAnswer> {
    const { product, name } = actionFacts(action)
    const flat = token === '' ? parameters : { ...parameters, ClientToken: token }
    const answer = this.#simulator.perform(product, name, flat)
    if (answer === undefined) return { kind: 'unknown', reason: 'no answer' }
    if ('html' in answer) return { kind: 'unknown', reason: 'the answer is not JSON' }
    const { httpStatus, body, retryAfter } = answer
    if (httpStatus < 400) return { kind: 'ok', body, requestID: String(body.RequestId) }
    return {
      kind: 'refused',
      code: String(body.Code),
      httpStatus,
      message: String(body.Message),
      requestID: String(body.RequestId),
      retryAfterSeconds: retryAfter === undefined ? undefined : Math.ceil(retryAfter / 1000),
    }
  }
  close(): void {}
}
