/**
 * Makes and removes the lab's machines and cables: network namespaces, veth pairs born inside them,
 * bridges, addresses and static routes, by iproute2 and /proc/sys.
 *
 * Does not touch the host's namespace: no interface, address, route or setting there changes at any
 * moment.
 */
import { statSync, writeFileSync } from 'node:fs'
import { UserError } from '../lib/errors.ts'
import { inNetworkNamespace, isRoot } from '../lib/libc.ts'
import { makeFabric } from './cloud-fabric.ts'
import { ENS_CIDR } from './cloud-plan.ts'
import type { LabPlan, LanPlan, LinkEnd } from './plan.ts'
import { machinesOf, namespacesOf, VPC_CIDR, VPC_CIDR6 } from './plan.ts'
import type { LabBook, NamespaceRecord } from './record.ts'
import { attempt, namespacePath, run } from './run.ts'

export function requireRoot(): void {
  if (!isRoot()) throw new UserError('the lab works with network namespaces, which needs root: run it with sudo')
}

/**
 * Of the namespace's mount, which tells one of a name from a later one of the same name; undefined
 * when there is none.
 */
export function namespaceInode(namespace: string): number | undefined {
  return statSync(namespacePath(namespace), { throwIfNoEntry: false })?.ino
}

/** Refuses to go on when a namespace of a name that the lab would use is there already. */
export function requireFreeNames(plan: LabPlan): void {
  const taken = [...namespacesOf(plan).values()].filter(name => namespaceInode(name) !== undefined)
  if (taken.length === 0) return
  throw new UserError(
    `there are network namespaces that this lab did not make but would need the names of: ${taken.join(', ')}; ` +
      'remove them with "ip netns del NAME", or name another folder with --dir',
  )
}

/** Makes all namespaces, each recorded. */
export async function makeNamespaces(plan: LabPlan, book: LabBook): Promise<void> {
  const names = [...namespacesOf(plan).values()]
  for (const name of names) {
    book.update(({ namespaces }) => ({ namespaces: [...namespaces, { name }] }))
    const made = await attempt(['ip', 'netns', 'add', name])
    if (made.status !== 0) {
      book.update(({ namespaces }) => ({ namespaces: namespaces.filter(other => other.name !== name) }))
      throw new UserError(`cannot make the network namespace ${name}: ${made.stderr.trim()}`)
    }
    const inode = namespaceInode(name)
    if (inode === undefined) throw new UserError(`the network namespace ${name} is gone right after it was made`)
    book.update(({ namespaces }) => ({
      namespaces: namespaces.map(other => (other.name === name ? { name, inode } : other)),
    }))
  }
}

/**
 * Removes the namespaces that are still those that the lab made, and with them all links in them.
 */
export async function removeNamespaces(records: readonly NamespaceRecord[]): Promise<void> {
  for (const { name, inode } of records) {
    const now = namespaceInode(name)
    if (now === undefined || (inode !== undefined && inode !== now)) continue
    await run(['ip', 'netns', 'del', name])
  }
}

/** Cables everything; pods get theirs by CNI. */
export async function makeLinks(plan: LabPlan): Promise<void> {
  const [a, b] = plan.lans
  const { border, vpc } = plan
  await run(['ip', '-batch', '-'], { stdin: veths(plan).join('\n') })
  for (const lan of plan.lans) await makeLan(lan)
  for (const { switch: device } of [a, b]) await inNamespace(device.namespace, endpoint('core', device.core, 30))
  for (const [index, lan] of plan.lans.entries()) {
    await inNamespace(lan.switch.namespace, endpoint('border', lan.switch.border, 30))
    await inNamespace(border.namespace, endpoint(lan.switch.name, border.links[index === 0 ? 0 : 1], 30))
  }
  for (const namespace of [border.namespace, vpc.namespace]) await inNamespace(namespace, ['link set lo up'])
  if (plan.cloud === undefined) {
    await inNamespace(border.namespace, endpoint('vpc', border.vpc, 24))
    await inNamespace(vpc.namespace, [...endpoint('eth0', vpc, 24), ...defaultRoutes(border.vpc)])
  } else for (const fabric of [plan.cloud.vpc, plan.cloud.ens]) await makeFabric(fabric)
  for (const { podNamespace } of machinesOf(plan)) await inNamespace(podNamespace, ['link set lo up'])
  for (const { namespace } of plan.cloud?.nodes ?? []) await inNamespace(namespace, ['link set lo up'])
  for (const { namespace } of [a.switch, b.switch, border]) makeRouter(namespace)
  await makeStaticRoutes(plan)
}

/** Cables that are born inside the namespaces: nothing shows up in the host's. */
function veths(plan: LabPlan): readonly string[] {
  const veth = (from: readonly [string, string], to: readonly [string, string]) =>
    `link add ${from[1]} netns ${from[0]} type veth peer name ${to[1]} netns ${to[0]}`
  const [a, b] = plan.lans
  const { border, vpc } = plan
  return [
    veth([a.switch.namespace, 'core'], [b.switch.namespace, 'core']),
    ...(plan.cloud === undefined ? [veth([border.namespace, 'vpc'], [vpc.namespace, 'eth0'])] : []),
    ...plan.lans.flatMap(lan => [
      veth([lan.switch.namespace, 'border'], [border.namespace, lan.switch.name]),
      ...lan.nodes.map(node => veth([node.namespace, 'eth0'], [lan.switch.namespace, node.port])),
    ]),
  ]
}

/**
 * A LAN is a bridge in its switch; the bridge holds the LAN's address, which is the nodes' default
 * gateway.
 */
async function makeLan(lan: LanPlan): Promise<void> {
  const device = lan.switch
  await inNamespace(device.namespace, [
    'link set lo up',
    'link add lan type bridge',
    ...lan.nodes.flatMap(node => [`link set ${node.port} master lan`, `link set ${node.port} up`]),
    ...endpoint('lan', device, 24),
  ])
  for (const node of lan.nodes) {
    await inNamespace(node.namespace, ['link set lo up', ...endpoint('eth0', node, 24), ...defaultRoutes(device)])
  }
}

/** Commands that give a link its addresses and take it up. IPv6 networks are /64 throughout. */
function endpoint(name: string, { address, address6 }: LinkEnd, length: number): readonly string[] {
  const addresses = [`addr add ${address}/${length} dev ${name}`]
  if (address6 !== undefined) addresses.push(`addr add ${address6}/64 dev ${name} nodad`)
  return [...addresses, `link set ${name} up`]
}

function defaultRoutes({ address, address6 }: LinkEnd): readonly string[] {
  const routes = [`route add default via ${address}`]
  return address6 === undefined ? routes : [...routes, `route add ::/0 via ${address6}`]
}

async function inNamespace(namespace: string, commands: readonly string[]): Promise<void> {
  await run(['ip', '-n', namespace, '-batch', '-'], { stdin: commands.join('\n') })
}

/**
 * The documented inbound and outbound routes between data center and VPC; those to pods come by
 * BGP.
 */
async function makeStaticRoutes({ lans: [a, b], border, cloud }: LabPlan): Promise<void> {
  const beyond = (by: LinkEnd) => [VPC, ...(cloud === undefined ? [] : [ENS])].flatMap(range => routesTo(range, by))
  await inNamespace(a.switch.namespace, [...beyond(border.links[0]), ...routesTo(b, b.switch.core)])
  await inNamespace(b.switch.namespace, [...beyond(border.links[1]), ...routesTo(a, a.switch.core)])
  await inNamespace(
    border.namespace,
    [a, b].flatMap(lan => routesTo(lan, lan.switch.border)),
  )
}

interface Cidrs {
  readonly cidr: string
  readonly cidr6?: string
}

const VPC: Cidrs = { cidr: VPC_CIDR, cidr6: VPC_CIDR6 }
const ENS: Cidrs = { cidr: ENS_CIDR }

function routesTo({ cidr, cidr6 }: Cidrs, { address, address6 }: LinkEnd): readonly string[] {
  const routes = [`route add ${cidr} via ${address}`]
  return address6 === undefined || cidr6 === undefined ? routes : [...routes, `route add ${cidr6} via ${address6}`]
}

/** Forwarding on, reverse-path filters off, no redirects: as a layer 3 switch does it. */
function makeRouter(namespace: string): void {
  const settings = [
    ['ipv4/ip_forward', '1'],
    ['ipv4/conf/all/rp_filter', '0'],
    ['ipv4/conf/default/rp_filter', '0'],
    ['ipv4/conf/all/send_redirects', '0'],
    ['ipv4/conf/lan/send_redirects', '0'],
    ['ipv6/conf/all/forwarding', '1'],
  ] as const
  inNetworkNamespace(namespacePath(namespace), () => {
    for (const [name, value] of settings) {
      const path = `/proc/sys/net/${name}`
      if (statSync(path, { throwIfNoEntry: false }) !== undefined) writeFileSync(path, value)
    }
  })
}
