/**
 * The hands of the lab's cloud: a namespace is a network in which every interface is a routed port.
 * As in the real one nobody is asked by ARP who has an address: the network knows (a route and a
 * permanent neighbour entry), answers for every address itself, and drops and counts what an
 * interface sends from an address that it does not own.
 *
 * Knows nothing of who decides what is attached (cloud-wiring.ts).
 */
import { statSync, writeFileSync } from 'node:fs'
import { familyOf } from '../lib/ip.ts'
import { inNetworkNamespace } from '../lib/libc.ts'
import { type FabricPlan, type FixedPort, METADATA_ADDRESS } from './cloud-plan.ts'
import { attempt, inside, namespacePath, run } from './run.ts'

/** What of a port is needed to make it. */
export interface Plug {
  readonly port: string
  readonly namespace: string
  readonly interface: string
  readonly mac: string
  readonly addresses: readonly string[]
  /**
   * The machine's end is up, with its addresses and these routes by these gateways; absent: it is
   * born down and bare, as an interface for pods is.
   */
  readonly configured?: { readonly gateways: readonly string[]; readonly routes: readonly string[] }
}

export async function makeFabric(fabric: FabricPlan): Promise<void> {
  setUp(fabric.namespace)
  const own = fabric.gateways.filter(gateway => familyOf(gateway) === 'ipv4')
  await ip(fabric.namespace, [
    'link set lo up',
    ...[...own, METADATA_ADDRESS].map(address => `addr add ${address}/32 dev lo`),
  ])
  await nft(
    fabric.namespace,
    `table inet fabric {
  set owned4 { type ifname . ipv4_addr; }
  set owned6 { type ifname . ipv6_addr; }
  counter foreign { }
  chain prerouting {
    type filter hook prerouting priority -400;
    iifname "p-*" ip saddr 0.0.0.0 accept
    iifname "p-*" ip6 saddr { ::/128, fe80::/10 } accept
    iifname "p-*" icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
${fabric.ports.map(port => wayOutRules(fabric, port)).join('')}    iifname "p-*" meta protocol ip iifname . ip saddr != @owned4 counter name foreign drop
    iifname "p-*" meta protocol ip6 iifname . ip6 saddr != @owned6 counter name foreign drop
  }
}
`,
  )
  for (const port of fabric.ports) await attach(fabric, plugOf(port))
  for (const port of fabric.ports.filter(({ isWayOut }) => isWayOut)) {
    const ways = port.addresses.map(
      address =>
        `${familyOf(address) === 'ipv4' ? '-4' : '-6'} route add default via ${address} dev ${port.port} onlink`,
    )
    for (const way of ways) await run(['ip', '-n', fabric.namespace, ...way.split(' ')])
  }
}

/** From beyond come all addresses but this network's own. */
function wayOutRules(fabric: FabricPlan, { port, isWayOut }: FixedPort): string {
  if (!isWayOut) return ''
  const rule = (family: 'ip' | 'ip6', cidrs: readonly string[]) =>
    cidrs.length === 0 ? '' : `    iifname "${port}" ${family} saddr != { ${cidrs.join(', ')} } accept\n`
  return (
    rule(
      'ip',
      fabric.cidrs.filter(cidr => !cidr.includes(':')),
    ) +
    rule(
      'ip6',
      fabric.cidrs.filter(cidr => cidr.includes(':')),
    )
  )
}

function plugOf({ gateways, routes, ...port }: FixedPort): Plug {
  return { ...port, configured: { gateways, routes } }
}

/** Gives a machine an interface. */
export async function attach(fabric: Pick<FabricPlan, 'namespace' | 'gateways'>, plug: Plug): Promise<void> {
  const { port, namespace, mac, addresses, configured } = plug
  await ip(fabric.namespace, [
    `link add ${port} type veth peer name ${plug.interface} address ${mac} netns ${namespace}`,
    `link set ${port} up`,
    ...fabric.gateways
      .filter(gateway => familyOf(gateway) === 'ipv6')
      .map(gateway => `addr add ${gateway}/128 dev ${port} nodad`),
  ])
  for (const address of addresses) await own(fabric, plug, address)
  if (configured === undefined) return
  await ip(namespace, [
    // an IPv4 neighbour is answered for by the network; of IPv6 nobody is on this link
    ...addresses.map(address =>
      familyOf(address) === 'ipv4'
        ? `addr add ${address}/24 dev ${plug.interface}`
        : `addr add ${address}/128 dev ${plug.interface} nodad`,
    ),
    `link set ${plug.interface} up`,
  ])
  for (const gateway of configured.gateways.filter(one => addresses.some(own => familyOf(own) === familyOf(one)))) {
    const family = familyOf(gateway) === 'ipv4' ? '-4' : '-6'
    const routes = configured.routes.filter(
      route => route === 'default' || route.includes(':') === gateway.includes(':'),
    )
    for (const route of routes)
      await run(
        `ip ${family} -n ${namespace} route add ${route} via ${gateway} dev ${plug.interface} onlink`.split(' '),
      )
  }
}

/** Takes it away again. */
export async function detach(
  fabric: Pick<FabricPlan, 'namespace'>,
  plug: Pick<Plug, 'port' | 'addresses'>,
): Promise<void> {
  await attempt(['ip', '-n', fabric.namespace, 'link', 'del', plug.port])
  for (const address of plug.addresses) await forget(fabric, plug, address)
}

/** An interface gets an address. */
export async function own(
  fabric: Pick<FabricPlan, 'namespace'>,
  { port, mac }: Pick<Plug, 'port' | 'mac'>,
  address: string,
): Promise<void> {
  await ip(fabric.namespace, [
    `route replace ${address}/${familyOf(address) === 'ipv4' ? 32 : 128} dev ${port}`,
    `neigh replace ${address} lladdr ${mac} dev ${port} nud permanent`,
  ])
  await nft(fabric.namespace, `add element inet fabric ${setOf(address)} { "${port}" . ${address} }`)
}

/** It loses it. */
export async function disown(
  fabric: Pick<FabricPlan, 'namespace'>,
  plug: Pick<Plug, 'port'>,
  address: string,
): Promise<void> {
  const words = ['route', 'del', `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}`, 'dev', plug.port]
  await attempt(['ip', '-n', fabric.namespace, ...words])
  await forget(fabric, plug, address)
}

async function forget(
  fabric: Pick<FabricPlan, 'namespace'>,
  { port }: Pick<Plug, 'port'>,
  address: string,
): Promise<void> {
  await nft(fabric.namespace, `delete element inet fabric ${setOf(address)} { "${port}" . ${address} }`)
}

/** How many packets came from an interface that does not own their source. */
export async function foreignPackets(fabric: Pick<FabricPlan, 'namespace'>): Promise<number> {
  const listing = await run(inside(fabric.namespace, ['nft', 'list', 'counter', 'inet', 'fabric', 'foreign']))
  return Number(/packets (\d+)/.exec(listing)?.[1] ?? Number.NaN)
}

function setOf(address: string): string {
  return familyOf(address) === 'ipv4' ? 'owned4' : 'owned6'
}

async function ip(namespace: string, commands: readonly string[]): Promise<void> {
  if (commands.length > 0) await run(['ip', '-n', namespace, '-batch', '-'], { stdin: commands.join('\n') })
}

async function nft(namespace: string, script: string): Promise<void> {
  await run(inside(namespace, ['nft', '-f', '-']), { stdin: script })
}

/** Ports that come later inherit what is set for `default`. */
function setUp(namespace: string): void {
  const settings = [
    ['ipv4/ip_forward', '1'],
    ['ipv4/conf/all/rp_filter', '0'],
    ['ipv4/conf/default/rp_filter', '0'],
    ['ipv4/conf/all/send_redirects', '0'],
    ['ipv4/conf/default/send_redirects', '0'],
    ['ipv4/conf/default/proxy_arp', '1'],
    ['ipv4/neigh/default/proxy_delay', '0'],
    ['ipv6/conf/all/forwarding', '1'],
    ['ipv6/conf/default/accept_dad', '0'],
  ] as const
  inNetworkNamespace(namespacePath(namespace), () => {
    for (const [name, value] of settings) {
      const path = `/proc/sys/net/${name}`
      if (statSync(path, { throwIfNoEntry: false }) !== undefined) writeFileSync(path, value)
    }
  })
}
