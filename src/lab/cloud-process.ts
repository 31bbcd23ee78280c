/**
 * The simulated cloud of a lab as a process (`terway-edge lab cloud`): its OpenAPI on the VPC host,
 * the metadata service in its networks, and the cables, which follow what the cloud says is
 * attached. What it holds ends with it, like the lab.
 */
import { MetadataService } from '../cloudsim/metadata.ts'
import { serveCloud, serveMetadata } from '../cloudsim/serve.ts'
import { CloudSimulator } from '../cloudsim/simulator.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { inNetworkNamespace } from '../lib/libc.ts'
import { Loop } from '../lib/loop.ts'
import { attach, detach, disown, own } from './cloud-fabric.ts'
import {
  CLOUD_KEY,
  type CloudPlan,
  INSTANCE_TYPE,
  METADATA_ADDRESS,
  OPEN_API_PORT,
  REGION,
  SECURITY_GROUP,
} from './cloud-plan.ts'
import { type Port, type PortChange, planPorts, wantedPorts } from './cloud-wiring.ts'
import { namespacePath } from './run.ts'

export interface CloudProcessOptions {
  readonly plan: CloudPlan
  /** Of the VPC host. */
  readonly address: string
  readonly clock: Clock
  readonly say: (line: string) => void
}

/** States change as time passes, not by calls alone. */
const LOOK_MILLISECONDS = 250

/** Serves once the instances' own interfaces are there. */
export async function startCloud({
  plan,
  address,
  clock,
  say,
}: CloudProcessOptions): Promise<{ close(): Promise<void> }> {
  const simulator = simulatorOf(plan, clock)
  const cables = new Cables(plan, simulator)
  await cables.follow()
  const loop = new Loop({
    clock,
    run: () => cables.follow(),
    onError: error => say(`cannot follow what is attached: ${errorText(error)}`),
    everyMilliseconds: LOOK_MILLISECONDS,
  })
  simulator.onCall = () => loop.wake()
  const api = await serveCloud(simulator, { hostname: address, port: OPEN_API_PORT })
  const services = new Map(
    plan.nodes.map(({ instanceID }) => [
      instanceID,
      new MetadataService({ world: simulator.world, instanceID, clock }),
    ]),
  )
  const serviceFor = (from: string) => {
    const owner = [...simulator.world.interfaces.values()].find(item => item.ipv4.includes(from))
    return services.get(owner?.instanceID ?? '')
  }
  const metadata = [plan.vpc, plan.ens].map(({ namespace }) =>
    inNetworkNamespace(namespacePath(namespace), () =>
      serveMetadata(serviceFor, { hostname: METADATA_ADDRESS, port: 80 }),
    ),
  )
  return {
    async close() {
      await Promise.all([api, ...metadata].map(server => server.close()))
      await loop.close()
    },
  }
}

function simulatorOf(plan: CloudPlan, clock: Clock): CloudSimulator {
  const simulator = new CloudSimulator({
    clock,
    regionID: REGION,
    accessKeys: [CLOUD_KEY],
    vSwitches: plan.vSwitches,
    securityGroups: [SECURITY_GROUP],
    instanceTypes: [INSTANCE_TYPE],
  })
  for (const node of plan.nodes) {
    const { instanceID: id, instanceType: type, product, vpcID, zoneID, vSwitchID } = node
    const chosen = { ipv4: node.address, ipv6: node.address6 }
    simulator.world.addInstance({ id, type, product, vpcID, zoneID }, vSwitchID, chosen)
    for (let count = 0; count < node.bought; count++) {
      const made = simulator.world.makeInterface({ product, type: 'Secondary', vSwitchID })
      Object.assign(made, { state: 'InUse', instanceID: id })
    }
  }
  return simulator
}

class Cables {
  readonly #plan: CloudPlan
  readonly #simulator: CloudSimulator
  readonly #now = new Map<string, Port>()

  constructor(plan: CloudPlan, simulator: CloudSimulator) {
    this.#plan = plan
    this.#simulator = simulator
  }

  async follow(): Promise<void> {
    const { world } = this.#simulator
    world.settle()
    const wanted = wantedPorts(this.#plan, world, this.#now)
    for (const change of planPorts(this.#now, wanted)) {
      await this.#do(change)
      if (change.kind === 'detach') this.#now.delete(change.port.id)
      else this.#now.set(change.port.id, known(this.#now.get(change.port.id), change))
    }
  }

  async #do(change: PortChange): Promise<void> {
    const { port } = change
    const fabric = port.fabric === 'cloud' ? this.#plan.vpc : this.#plan.ens
    switch (change.kind) {
      case 'attach': {
        const node = this.#plan.nodes.find(({ namespace }) => namespace === port.namespace)
        const configured = { gateways: node?.gateways ?? [], routes: ['default'] }
        return await attach(fabric, { ...port, ...(port.isPrimary ? { configured } : {}) })
      }
      case 'detach':
        return await detach(fabric, port)
      case 'own':
        return await own(fabric, port, change.address)
      case 'disown':
        return await disown(fabric, port, change.address)
    }
  }
}

/** What a port has after a change that was carried out. */
function known(before: Port | undefined, change: Exclude<PortChange, { kind: 'detach' }>): Port {
  if (change.kind === 'attach' || before === undefined) return change.port
  const others = before.addresses.filter(address => address !== change.address)
  return { ...before, addresses: change.kind === 'own' ? [...others, change.address] : others }
}
