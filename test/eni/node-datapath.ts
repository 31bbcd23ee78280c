/**
 * The node's half of the datapath for a machine of `cloud-network.ts`: what the node's process
 * keeps, in the machine's namespace.
 */

import { applySettings } from '../../src/agent/sysctl.ts'
import { AddressStore } from '../../src/cni/address-store.ts'
import { podAddresses } from '../../src/cni/pod-addresses.ts'
import { setInterfaceSysctls } from '../../src/cni/sysctl.ts'
import { DatapathKeeper, type DatapathPass, namesOf } from '../../src/eni/keep-datapath.ts'
import { ConnectionMarks } from '../../src/eni/keep-marks.ts'
import { Nft } from '../../src/firewall/nftables.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import { type CloudNode, NUMBERS, POD_GATEWAYS } from './cloud-network.ts'

export class NodeDatapath {
  readonly #keeper: DatapathKeeper
  readonly #marks: ConnectionMarks
  last: DatapathPass = { datapath: undefined, problems: ['no pass yet'] }
  passes = 0

  constructor(node: CloudNode) {
    const netns = node.network.path(node.namespace)
    const store = new AddressStore(node.stateDir)
    this.#marks = new ConnectionMarks({
      clock: systemClock,
      nftables: () => Nft.find({ netns }),
      mark: NUMBERS.marked.mark,
      netns,
      onProblems: () => {},
    })
    this.#keeper = new DatapathKeeper({
      clock: systemClock,
      log: silentLog,
      numbers: NUMBERS,
      routeTable: 254,
      netns,
      pods: () => podAddresses(store.read()),
      locked: action => store.update(() => ({ result: action() })),
      settings: ({ primaries, interfaces, ipv6 }) => {
        inNetworkNamespace(netns, () => {
          for (const name of interfaces) setInterfaceSysctls('ipv6', name, { accept_ra: 0 })
        })
        return applySettings({ uplinks: primaries, ipv6 }, { stateDir: node.stateDir, netns }).problems
      },
      onPass: pass => {
        this.last = pass
        this.passes++
        if (pass.datapath !== undefined) this.#marks.want(namesOf(pass.datapath))
      },
    })
    this.#keeper.want(
      node.enis.map(({ id, port }) => ({ id, mac: port.mac, gateways: [...POD_GATEWAYS], attached: true })),
      ['ipv4', 'ipv6'],
    )
  }

  /** Interfaces are not known any more. */
  forget(): void {
    this.#keeper.want([], ['ipv4', 'ipv6'])
  }

  /** Whether all of it has been written once, and nothing is wrong. */
  get settled(): boolean {
    return this.last.problems.length === 0 && this.#marks.ready
  }

  async close(): Promise<void> {
    await this.#keeper.close()
    await this.#marks.close()
  }
}
