/**
 * The address ranges of a network, each with what it is for: what the rules of overlap compare and
 * what a free range must avoid. Pure.
 */
import { lansOf, type Network } from './network.ts'

export type RangeKind =
  | 'service'
  | 'edge-pods'
  | 'vpc'
  | 'node-vswitch'
  | 'pod-vswitch'
  | 'ens'
  | 'data-center'
  | 'lan'
  | 'other'
  | 'link'
  | 'lifeline'

/** A range of the document. An address alone is a /32 or /128 here. */
export interface NamedRange {
  readonly kind: RangeKind
  /** In words: `Service CIDR`, `hosts of LAN lan-a`. */
  readonly what: string
  readonly cidr: string
  readonly path: string
  /** What it belongs to, where several of a kind may: the data center. */
  readonly owner?: string
}

/** All ranges of the document, in its order. */
export function rangesOf(network: Network): readonly NamedRange[] {
  const { vpc, edge } = network
  return [
    ...network.serviceCIDRs.map((cidr, index) => range('service', 'Service CIDR', cidr, `serviceCIDRs[${index}]`)),
    ...edge.podCIDRs.map((cidr, index) => range('edge-pods', 'edge pod CIDR', cidr, `edge.podCIDRs[${index}]`)),
    ...vpc.cidrs.map((cidr, index) => range('vpc', 'VPC', cidr, `vpc.cidrs[${index}]`)),
    ...vpc.nodeVSwitches.map(({ name, cidr }, index) =>
      range('node-vswitch', `node vSwitch ${name}`, cidr, `vpc.nodeVSwitches[${index}].cidr`),
    ),
    ...vpc.podVSwitches.map(({ name, cidr }, index) =>
      range('pod-vswitch', `pod vSwitch ${name}`, cidr, `vpc.podVSwitches[${index}].cidr`),
    ),
    ...network.ens.map(({ name, cidr }, index) => range('ens', `ENS ${name}`, cidr, `ens[${index}].cidr`)),
    ...network.dataCenters.flatMap((dataCenter, index) =>
      dataCenter.cidrs.map((cidr, inner) => ({
        ...range('data-center', `data center ${dataCenter.name}`, cidr, `dataCenters[${index}].cidrs[${inner}]`),
        owner: dataCenter.name,
      })),
    ),
    ...lansOf(network).flatMap(({ lan, dataCenter, path }) =>
      lan.hostCIDRs.map((cidr, index) => ({
        ...range('lan', `hosts of LAN ${lan.name}`, cidr, `${path}.hostCIDRs[${index}]`),
        owner: dataCenter.name,
      })),
    ),
    ...network.otherNetworks.flatMap(({ name, cidrs }, index) =>
      cidrs.map((cidr, inner) => range('other', name, cidr, `otherNetworks[${index}].cidrs[${inner}]`)),
    ),
    ...addressesOf(network),
  ]
}

/**
 * Addresses that must stay reachable: of devices, gateways and switches, the API server, name
 * servers.
 */
function addressesOf(network: Network): readonly NamedRange[] {
  const found: NamedRange[] = []
  const add = (kind: RangeKind, what: string, address: string | undefined, path: string) => {
    if (address !== undefined) found.push(range(kind, what, host(address), path))
  }
  for (const [index, { path }] of network.dataCenters.entries()) {
    for (const [inner, { kind, name, address, cloudAddress }] of path.entries()) {
      const at = `dataCenters[${index}].path[${inner}]`
      add('link', `${kind} ${name}`, address, `${at}.address`)
      add('link', `${kind} ${name}`, cloudAddress, `${at}.cloudAddress`)
    }
  }
  for (const { lan, path } of lansOf(network)) {
    add('link', `gateway of LAN ${lan.name}`, lan.gateway, `${path}.gateway`)
    for (const [index, { address }] of lan.switches.entries())
      add('link', `switch of LAN ${lan.name}`, address, `${path}.switches[${index}].address`)
  }
  add('lifeline', 'API server', network.apiServer, 'apiServer')
  for (const [index, address] of network.nameServers.entries())
    add('lifeline', 'name server', address, `nameServers[${index}]`)
  return found
}

function range(kind: RangeKind, what: string, cidr: string, path: string): NamedRange {
  return { kind, what, cidr, path }
}

function host(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`
}
