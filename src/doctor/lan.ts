/**
 * What `doctor` asks the LAN: who else has this node's addresses, and who has those of its peer and
 * gateway. Judges nothing.
 */

import type { ObservedKernel } from '../agent/observe.ts'
import { type BGPPeer, devicesOf } from '../kube/bgp-peer.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { FAMILIES, familyOf } from '../lib/ip.ts'
import { IFA_F, NUD } from '../netlink/constants.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link } from '../netlink/types.ts'
import { askByArp } from './arp-probe.ts'
import type { DuplicateFacts } from './facts.ts'

export interface LanInput {
  readonly clock: Clock
  readonly observed: Pick<ObservedKernel, 'links' | 'addresses' | 'defaultGateways'>
  readonly uplink: Link | undefined
  readonly peers: readonly BGPPeer[]
  readonly onLink: ReadonlyMap<string, number>
}

export async function observeDuplicates({ clock, observed, uplink, peers, onLink }: LanInput): Promise<DuplicateFacts> {
  const { links, addresses } = observed
  const names = new Map(links.map(({ index, name }) => [index, name]))
  const facts = {
    ownHardwareAddresses: links.map(({ address }) => address),
    failed: addresses
      .filter(({ flags }) => (flags & IFA_F.DADFAILED) !== 0)
      .map(({ address, interface: index }) => ({ address, interface: names.get(index) ?? String(index) })),
  }
  // only Ethernet has ARP with addresses of six octets
  if (uplink === undefined || !uplink.carrier || !/^..(:..){5}$/.test(uplink.address))
    return { ...facts, answers: [], silent: [], asked: 0 }
  const own = addresses
    .filter(entry => entry.interface === uplink.index && entry.family === 'ipv4')
    .map(({ address }) => address)
  const named = peers.flatMap(({ spec }) => devicesOf(spec)).filter(address => onLink.get(address) === uplink.index)
  const defaults = FAMILIES.flatMap(family => observed.defaultGateways[family]).flatMap(hop =>
    hop.gateway === undefined || hop.interface !== uplink.index ? [] : [hop.gateway],
  )
  const all = [...new Set([...named, ...defaults])].filter(address => !own.includes(address))
  const devices = all.filter(address => familyOf(address) === 'ipv4')
  const hardwareAddress = uplink.address
  try {
    const heard = await askByArp(clock, uplink.index, [
      ...own.map(target => ({ target, sender: '0.0.0.0', hardwareAddress })),
      ...[...new Set(devices)].map(target => ({ target, sender: own[0] ?? '0.0.0.0', hardwareAddress })),
    ])
    const answers = [...heard].map(([address, from]) => {
      return { address, whose: own.includes(address) ? 'node' : 'device', hardwareAddresses: [...from].sort() } as const
    })
    const silent = [
      ...answers.filter(({ whose, hardwareAddresses }) => whose === 'device' && hardwareAddresses.length === 0),
      ...(await silentByND(clock, uplink, all)),
    ]
    return { ...facts, answers, silent: silent.map(({ address }) => address), asked: all.length }
  } catch (error) {
    return { ...facts, answers: [], silent: [], asked: 0, problem: errorText(error) }
  }
}

/** How long the kernel asks for a neighbour before it gives up: three times a second apart. */
const ND_MILLISECONDS = 3200

/** IPv6 addresses at which nobody answers, asked by the kernel itself (RFC 4861). */
async function silentByND(clock: Clock, uplink: Link, addresses: readonly string[]): Promise<{ address: string }[]> {
  const asked = addresses.filter(address => familyOf(address) === 'ipv6')
  if (asked.length === 0) return []
  const netlink = Rtnetlink.open()
  try {
    const silent = () => {
      const table = netlink.dumpNeighbours()
      return asked.filter(address => {
        const entry = table.find(one => one.address === address && one.interface === uplink.index)
        return entry === undefined || (entry.state & (NUD.INCOMPLETE | NUD.FAILED)) !== 0
      })
    }
    const unknown = silent()
    if (unknown.length === 0) return []
    netlink.solicit(unknown.map(address => ({ address, interface: uplink.index })))
    await sleep(clock, ND_MILLISECONDS)
    return silent().map(address => ({ address }))
  } finally {
    netlink.close()
  }
}
