/**
 * Where each product of a region is called. ECS and VPC have an endpoint that is reached from
 * inside a VPC without a way to the internet, the default; ENS has one for all regions. Pure.
 */
import type { Product } from './actions.ts'

export interface EndpointConfig {
  /** vpc: from inside a VPC; public: over the internet. */
  readonly network: 'vpc' | 'public'
  /**
   * Endpoints (host, or host:port) to use in place of the usual ones; with http:// in front:
   * without TLS.
   */
  readonly overrides: Readonly<Partial<Record<Product, string>>>
}

/**
 * Regions whose public endpoint of ECS does not follow the rule. Source: endpoint map of the ECS
 * SDK.
 */
const PUBLIC_ECS: Readonly<Record<string, string>> = {
  'cn-hangzhou': 'ecs-cn-hangzhou.aliyuncs.com',
}

/**
 * Where a role is assumed: inside of a VPC in the region of the call, which needs no way to the
 * internet; for ENS, whose regions have none of their own, the one of all regions.
 */
export function stsEndpointOf(
  product: Product,
  regionID: string,
  { network }: Pick<EndpointConfig, 'network'>,
): string {
  if (product === 'ens') return 'sts.aliyuncs.com'
  return network === 'vpc' ? `sts-vpc.${regionID}.aliyuncs.com` : `sts.${regionID}.aliyuncs.com`
}

/** Host, or host:port. */
export function endpointOf(product: Product, regionID: string, { network, overrides }: EndpointConfig): string {
  const override = overrides[product]
  if (override !== undefined) return override
  if (product === 'ens') return 'ens.aliyuncs.com'
  if (network === 'vpc') return `${product}-vpc.${regionID}.aliyuncs.com`
  if (product === 'ecs') return PUBLIC_ECS[regionID] ?? `ecs.${regionID}.aliyuncs.com`
  return `vpc.${regionID}.aliyuncs.com`
}
