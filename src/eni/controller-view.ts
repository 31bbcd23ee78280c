/**
 * What the controller shows of nodes of the cloud: their interfaces and addresses beside what it
 * shows of every node, and the calls of the cluster. Pure.
 */
import { present } from '../lib/fields.ts'
import { familyOf } from '../lib/ip.ts'
import type { CloudNodeView, CloudView, NodeView } from '../model/snapshot.ts'
import type { EniControllerView } from './controller-reconcile.ts'
import { MODE_ON } from './mode.ts'

/** The nodes with what is known of their interfaces. */
export function withCloudNodes(nodes: readonly NodeView[], view: EniControllerView | undefined): readonly NodeView[] {
  if (view === undefined) return nodes
  const rows = new Map(view.nodes.map(node => [node.name, node]))
  return nodes.map(node => {
    const row = rows.get(node.name)
    if (row?.spec === undefined) return node
    const { spec, interfaces, operations, report, idle, capacity, conditions, lastError } = row
    const problem = conditions.find(({ type, status }) => type === 'SufficientAddresses' && status === 'False')
    const cloud = present<CloudNodeView>({
      mode: MODE_ON[spec.platform],
      instanceID: spec.instanceID,
      instanceType: spec.instanceType,
      vSwitchIDs: spec.vSwitchIDs,
      interfaces: interfaces.map(({ id, vSwitchID, state, addresses, releasing }) => ({
        id,
        vSwitchID,
        state,
        addresses: addresses.filter(address => familyOf(address) === 'ipv4').length,
        releasing: releasing.length,
      })),
      capacity,
      inUse: report?.inUse ?? 0,
      idle: Math.max(0, idle),
      waiting: report?.waiting ?? 0,
      operations: operations.map(({ action }) => action),
      lastError,
    })
    const sentence = problem === undefined ? undefined : `${problem.reason}: ${problem.message}`
    const problems = [node.problem, sentence].filter(text => text !== undefined).join('; ')
    return { ...node, cloud, ...(problems === '' ? {} : { problem: problems }) }
  })
}

/** What the whole cluster has to do with the cloud. */
export function cloudView(view: EniControllerView | undefined): CloudView | undefined {
  return view && { calls: view.calls, blocked: view.blocked }
}
