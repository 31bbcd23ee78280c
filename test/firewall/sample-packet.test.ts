/**
 * What a ruleset does with a packet between pods: rules in all their forms by the real nft and
 * iptables, in a network namespace; what drops is named and gone when the rule is, and what is no
 * fault is none.
 */
import { expect } from 'bun:test'
import { askRuleset } from '../../src/firewall/ask-ruleset.ts'
import { Nft } from '../../src/firewall/nftables.ts'
import { KNOWN, OneNode } from '../agent/one-node.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const TIMEOUT = 300_000
const NETWORK = {
  ...KNOWN,
  clusterPodCIDRs: [...KNOWN.clusterPodCIDRs, 'fd10:2::/64'],
  controllers: ['192.168.0.10'],
}

async function ask(lan: OneNode) {
  const nft = Nft.find({ netns: lan.netns })
  if (nft === undefined) throw new Error('there is no nft')
  return askRuleset(nft, await nft.chains(), NETWORK)
}

function chain(hook: string, rules: readonly string[], more = ''): string {
  return `table inet t {\n${more}\nchain c {\ntype filter hook ${hook} priority 0; policy accept;\n${rules.join('\n')}\n}\n}`
}

function nat(rules: readonly string[]): string {
  return `table inet t {\nchain c {\ntype nat hook postrouting priority 100; policy accept;\n${rules.join('\n')}\n}\n}`
}

/** A chain that packets meet after `nat`. */
function behind(rule: string): string {
  return `\ntable inet u {\nchain d {\ntype filter hook postrouting priority 200; policy accept;\n${rule}\n}\n}`
}

/** Rulesets of nft, and how what they drop is named. */
const DROPPING: readonly [string, RegExp][] = [
  [
    chain('forward', ['ip saddr 10.0.0.0/8 drop']),
    /from pods here to other nodes: inet t c, rule with handle \d+ \(ip saddr 10\.0\.0\.0\/8 drop\)/,
  ],
  [chain('forward', ['ip daddr { 10.0.1.0/24, 192.0.2.1 } reject']), /from other nodes to pods here/],
  [
    chain('prerouting', ['iifname "eth0" ip saddr 10.0.2.0-10.0.2.255 drop']),
    /from other nodes to pods here.*rule with handle/,
  ],
  [chain('postrouting', ['oifname "eth*" meta l4proto { tcp, udp } drop']), /from pods here to other nodes/],
  [chain('forward', ['ct state vmap { established : accept, new : drop }']), /ct state vmap/],
  [
    chain('forward', ['ct state established accept', 'jump deep'], 'chain deep {\nip6 daddr fd10::/16 drop\n}'),
    /inet t deep/,
  ],
  [chain('forward', ['tcp dport 22 accept', 'tcp dport 1024-65535 drop']), /tcp dport 1024-65535 drop/],
  [chain('forward', ['ip daddr 192.168.0.0/16 drop']), /drops packets from pods here to the controller in the VPC/],
  [
    nat(['oifname "eth0" masquerade']),
    /gives packets from pods here to other nodes another source address: inet t c.*masquerade/,
  ],
  [nat(['ip saddr 10.0.0.0/8 snat ip to 172.16.0.11']), /another source address/],
  [nat(['masquerade']) + behind('meta l4proto tcp drop'), /drops packets from pods here to other nodes: inet u d/],
  // by then their source is another
  [nat(['masquerade']) + behind('ip saddr 10.0.0.0/8 drop'), /^the firewall gives packets [^\n]*$/],
  [chain('forward', ['ip saddr != 192.168.0.0/16 drop']), /ip saddr != 192\.168\.0\.0\/16 drop/],
]

/** What is no fault, and how many rules are in doubt. */
const PASSING: readonly [string, number][] = [
  [chain('forward', ['ip saddr 10.99.0.0/16 drop', 'tcp dport 22 drop', 'udp dport 53 drop']), 0],
  [chain('forward', ['ip saddr 10.0.1.5 drop', 'ip daddr 10.0.1.5 drop']), 0],
  [chain('forward', ['ct state invalid drop', 'iifname "wg0" drop']), 0],
  [chain('forward', ['ip saddr 10.0.0.0/8 accept', 'ip daddr 10.0.0.0/8 accept', 'meta nfproto ipv4 drop']), 0],
  [chain('forward', ['ip saddr @listed drop'], 'set listed {\ntype ipv4_addr\n}'), 1],
  [chain('forward', ['limit rate over 5/second drop']), 1],
  [chain('input', ['drop']), 0],
  // as kube-proxy does for Services, as Docker does for its own network, and out of the cluster
  [nat(['meta mark & 0x4000 != 0x4000 return', 'masquerade']), 0],
  [nat(['ip saddr 172.17.0.0/16 oifname != "docker0" masquerade']), 0],
  [nat(['ip daddr 10.0.0.0/8 accept', 'ip6 daddr fd10::/16 accept', 'masquerade']), 0],
]

testNeeding('root', 'ip', 'nft')(
  'rules of nft',
  async () => {
    const lan = new OneNode()
    try {
      const load = (text: string) => lan.run('nft', `flush ruleset\n${text}\n`)
      for (const [text, named] of DROPPING) {
        load(text)
        const { drops } = await ask(lan)
        expect(drops.join('\n'), text).toMatch(named)
      }
      for (const [text, doubts] of PASSING) {
        load(text)
        const answer = await ask(lan)
        expect(answer.drops, text).toEqual([])
        expect(answer.doubts, text).toHaveLength(doubts)
      }
    } finally {
      await lan.close()
    }
  },
  TIMEOUT,
)

testNeeding(
  'root',
  'ip',
  'nft',
  'iptables-nft',
)(
  'a node tells of a rule that drops pods, also behind the rules that let them pass, and when it is over',
  async () => {
    const lan = new OneNode()
    try {
      lan.run('iptables-nft', '-P', 'FORWARD', 'DROP')
      lan.run('iptables-nft', '-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP')
      const firewall = lan.firewall()
      firewall.want(NETWORK)
      await eventually('pods are let through', () => lan.run('nft', 'list', 'ruleset').includes('TERWAY-EDGE'))
      await Bun.sleep(1500)
      expect(firewall.problems).toEqual([])
      lan.run('iptables-nft', '-I', 'FORWARD', '-s', '10.0.0.0/8', '-j', 'DROP')
      await eventually('it is named', () => firewall.problems.join().includes('ip filter FORWARD, rule with handle'))
      lan.run('iptables-nft', '-D', 'FORWARD', '-s', '10.0.0.0/8', '-j', 'DROP')
      await eventually('it is over', () => firewall.problems.length === 0)
    } finally {
      await lan.close()
    }
  },
  TIMEOUT,
)
