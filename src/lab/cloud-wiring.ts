/**
 * Which ports the networks of the lab's cloud have, as the simulated cloud's interfaces say, and
 * what is to be done to get there from those that there are: an interface that is attached becomes
 * a link of its machine, its addresses become routes of the network. Decides; does nothing. Pure.
 */
import type { SimInstance, SimInterface } from '../cloudsim/types.ts'
import type { CloudNodePlan, CloudPlan, FabricPlan } from './cloud-plan.ts'

/** A port of a network and the link at its other end. */
export interface Port {
  readonly id: string
  readonly fabric: FabricPlan['name']
  /** The name of the network's end. */
  readonly port: string
  readonly namespace: string
  readonly interface: string
  readonly mac: string
  readonly addresses: readonly string[]
  /** The instance's primary interface, which its image configures by itself. */
  readonly isPrimary: boolean
}

export type PortChange =
  | { readonly kind: 'attach'; readonly port: Port }
  | { readonly kind: 'detach'; readonly port: Port }
  | { readonly kind: 'own' | 'disown'; readonly port: Port; readonly address: string }

/** The ports that there are to be; a link keeps its name for as long as it is attached. */
export function wantedPorts(
  plan: CloudPlan,
  world: {
    readonly interfaces: ReadonlyMap<string, SimInterface>
    readonly instances: ReadonlyMap<string, SimInstance>
  },
  now: ReadonlyMap<string, Port>,
): ReadonlyMap<string, Port> {
  const wanted = new Map<string, Port>()
  for (const node of plan.nodes) {
    const attached = [...world.interfaces.values()].filter(
      ({ instanceID, state }) => instanceID === node.instanceID && isPluggedIn(state),
    )
    const names = new Set(attached.flatMap(({ id }) => now.get(id)?.interface ?? []))
    for (const item of attached) wanted.set(item.id, now.get(item.id) ?? newPort(node, item, names))
    for (const item of attached) {
      const port = wanted.get(item.id)
      if (port !== undefined) wanted.set(item.id, { ...port, addresses: [...item.ipv4, ...item.ipv6] })
    }
  }
  return wanted
}

/** The guest loses the link as soon as it is being detached. */
function isPluggedIn(state: SimInterface['state']): boolean {
  return state === 'InUse'
}

function newPort(node: CloudNodePlan, item: SimInterface, names: Set<string>): Port {
  let number = item.type === 'Primary' ? 0 : 1
  while (names.has(`eth${number}`)) number++
  names.add(`eth${number}`)
  return {
    id: item.id,
    fabric: node.fabric,
    port: `p-${item.id.replace(/^eni-/, '')}`,
    namespace: node.namespace,
    interface: `eth${number}`,
    mac: item.mac,
    addresses: [],
    isPrimary: item.type === 'Primary',
  }
}

/** From what there is to what there is to be: what goes first, for addresses may move. */
export function planPorts(now: ReadonlyMap<string, Port>, wanted: ReadonlyMap<string, Port>): readonly PortChange[] {
  const gone = [...now.values()].filter(({ id }) => !wanted.has(id)).map(port => ({ kind: 'detach', port }) as const)
  const disowned: PortChange[] = []
  const added: PortChange[] = []
  for (const port of wanted.values()) {
    const before = now.get(port.id)
    if (before === undefined) {
      added.push({ kind: 'attach', port })
      continue
    }
    const [had, has] = [new Set(before.addresses), new Set(port.addresses)]
    for (const address of had) if (!has.has(address)) disowned.push({ kind: 'disown', port, address })
    for (const address of has) if (!had.has(address)) added.push({ kind: 'own', port, address })
  }
  return [...gone, ...disowned, ...added]
}
