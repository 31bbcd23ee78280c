/**
 * What must hold whatever happens, checked on the simulated cloud's own state and its account of
 * calls: I1 no address on two pods; I2 none is taken off an interface while a pod has it; I3 every
 * interface of ours is in an ENINode, or deleted; I4 every address of ours is in `addresses` or
 * `releasing`; I5 each changing call had its record first; I6 there is none in a steady state.
 *
 * I2 and I5 are looked at in the moment of the call, the others when asked.
 */
import type { ENINodeStatus } from '../kube/eni-node.ts'
import { type CloudSimulator, changes } from './simulator.ts'
import type { SimCall, SimInterface } from './types.ts'

export interface Witness {
  /** Which pods have which addresses now: pod, address. */
  readonly pods: () => Iterable<readonly [pod: string, address: string]>
  /** The ENINodes as the API server has them now. */
  readonly eniNodes: () => readonly { readonly name: string; readonly status: ENINodeStatus }[]
  /** Whether an interface is the project's to take care of. */
  readonly isOurs: (item: SimInterface) => boolean
  /** Whether addresses may be taken off though a pod has them: its instance is gone. */
  readonly excused?: (address: string) => boolean
}

export class Invariants {
  readonly #simulator: CloudSimulator
  readonly #witness: Witness
  readonly broken: string[] = []

  constructor(simulator: CloudSimulator, witness: Witness) {
    this.#simulator = simulator
    this.#witness = witness
    simulator.onCall = call => this.#recorded(call)
    simulator.world.onUnassigned = (address, interfaceID) => this.#unassigned(address, interfaceID)
  }

  /** Changing calls so far. */
  changingCalls(): readonly SimCall[] {
    return this.#simulator.calls.filter(({ action }) => changes(action))
  }

  /** Everything that is broken now, and was since the start. */
  check(): readonly string[] {
    return [...this.broken, ...this.#twice(), ...this.#unnamed()]
  }

  /** I6: what was called since there were `calls` changing calls. */
  since(calls: number): readonly string[] {
    return this.changingCalls()
      .slice(calls)
      .map(({ action, outcome }) => `I6: ${action} (${outcome}) in a steady state`)
  }

  #twice(): readonly string[] {
    const holders = new Map<string, string>()
    const problems: string[] = []
    for (const [pod, address] of this.#witness.pods()) {
      const other = holders.get(address)
      if (other !== undefined) problems.push(`I1: ${address} is on the pods ${other} and ${pod}`)
      holders.set(address, pod)
    }
    return problems
  }

  #unassigned(address: string, interfaceID: string): void {
    for (const [pod, held] of this.#witness.pods()) {
      if (held === address && this.#witness.excused?.(address) !== true)
        this.broken.push(`I2: ${address} was taken off ${interfaceID} while the pod ${pod} has it`)
    }
  }

  #unnamed(): readonly string[] {
    this.#simulator.world.settle()
    const named = new Map(
      this.#witness.eniNodes().flatMap(({ status }) => status.interfaces.map(item => [item.id, item])),
    )
    return [...this.#simulator.world.interfaces.values()].filter(this.#witness.isOurs).flatMap(item => {
      const known = named.get(item.id)
      if (known === undefined) return [`I3: ${item.id} (${item.state}) is in no ENINode`]
      const listed = new Set([...known.addresses, ...known.releasing])
      return [...item.ipv4, ...item.ipv6]
        .filter(address => !listed.has(address))
        .map(address => `I4: ${address} of ${item.id} is neither in addresses nor in releasing`)
    })
  }

  #recorded(call: SimCall): void {
    if (!changes(call.action)) return
    const wanted = canonical(call.parameters)
    const found = this.#witness
      .eniNodes()
      .some(({ status }) =>
        status.operations.some(
          ({ action, parameters, token }) =>
            action === call.action && token === call.token && canonical(parameters) === wanted,
        ),
      )
    if (!found) this.broken.push(`I5: ${call.action} was called without a record: ${wanted}`)
  }
}

function canonical(parameters: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1)))
}
