/**
 * The spec of an ENINode: from what its Node says, the configuration for it and the limits of its
 * instance type. Pure.
 */
import type { InstanceType } from '../cloud/answers.ts'
import type { ENINodeSpec } from '../kube/eni-node.ts'
import type { CloudNode } from './cloud-node.ts'
import type { EniConfig } from './eni-config.ts'

const ZONE_LABELS = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone']
const REGION_LABELS = ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region']
const TYPE_LABELS = ['node.kubernetes.io/instance-type', 'beta.kubernetes.io/instance-type']

/** Addresses of an ENS interface, and interfaces of an instance (the pages of ENS). */
const ENS_ADDRESSES = 25
const ENS_INTERFACES = 9

function labelOf(labels: Readonly<Record<string, string>>, names: readonly string[]): string {
  return names.map(name => labels[name]).find(value => value !== undefined && value !== '') ?? ''
}

/** The instance type that the labels of a Node name. */
export function instanceTypeOf({ labels }: Pick<CloudNode, 'labels'>): string {
  return labelOf(labels, TYPE_LABELS)
}

/** Undefined: the node works in route mode, or its type's limits are not known yet. */
export function specOf(node: CloudNode, config: EniConfig, type: InstanceType | undefined): ENINodeSpec | undefined {
  const { mode, labels } = node
  if (mode.mode === 'route') return undefined
  const zoneID = labelOf(labels, ZONE_LABELS)
  const common = {
    instanceID: mode.instanceID,
    instanceType: instanceTypeOf(node),
    zoneID,
    securityGroupIDs: config.securityGroupIDs,
    pool: { minIdle: config.minIdle, maxIdle: config.maxIdle, warmUp: config.warmUp },
  }
  if (mode.mode === 'eni-ens') {
    const regionID = labelOf(labels, REGION_LABELS) || zoneID || 'ens'
    const interfaces = Math.min(ENS_INTERFACES, config.maxInterfaces ?? ENS_INTERFACES)
    const limits = { interfaces, addressesPerInterface: ENS_ADDRESSES }
    return { ...common, platform: 'ens', regionID, vSwitchIDs: [], ipFamilies: ['IPv4'], limits }
  }
  if (type === undefined) return undefined
  return {
    ...common,
    platform: 'ecs',
    regionID: mode.regionID,
    vSwitchIDs: [...new Set(config.vSwitches[zoneID] ?? [])],
    // both families only where an interface takes as many of each
    ipFamilies: config.dualStack && type.ipv6PerInterface >= type.ipv4PerInterface ? ['IPv4', 'IPv6'] : ['IPv4'],
    limits: { interfaces: interfacesFor(type, config), addressesPerInterface: type.ipv4PerInterface },
  }
}

/** What a node of ECS lacks for interfaces to be made for it, if anything. */
export function missingIn({ vSwitchIDs, securityGroupIDs, zoneID, limits, instanceType }: ENINodeSpec) {
  const zone = zoneID === '' ? '(the Node has no label topology.kubernetes.io/zone)' : zoneID
  if (vSwitchIDs.length === 0) return `eni-config names no vSwitch of zone ${zone}`
  if (securityGroupIDs.length === 0) return 'eni-config names no security group'
  return limits.interfaces === 0 ? `instance type ${instanceType} has no interface for pods` : undefined
}

/** Interfaces for pods: the type's share without the primary one. */
function interfacesFor({ interfaces }: InstanceType, { capRatio, capShift, maxInterfaces }: EniConfig): number {
  const share = Math.floor(interfaces * capRatio) + Math.trunc(capShift) - 1
  return Math.max(0, Math.min(interfaces - 1, share, maxInterfaces ?? share))
}
