/**
 * What `doctor` sees of the kernel: routes against those the last known state of the cluster wants,
 * settings, MTU, firewall; and what is on this machine because of us. Changes nothing, and decides
 * nothing: `checks.ts` does.
 */

import { askWays } from '../agent/ask-ways.ts'
import { addressesToAsk, desiredRoutes, namedGateways, type Routing } from '../agent/desired-routes.ts'
import type { Judged } from '../agent/gateway-evidence.ts'
import { type ObservedKernel, observe, outwardLinks, ownAddresses, uplinkOf } from '../agent/observe.ts'
import { type Plan, plan, type RouteMark } from '../agent/plan.ts'
import { changedSettings, sysctlNeeds, wrongSettings } from '../agent/sysctl.ts'
import { astrayProblems } from '../agent/ways.ts'
import { MARKS_TABLE } from '../eni/connection-marks.ts'
import { askRuleset } from '../firewall/ask-ruleset.ts'
import { dropsForwarded, FORWARD_CHAIN, letsThrough, OWN_TABLE } from '../firewall/forward.ts'
import { legacyCommands, readLegacyForward } from '../firewall/legacy.ts'
import { masqueradedFamilies, NFT_FAMILY } from '../firewall/masquerade.ts'
import { Nft } from '../firewall/nftables.ts'
import { acceptedTraffic, type FirewallConfig, forwardAdvice, readForwardTables } from '../firewall/reconcile.ts'
import type { ClusterView } from '../kube/cluster-view-types.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { familyOf } from '../lib/ip.ts'
import type { KnownNetwork } from '../model/known-network.ts'
import { RT_TABLE } from '../netlink/constants.ts'
import { askOnLink } from '../netlink/on-link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Route } from '../netlink/types.ts'
import type { FirewallFacts, HostChange, NetworkFacts } from './facts.ts'
import { observeDuplicates } from './lan.ts'

export interface DoctorInput {
  readonly clock: Clock
  /** The name of this node. */
  readonly self: string
  readonly view: Pick<ClusterView, 'entries' | 'peers' | 'controllers'> | undefined
  readonly mark: RouteMark
  readonly firewall: FirewallConfig
  /** Whether an interface is the host's end of a pod's. */
  readonly isPodLink: (link: { readonly name: string; readonly alias?: string }) => boolean
}

const NOTHING: Routing = { routes: [], problems: [], podCIDRs: [], addresses: [] }

/** Throws when the kernel cannot be asked. */
export async function observeNetwork(input: DoctorInput): Promise<NetworkFacts> {
  const { clock, self, view, mark, firewall, isPodLink } = input
  const known = view?.entries.some(({ node }) => node === self) ?? false
  const netlink = Rtnetlink.open()
  try {
    const observed = observe(netlink, mark)
    const onLink = view === undefined ? new Map() : askOnLink(netlink, addressesToAsk({ self, view }), observed.links)
    const named = view === undefined ? [] : namedGateways({ self, view }).map(({ address }) => address)
    const network = {
      onLink,
      ...chosenGateways(
        named.filter(address => onLink.has(address)),
        observed,
      ),
      defaultGateways: observed.defaultGateways,
      ownAddresses: ownAddresses(observed),
    }
    const routing = (view && desiredRoutes({ self, view, network })) ?? NOTHING
    const todo = known ? plan(routing.routes, observed.routes, mark) : { changes: [], conflicts: [], absent: [] }
    const uplink = uplinkOf(observed, routing.addresses)
    return {
      known,
      podCIDRs: routing.podCIDRs,
      lacksIPv4: routing.podCIDRs.some(isIPv4) && !network.ownAddresses.some(isIPv4) && !answersProbes(netlink),
      routes: {
        wanted: routing.routes.length,
        changes: todo.changes.map(change => `${change.do} ${change.route.destination}`),
        conflicts: todo.conflicts.map(({ destination, problem }) => `${destination}: ${problem}`),
        problems: routing.problems,
        astray: waysAstray(netlink, { observed, routes: routing.routes, todo, mark }),
      },
      settings: wrongSettings(sysctlNeeds(routing, observed.links, uplink), {}),
      ...(uplink !== undefined && { uplink: { name: uplink.name, mtu: uplink.mtu, carrier: uplink.carrier } }),
      largerLinks: observed.links
        .filter(link => isPodLink(link) && uplink !== undefined && link.mtu > uplink.mtu)
        .map(({ name, mtu }) => ({ name, mtu })),
      duplicates: await observeDuplicates({
        clock,
        observed,
        uplink,
        peers: view?.peers ?? [],
        onLink: network.onLink,
      }),
      firewall: await observeFirewall(firewall, {
        podCIDRs: routing.podCIDRs,
        clusterPodCIDRs: view?.entries.flatMap(({ podCIDRs }) => podCIDRs) ?? [],
        controllers: view?.controllers ?? [],
        nodeAddresses: [],
        uplinks: [...new Set([...outwardLinks(observed), ...(uplink === undefined ? [] : [uplink.name])])].sort(),
      }),
    }
  } finally {
    netlink.close()
  }
}

/**
 * Of several gateways those that the service has chosen, as its routes show: what BFD and BGP told
 * it is not seen from here.
 */
function chosenGateways(named: readonly string[], { routes }: ObservedKernel): { judged?: Judged } {
  const used = new Set(routes.own.flatMap(({ nextHops }) => nextHops.map(({ gateway }) => gateway)))
  const counting = named.filter(address => used.has(address))
  if (counting.length === 0) return {}
  const left = named.filter(address => !used.has(address))
  const reason = 'is left out (terway-edge status says why)'
  return { judged: { counting: new Set(counting), reasons: new Map(left.map(address => [address, reason])) } }
}

/** Whether this host answers at an IPv4 address that is on no interface, as it does to probes. */
function answersProbes(netlink: Rtnetlink): boolean {
  const local = netlink.dumpRoutes({ table: RT_TABLE.LOCAL, family: 'ipv4' })
  return local.some(({ type, destination }) => type === 'local' && /^(?!127\.).*\/32$/.test(destination))
}

/** Where packets would go now, of all routes that are as they should be. */
function waysAstray(
  netlink: Rtnetlink,
  input: { observed: ObservedKernel; routes: Routing['routes']; todo: Plan; mark: RouteMark },
): string[] {
  const { observed, mark, todo } = input
  const troubled = new Set([
    ...todo.changes.map(({ route }) => route.destination),
    ...todo.conflicts.map(({ destination }) => destination),
  ])
  const routes = input.routes.filter(({ destination }) => !troubled.has(destination))
  return astrayProblems(askWays(netlink, { observed, routes, mark, turn: 0, suspects: [], most: routes.length }))
}

function isIPv4(text: string): boolean {
  return familyOf(text) === 'ipv4'
}

async function observeFirewall(config: FirewallConfig, known: KnownNetwork): Promise<FirewallFacts> {
  const nft = Nft.find()
  const { podCIDRs } = known
  const facts = {
    nft: nft !== undefined,
    ipv6Pods: podCIDRs.some(podCIDR => !isIPv4(podCIDR)),
    accept: config.acceptPodTraffic,
    dropping: [],
    drops: [],
    doubts: [],
    legacyCommands: [],
  }
  try {
    const commands = readLegacyForward().flatMap(forward => legacyCommands(forward, podCIDRs))
    if (nft === undefined) return { ...facts, legacyCommands: commands }
    const { prefixes, matches } = acceptedTraffic(known, config)
    const chains = await nft.chains()
    const tables = await readForwardTables(nft, chains)
    const present = (family: 'ip' | 'ip6') => chains.some(chain => chain.family === family && chain.table === OWN_TABLE)
    return {
      ...facts,
      ...(await askRuleset(nft, chains, known)),
      legacyCommands: commands,
      dropping: tables.filter(dropsForwarded).map(table => ({
        table: `${table.family} ${table.table}`,
        accepted: letsThrough(table, matches),
        advice: forwardAdvice(table, prefixes),
      })),
      ...(config.masquerade && {
        masqueradeMissing: masqueradedFamilies(podCIDRs)
          .map(family => NFT_FAMILY[family])
          .filter(family => !present(family)),
      }),
    }
  } catch (error) {
    return { ...facts, problem: errorText(error) }
  }
}

export interface HostPlace {
  readonly mark: RouteMark
  readonly stateDir: string
  readonly isPodLink: DoctorInput['isPodLink']
}

/**
 * Settings, routes, firewall rules and interfaces that are on this machine because of us; files are
 * for the caller to add.
 */
export async function hostChanges({ mark, stateDir, isPodLink }: HostPlace): Promise<HostChange[]> {
  const settings = changedSettings({ stateDir }).map(({ name, former, now }): HostChange => {
    return { kind: 'sysctl', what: name.replaceAll('/', '.'), former, now: now ?? 'gone' }
  })
  const netlink = Rtnetlink.open()
  try {
    const names = new Map(netlink.dumpLinks().map(({ index, name }) => [index, name]))
    const routes = netlink.dumpRoutes(mark).map(route => ({ kind: 'route' as const, what: routeText(route, names) }))
    const links = netlink
      .dumpLinks()
      .filter(isPodLink)
      .map(({ name, alias }) => ({
        kind: 'interface' as const,
        what: alias === undefined ? name : `${name} (${alias})`,
      }))
    const rules = netlink
      .dumpRules()
      .filter(({ protocol }) => protocol === mark.protocol)
      .map(({ family, priority, source, table }) => ({
        kind: 'rule' as const,
        what: `${family} ${priority}: from ${source ?? 'all'} lookup ${table}`,
      }))
    return [...settings, ...routes, ...rules, ...(await firewallChanges()), ...links]
  } finally {
    netlink.close()
  }
}

async function firewallChanges(): Promise<HostChange[]> {
  const chains =
    (await Nft.find()
      ?.chains()
      .catch(() => [])) ?? []
  const tables = new Set(
    chains
      .filter(({ table }) => table === OWN_TABLE || table === MARKS_TABLE)
      .map(({ family, table }) => `table ${family} ${table}`),
  )
  const marked = chains
    .filter(({ name }) => name === FORWARD_CHAIN)
    .map(({ family, table, name }) => `chain ${name} of table ${family} ${table}, and a jump to it`)
  return [...tables, ...marked].map(what => ({ kind: 'firewall', what }))
}

function routeText({ destination, type, nextHops }: Route, names: ReadonlyMap<number, string>): string {
  const ways = nextHops.map(({ gateway, interface: index }) => {
    const via = gateway === undefined ? '' : ` via ${gateway}`
    return index === undefined ? via : `${via} dev ${names.get(index) ?? index}`
  })
  return `${type === 'unicast' ? '' : `${type} `}${destination}${ways.join(',')}`
}
