/**
 * What there is of elastic network interfaces on this node, for `doctor`: its ENINode as it was
 * last known, records, kernel. Reads only.
 */
import { AddressStore } from '../cni/address-store.ts'
import { waitingPods } from '../cni/attachments.ts'
import { podAddresses } from '../cni/pod-addresses.ts'
import type { Config } from '../config/schema.ts'
import { MARKS_TABLE } from '../eni/connection-marks.ts'
import { type Changes, desiredDatapath, familiesServed, planDatapath } from '../eni/datapath.ts'
import { observeDatapath } from '../eni/keep-datapath.ts'
import { poolOf } from '../eni/report.ts'
import { Nft } from '../firewall/nftables.ts'
import { readENINode } from '../kube/eni-node-source.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { InterfaceFacts } from './facts.ts'
import { managerOf } from './interface-managers.ts'

const LEAVES_NO_TRACE = 'somebody that leaves no trace (a DHCP client, a script)'

/** Undefined where pods have no such interfaces. */
export async function observeInterfaces({ state, route, eni }: Config): Promise<InterfaceFacts | undefined> {
  const node = readENINode(state)
  if (node === undefined) return undefined
  const numbers = { protocol: route.protocol, ...eni }
  const pool = poolOf(node, numbers)
  const attachments = new AddressStore(state).read()
  const netlink = Rtnetlink.open()
  try {
    const given = {
      numbers,
      routeTable: route.table,
      families: familiesServed(pool.dualStack),
      interfaces: node.status.interfaces
        .filter(({ state: at }) => at === 'InUse')
        .map(({ id, mac, gateways }) => ({ id, mac, gateways, attached: true })),
      pods: podAddresses(attachments),
      observed: observeDatapath(netlink),
    }
    const datapath = desiredDatapath(given)
    const changes = planDatapath(datapath, given)
    const names = new Map(given.observed.links.map(({ index, name }) => [index, name]))
    const whoManages = (index: number) => managerOf({ index, name: names.get(index) ?? '' }, readFileIfPresent)
    const nft = Nft.find()
    const table = await nft?.tableText('inet', MARKS_TABLE).catch(() => undefined)
    return {
      mode: `eni-${node.spec.platform}`,
      addresses: pool.interfaces.flatMap(({ addresses }) => addresses).length,
      inUse: given.pods.length,
      waiting: waitingPods(attachments, Date.now()).length,
      ...(pool.shortage !== undefined && { shortage: pool.shortage }),
      interfaces: given.interfaces.map(({ id, mac }) => {
        const link = datapath.present.get(mac)?.name
        return { id, mac, ...(link !== undefined && { link }) }
      }),
      configured: changes.removeAddresses.map(({ address, prefixLength, interface: index }) => {
        return {
          link: names.get(index) ?? '',
          address: `${address}/${prefixLength}`,
          by: whoManages(index) ?? LEAVES_NO_TRACE,
        }
      }),
      managed: [...datapath.present.values()].flatMap(({ index, name }) => {
        const by = whoManages(index)
        return by === undefined ? [] : [{ link: name, by }]
      }),
      changes: changesText(changes, names),
      nft: nft !== undefined,
      marked: table !== undefined,
    }
  } finally {
    netlink.close()
  }
}

function changesText(
  { setLinks, writeRoutes, addRules, deleteRules }: Changes,
  names: ReadonlyMap<number, string>,
): string[] {
  return [
    ...setLinks.map(({ index, up, mtu }) => `${names.get(index)} is ${up ? 'down' : `of an MTU smaller than ${mtu}`}`),
    ...writeRoutes.map(({ destination, table }) => `the route ${destination} of table ${table} is missing`),
    ...addRules.map(
      ({ priority, source, table }) => `the rule ${priority}: from ${source ?? 'all'} lookup ${table} is missing`,
    ),
    ...deleteRules.map(
      ({ priority, source, table }) => `the rule ${priority}: from ${source ?? 'all'} lookup ${table} is of no pod`,
    ),
  ]
}
