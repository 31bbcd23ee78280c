/**
 * Keeps the firewall rules of a node: pods' packets pass a FORWARD chain that drops (`forward.ts`),
 * and are translated on their way out of the cluster where that was asked for (`masquerade.ts`).
 * Compares what nft lists with what should be, when the agent knows something new, when anybody
 * changes the ruleset, and every half minute; writes only what differs, one transaction a table.
 *
 * What was written before stays while nothing is known, and when the process ends: pods go on
 * talking over an upgrade. `removeFirewall` takes all of it away. Legacy iptables is out of nft's
 * reach: there it says which command helps.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { mergePrefixes } from '../lib/merge-prefixes.ts'
import type { KnownNetwork } from '../model/known-network.ts'
import { POD_INTERFACE_PREFIX } from '../model/pod-interfaces.ts'
import { RulesetWatch } from '../netlink/ruleset-watch.ts'
import { askRuleset } from './ask-ruleset.ts'
import { chainsToRead, FORWARD_CHAIN, type ForwardTable, forwardScript, forwardTables, OWN_TABLE } from './forward.ts'
import { legacyCommands, readLegacyForward } from './legacy.ts'
import { masqueradedFamilies, masqueradeScript, NFT_FAMILY, removal, removeTableScript } from './masquerade.ts'
import { Nft } from './nftables.ts'
import type { NftChain, NftFamily } from './nftables-listing.ts'
import { sourceTables } from './sources.ts'

export interface FirewallConfig {
  /** Whether pods' packets are let through where FORWARD drops. */
  readonly acceptPodTraffic: boolean
  /** Whether pods' addresses are translated for destinations outside of the cluster. */
  readonly masquerade: boolean
  /**
   * Pools of podCIDRs, where the node's configuration names them: fewer rules than one for each
   * node.
   */
  readonly podPools: readonly string[]
  /** Service, VPC and data-center ranges, and what else is never masqueraded. */
  readonly nonMasqueradeCIDRs: readonly string[]
}

/** What the agent tells and asks; the rules are made and kept in its own time. */
export interface NodeFirewall {
  want(network: KnownNetwork): void
  readonly problems: readonly string[]
  /** Calls `listener` when `problems` changed. Returns how to stop that. */
  onChange(listener: () => void): () => void
  /** Stops; the rules stay. */
  close(): Promise<void>
}

export interface FirewallOptions {
  readonly clock: Clock
  readonly log: Log
  readonly config: FirewallConfig
  /** Path of the network namespace; absent: this one. */
  readonly netns?: string
}

const FULL_COMPARE_MILLISECONDS = 30_000
/** A firewall that is reloaded changes its rules in many steps. */
const SETTLE_MILLISECONDS = 500
/**
 * So many passes in a row that had to write: somebody undoes it, and only the full compare tries
 * again.
 */
const CONTEST_PASSES = 5
/** Passes after which a ruleset that nobody changed is judged again. */
const JUDGE_EVERY_PASSES = 20
/** iptables goes through the rules of a chain one by one. */
const MOST_PREFIXES = 100

export function createFirewall(options: FirewallOptions): NodeFirewall {
  return new Firewall(options)
}

class Firewall implements NodeFirewall {
  readonly #options: FirewallOptions
  readonly #loop: Loop
  readonly #watch: RulesetWatch
  readonly #listeners = new Listeners()
  #network: KnownNetwork | undefined
  /** The last script of each family's own table, and how nft listed the table right after it. */
  readonly #written = new Map<Family, { readonly script: string; readonly listed: string }>()
  readonly #sourcesWritten = new Map<NftFamily, { readonly script: string; readonly listed: string }>()
  #contest = 0
  /** What the whole ruleset does to pods' packets, and how many passes ago that was asked. */
  #drops: readonly string[] = []
  #judged = JUDGE_EVERY_PASSES
  #problems: readonly string[] = []

  constructor(options: FirewallOptions) {
    this.#options = options
    const { clock, netns } = options
    this.#loop = new Loop({
      clock,
      run: () => this.#pass(),
      onError: error => this.#publish([`the firewall cannot be set: ${errorText(error)}`]),
      everyMilliseconds: FULL_COMPARE_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#watch = new RulesetWatch({
      clock,
      ...(netns !== undefined && { netns }),
      onChange: () => {
        this.#judged = JUDGE_EVERY_PASSES
        if (this.#network !== undefined && this.#contest < CONTEST_PASSES) this.#loop.wake()
      },
    })
  }

  want(network: KnownNetwork): void {
    if (JSON.stringify(network) === JSON.stringify(this.#network)) return
    this.#network = network
    this.#judged = JUDGE_EVERY_PASSES
    this.#loop.wake()
  }

  get problems(): readonly string[] {
    return this.#problems
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    this.#watch.close()
    await this.#loop.close()
  }

  async #pass(): Promise<void> {
    const network = this.#network
    if (network === undefined) return
    const { config, netns } = this.#options
    const accept = acceptedTraffic(network, config)
    const problems = [...accept.problems, ...legacyProblems(network, config, netns)]
    const nft = Nft.find({ ...(netns !== undefined && { netns }) })
    if (nft === undefined) {
      if (network.podCIDRs.some(podCIDR => familyOf(podCIDR) === 'ipv6'))
        problems.push(
          'pods may send from IPv6 addresses of others: to check that takes the program nft, of the package nftables',
        )
      if (config.masquerade) problems.push('ipMasq needs the program nft: install the package nftables')
      this.#publish(problems)
      return
    }
    const chains = await nft.chains()
    const attempts = [
      ...(await this.#forward(nft, chains, accept)),
      ...(await this.#sources(nft, chains, network)),
      ...(await this.#masquerade(nft, chains, network)),
    ]
    const wrote = attempts.some(({ written }) => written)
    this.#contest = wrote ? this.#contest + 1 : 0
    if (this.#contest >= CONTEST_PASSES) problems.push('another program keeps removing the firewall rules for pods')
    if (!wrote) await this.#judge(nft, chains, network) // else that pass comes at once
    problems.push(...this.#drops)
    this.#publish([...problems, ...attempts.flatMap(({ problem }) => problem ?? [])])
  }

  /** Asked when somebody changed a rule, for it takes a process for each chain. */
  async #judge(nft: Nft, chains: readonly NftChain[], network: KnownNetwork): Promise<void> {
    if (this.#judged++ < JUDGE_EVERY_PASSES) return
    this.#judged = 1
    this.#drops = (await askRuleset(nft, chains, network)).drops
  }

  async #forward(nft: Nft, chains: readonly NftChain[], { matches, prefixes }: Accepted): Promise<Attempt[]> {
    const attempts: Attempt[] = []
    for (const table of await readForwardTables(nft, chains)) {
      const script = forwardScript(table, matches)
      if (script === undefined) continue
      const name = `${table.family} ${table.table}`
      attempts.push(await this.#write(nft, name, script, forwardAdvice(table, prefixes)))
    }
    return attempts
  }

  async #masquerade(nft: Nft, chains: readonly NftChain[], network: KnownNetwork): Promise<Attempt[]> {
    const { config } = this.#options
    const families = config.masquerade ? masqueradedFamilies(network.podCIDRs) : []
    const attempts: Attempt[] = []
    for (const family of FAMILIES) {
      const name = `${NFT_FAMILY[family]} ${OWN_TABLE}`
      const present = chains.some(chain => chain.family === NFT_FAMILY[family] && chain.table === OWN_TABLE)
      if (!families.includes(family)) {
        if (present) attempts.push(await this.#write(nft, name, removeTableScript(family)))
        continue
      }
      const keep = [
        ...network.clusterPodCIDRs,
        ...network.nodeAddresses,
        ...config.podPools,
        ...config.nonMasqueradeCIDRs,
      ]
      const script = masqueradeScript(family, { podCIDRs: network.podCIDRs, keep })
      const last = this.#written.get(family)
      const listed = present ? await nft.tableText(NFT_FAMILY[family], OWN_TABLE) : undefined
      if (last?.script === script && last.listed === listed) continue
      const attempt = await this.#write(nft, name, script)
      attempts.push(attempt)
      if (attempt.written)
        this.#written.set(family, { script, listed: await nft.tableText(NFT_FAMILY[family], OWN_TABLE) })
    }
    return attempts
  }

  /** Pods send from their own addresses alone: tables of our own, one transaction each. */
  async #sources(nft: Nft, chains: readonly NftChain[], network: KnownNetwork): Promise<Attempt[]> {
    const attempts: Attempt[] = []
    for (const { family, script } of sourceTables(network.podCIDRs)) {
      const present = chains.some(chain => chain.family === family && chain.table === OWN_TABLE)
      const listed = present ? await nft.tableText(family, OWN_TABLE) : undefined
      const last = this.#sourcesWritten.get(family)
      if (last?.script === script && last.listed === listed) continue
      const attempt = await this.#write(nft, `${family} ${OWN_TABLE}`, script)
      attempts.push(attempt)
      if (attempt.written) this.#sourcesWritten.set(family, { script, listed: await nft.tableText(family, OWN_TABLE) })
    }
    return attempts
  }

  /** A table that cannot be written (its owner forbids it) does not stop the others. */
  async #write(nft: Nft, name: string, script: string, advice = ''): Promise<Attempt> {
    try {
      await nft.apply(script)
      this.#options.log.info({ name }, 'firewall rules changed')
      return { written: true }
    } catch (error) {
      return { written: false, problem: `the firewall table ${name} cannot be changed${advice}: ${errorText(error)}` }
    }
  }

  #publish(problems: readonly string[]): void {
    if (JSON.stringify(problems) === JSON.stringify(this.#problems)) return
    this.#problems = problems
    this.#listeners.tell()
  }
}

interface Attempt {
  readonly written: boolean
  readonly problem?: string
}

/**
 * The tables of others on the forward hook, read as far as the decision needs; each also with our
 * chain where it has one.
 */
export async function readForwardTables(nft: Nft, chains: readonly NftChain[]): Promise<ForwardTable[]> {
  const { tables, marked } = forwardTables(chains)
  const read: ForwardTable[] = []
  for (const { family, table, bases } of tables) {
    const rules = new Map<string, Awaited<ReturnType<Nft['chain']>>['rules']>()
    const known = { family, table, bases, rules }
    if (marked.some(chain => chain.family === family && chain.table === table)) {
      rules.set(FORWARD_CHAIN, (await nft.chain({ family, table, name: FORWARD_CHAIN })).rules)
    }
    for (let names = chainsToRead(known); names.length > 0; names = chainsToRead(known)) {
      for (const name of names) rules.set(name, (await nft.chain({ family, table, name })).rules)
    }
    read.push(known)
  }
  return read
}

/** What FORWARD is to accept, by prefixes and as the conditions of rules. */
export interface Accepted {
  readonly prefixes: readonly string[]
  readonly matches: readonly string[]
  readonly problems: readonly string[]
}

const NOTHING: Accepted = { prefixes: [], matches: [], problems: [] }

/**
 * By interface and direction: this node's pods with each other and by the uplinks, and all pods of
 * the cluster from uplink to uplink, for a packet to a NodePort may go on to another node's pod.
 * Nothing between pods and other interfaces of the host (private bridges), and nothing from there
 * that claims a pod's address.
 */
export function acceptedTraffic(
  network: KnownNetwork,
  config: Pick<FirewallConfig, 'acceptPodTraffic' | 'podPools'>,
): Accepted {
  if (!config.acceptPodTraffic || network.podCIDRs.length === 0) return NOTHING
  const own = mergePrefixes(network.podCIDRs)
  const all = mergePrefixes([...network.podCIDRs, ...network.clusterPodCIDRs, ...config.podPools])
  const pods = `${POD_INTERFACE_PREFIX}*`
  const uplinks = network.uplinks.filter(name => /^[\w.@:-]+$/.test(name)).sort()
  const local = own.flatMap(prefix => [
    `iif ${pods} oif ${pods} saddr ${prefix}`,
    ...uplinks.flatMap(name => [`iif ${pods} oif ${name} saddr ${prefix}`, `daddr ${prefix} iif ${name} oif ${pods}`]),
  ])
  const through = (prefix: string) =>
    uplinks.flatMap(from =>
      uplinks.flatMap(to => [`iif ${from} oif ${to} saddr ${prefix}`, `daddr ${prefix} iif ${from} oif ${to}`]),
    )
  if (all.length <= MOST_PREFIXES) {
    return { prefixes: all, matches: [...local, ...all.flatMap(through)], problems: [] }
  }
  const problem = `FORWARD accepts only this node's own pods: the cluster's ${all.length} podCIDRs would be too many rules; name their pools in network.podCIDRs of this node's configuration`
  return { prefixes: own, matches: local, problems: [problem] }
}

function legacyProblems(network: KnownNetwork, config: FirewallConfig, netns: string | undefined): string[] {
  if (!config.acceptPodTraffic) return []
  const commands = readLegacyForward(netns).flatMap(forward => legacyCommands(forward, network.podCIDRs))
  if (commands.length === 0) return []
  return [
    `legacy iptables drops the packets of pods, and only its own program can change that: run ${commands.join('; ')}`,
  ]
}

/**
 * What helps where the table of firewalld may be changed by nobody else: a policy of its own, for
 * what is forwarded.
 */
export function forwardAdvice({ table }: ForwardTable, prefixes: readonly string[]): string {
  if (table !== 'firewalld' || prefixes.length === 0) return ''
  return ` (if firewalld guards its table, run ${firewalldCommands(prefixes).join('; ')})`
}

function firewalldCommands(prefixes: readonly string[]): string[] {
  const policy = 'firewall-cmd --permanent --policy=terway-edge'
  const rules = prefixes.flatMap(prefix =>
    ['source', 'destination'].map(
      end => `--add-rich-rule='rule family=${familyOf(prefix)} ${end} address=${prefix} accept'`,
    ),
  )
  return [
    'firewall-cmd --permanent --new-policy=terway-edge',
    `${policy} --add-ingress-zone=ANY`,
    `${policy} --add-egress-zone=ANY`,
    `${policy} ${rules.join(' ')}`,
    'firewall-cmd --reload',
  ]
}

/**
 * Removes every rule, chain and table that is ours. Returns what went, a line each, and what could
 * not be.
 */
export async function removeFirewall(netns?: string): Promise<{ removed: string[]; problems: string[] }> {
  const nft = Nft.find({ ...(netns !== undefined && { netns }) })
  const removed: string[] = []
  const problems: string[] = []
  if (nft === undefined) return { removed, problems }
  try {
    const chains = await nft.chains()
    for (const table of await readForwardTables(nft, chains)) {
      const script = forwardScript(table, [])
      if (script === undefined) continue
      await nft.apply(script)
      removed.push(`the rules for pods in the firewall table ${table.family} ${table.table}`)
    }
    for (const family of ['ip', 'ip6', 'inet', 'arp'] as const) {
      if (!chains.some(chain => chain.family === family && chain.table === OWN_TABLE)) continue
      await nft.apply(removal(family))
      removed.push(`the firewall table ${family} ${OWN_TABLE}`)
    }
  } catch (error) {
    problems.push(`firewall rules are left: ${errorText(error)}`)
  }
  return { removed, problems }
}
