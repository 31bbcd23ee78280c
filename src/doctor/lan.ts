/**
 * What `doctor` asks the LAN: who else has this node's addresses, and who has those of its peer and
 * gateway. Judges nothing.
 */

import type { ObservedKernel } from '../agent/observe.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { familyOf } from '../lib/ip.ts'
import { IFA_F } from '../netlink/constants.ts'
import type { Link } from '../netlink/types.ts'
import { askByArp } from './arp-probe.ts'
import type { DuplicateFacts } from './facts.ts'

export interface LanInput {
  readonly clock: Clock
  readonly observed: Pick<ObservedKernel, 'links' | 'addresses'>
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
  if (uplink === undefined || !uplink.carrier || !/^..(:..){5}$/.test(uplink.address)) return { ...facts, answers: [] }
  const own = addresses
    .filter(entry => entry.interface === uplink.index && entry.family === 'ipv4')
    .map(({ address }) => address)
  const devices = peers
    .flatMap(({ spec }) => [spec.peerIP, ...(spec.gateway === undefined ? [] : [spec.gateway])])
    .filter(address => familyOf(address) === 'ipv4' && onLink.get(address) === uplink.index && !own.includes(address))
  const hardwareAddress = uplink.address
  try {
    const heard = await askByArp(clock, uplink.index, [
      ...own.map(target => ({ target, sender: '0.0.0.0', hardwareAddress })),
      ...[...new Set(devices)].map(target => ({ target, sender: own[0] ?? '0.0.0.0', hardwareAddress })),
    ])
    const answers = [...heard].map(([address, from]) => {
      return { address, whose: own.includes(address) ? 'node' : 'device', hardwareAddresses: [...from].sort() } as const
    })
    return { ...facts, answers }
  } catch (error) {
    return { ...facts, answers: [], problem: errorText(error) }
  }
}
