/**
 * What the page shows of nodes whose pods sit on elastic network interfaces, worked out from a
 * snapshot: of the controller every such node, of a node itself. Pure: no document, no clock; it
 * imports types only.
 */
import type { CloudNodeView, NodeView, Snapshot } from '../src/model/snapshot.ts'

type CloudMode = CloudNodeView['mode']

/** An elastic network interface. */
export interface CloudInterface {
  readonly node: string
  readonly id: string
  readonly vSwitchID: string
  readonly state: string
  readonly addresses: number
  readonly releasing: number
  /** Only the node itself knows. */
  readonly inUse?: number
  readonly link?: string
}

export interface CloudNode {
  readonly name: string
  readonly addresses: readonly string[]
  readonly mode: CloudMode
  readonly instanceType: string
  readonly interfaces: readonly CloudInterface[]
  readonly inUse: number
  readonly waiting: number
  /** Absent where it is not known. */
  readonly capacity?: number
  readonly problem?: string
}

/** Nodes of one kind of place, with the vSwitches that their interfaces come from. */
export interface CloudSite {
  readonly title: string
  readonly vSwitchIDs: readonly string[]
  readonly nodes: readonly CloudNode[]
}

const TITLES: Readonly<Record<CloudMode, string>> = {
  'eni-ecs': 'Cloud (ECS)',
  'eni-ens': 'Edge Node Service (ENS)',
  route: '',
}

export function cloudSitesOf(snapshot: Pick<Snapshot, 'nodes' | 'node'>): readonly CloudSite[] {
  const nodes = cloudNodesOf(snapshot)
  return (['eni-ecs', 'eni-ens'] as const).flatMap(mode => {
    const members = nodes.filter(node => node.mode === mode)
    if (members.length === 0) return []
    const vSwitchIDs = [...new Set(members.flatMap(({ interfaces }) => interfaces.map(item => item.vSwitchID)))]
    return [{ title: TITLES[mode], vSwitchIDs: vSwitchIDs.filter(id => id !== '').sort(), nodes: members }]
  })
}

export function interfacesOf(snapshot: Pick<Snapshot, 'nodes' | 'node'>): readonly CloudInterface[] {
  return cloudNodesOf(snapshot).flatMap(({ interfaces }) => interfaces)
}

function cloudNodesOf({ nodes, node }: Pick<Snapshot, 'nodes' | 'node'>): readonly CloudNode[] {
  const own = node === undefined ? [] : ownNode(node)
  return [...own, ...nodes.filter(({ name }) => !own.some(one => one.name === name)).flatMap(nodeOf)]
}

function nodeOf({ name, addresses, cloud, problem }: NodeView): readonly CloudNode[] {
  if (cloud === undefined) return []
  const { mode, instanceType, interfaces, inUse, waiting, capacity } = cloud
  return [
    {
      name,
      addresses,
      mode,
      instanceType,
      interfaces: interfaces.map(item => ({ node: name, ...item })),
      inUse,
      waiting,
      capacity,
      ...(problem === undefined ? {} : { problem }),
    },
  ]
}

function ownNode({ name, addresses, mode, interfaces }: NonNullable<Snapshot['node']>): readonly CloudNode[] {
  if (interfaces === undefined || mode === undefined) return []
  return [
    {
      name,
      addresses,
      mode,
      instanceType: '',
      interfaces: interfaces.map(({ id, vSwitchID, state, link, addresses: count, inUse, releasing }) => ({
        node: name,
        id,
        vSwitchID,
        state,
        addresses: count,
        inUse,
        releasing,
        ...(link === undefined ? {} : { link }),
      })),
      inUse: interfaces.reduce((sum, item) => sum + item.inUse, 0),
      waiting: 0,
    },
  ]
}

/** What of a node's addresses pods have: `1 of 9 addresses in use`. */
export function useOf({ interfaces, inUse, waiting }: CloudNode): string {
  const there = interfaces.reduce((sum, { addresses }) => sum + addresses, 0)
  return `${inUse} of ${there} in use${waiting > 0 ? `, ${waiting} waiting` : ''}`
}

/** Whether somebody should look: pods wait, or something is said of it. */
export function isInTrouble({ problem, waiting }: CloudNode): boolean {
  return problem !== undefined || waiting > 0
}
