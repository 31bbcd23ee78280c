/**
 * Asks the ruleset of nftables what it does with packets between pods of this node and of others,
 * in both directions, and from pods here to the controller in the VPC: reads the chains that such a
 * packet meets, as few as that takes, and has `sample-packet.ts` judge. Changes nothing.
 */
import { familyOf } from '../lib/ip.ts'
import { POD_INTERFACE_PREFIX } from '../model/pod-interfaces.ts'
import { OWN_TABLE } from './forward.ts'
import type { Nft } from './nftables.ts'
import type { NftChain } from './nftables-listing.ts'
import {
  chainsMissing,
  placeText,
  type RulePlace,
  type RulesetChain,
  type SamplePacket,
  sampleVerdict,
} from './sample-packet.ts'

/** What is asked about. */
export interface SampledNetwork {
  /** This node's own. */
  readonly podCIDRs: readonly string[]
  readonly clusterPodCIDRs: readonly string[]
  /** Addresses of the controller. */
  readonly controllers: readonly string[]
  /** Names of the interfaces that lead away from this machine. */
  readonly uplinks: readonly string[]
}

export interface RulesetAnswer {
  /** A line for each rule that drops such packets, or gives them another source. */
  readonly drops: readonly string[]
  /** Rules that might, depending on what is not known here. */
  readonly doubts: readonly string[]
}

/** Beyond so many chains the answer is what is known until then. */
const MOST_CHAINS = 64

/** Throws when nft fails. */
export async function askRuleset(
  nft: Nft,
  listed: readonly NftChain[],
  network: SampledNetwork,
): Promise<RulesetAnswer> {
  // other translations are no fault, and our own rules are looked after elsewhere
  const met = listed.filter(
    ({ table, type, hook }) => table !== OWN_TABLE && (type !== 'nat' || hook === 'postrouting'),
  )
  const ruleset = new Map(met.map(chain => [chain, { ...chain, rules: undefined } as RulesetChain]))
  const chains = () => [...ruleset.values()]
  const packets = samplePackets(network)
  let budget = MOST_CHAINS
  for (let missing = missingOf(packets, chains()); missing.size > 0 && budget > 0; ) {
    for (const chain of [...missing].slice(0, budget)) {
      const { rules } = await nft.chain(chain)
      const key = met.find(one => one.name === chain.name && one.table === chain.table && one.family === chain.family)
      if (key !== undefined) ruleset.set(key, { ...chain, rules })
      budget--
    }
    missing = missingOf(packets, chains())
  }
  const drops = new Map<string, string>()
  const doubts = new Set<string>()
  for (const { packet, words, keepsSource } of packets) {
    const { fate, by, doubts: more } = sampleVerdict(packet, chains())
    for (const place of more) doubts.add(placeText(place))
    if (by === undefined || drops.has(placeText(by)) || (fate === 'translated' && !keepsSource)) continue
    const does = fate === 'translated' ? `gives packets ${words} another source address` : `drops packets ${words}`
    drops.set(placeText(by), await faultText(nft, by, does))
  }
  return { drops: [...drops.values()], doubts: [...doubts] }
}

function missingOf(packets: readonly Sample[], chains: readonly RulesetChain[]): Set<RulesetChain> {
  return new Set(packets.flatMap(({ packet }) => chainsMissing(packet, chains)))
}

interface Sample {
  readonly packet: SamplePacket
  readonly words: string
  /** Whether a translation is a fault: who leaves the cluster may be masqueraded. */
  readonly keepsSource: boolean
}

/** The first address of a podCIDR is no pod's: a policy for one pod is no fault. */
function samplePackets({ podCIDRs, clusterPodCIDRs, controllers, uplinks }: SampledNetwork): Sample[] {
  const [uplink] = uplinks
  if (uplink === undefined) return []
  const first = (prefix: string) => prefix.split('/')[0] ?? ''
  return podCIDRs.flatMap((own): Sample[] => {
    const pods = `${POD_INTERFACE_PREFIX}0123456789a`
    const here = first(own)
    const ways = { inputInterface: pods, outputInterface: uplink }
    const controller = controllers.find(one => familyOf(one) === familyOf(own))
    const toVpc = {
      packet: { source: here, destination: controller ?? '', ...ways },
      words: 'from pods here to the controller in the VPC',
      keepsSource: false,
    }
    const other = clusterPodCIDRs.find(one => familyOf(one) === familyOf(own) && !podCIDRs.includes(one))
    const there = other === undefined ? '' : first(other)
    const betweenPods = [
      {
        packet: { source: here, destination: there, ...ways },
        words: 'from pods here to other nodes',
        keepsSource: true,
      },
      {
        packet: { source: there, destination: here, inputInterface: uplink, outputInterface: pods },
        words: 'from other nodes to pods here',
        keepsSource: true,
      },
    ]
    return [...(other === undefined ? [] : betweenPods), ...(controller === undefined ? [] : [toVpc])]
  })
}

async function faultText(nft: Nft, place: RulePlace, does: string): Promise<string> {
  const { family, table, chain, handle } = place
  const text = handle === undefined ? undefined : await nft.ruleText({ family, table, name: chain }, handle)
  const quoted = text === undefined ? '' : ` (${text})`
  const remedy =
    handle === undefined
      ? 'accept pods there'
      : `remove it or accept pods before it (nft delete rule ${family} ${table} ${chain} handle ${handle})`
  return `the firewall ${does}: ${placeText(place)}${quoted}: ${remedy}`
}
