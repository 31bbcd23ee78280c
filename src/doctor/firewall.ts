/**
 * Whether a firewall of the host keeps pods' packets from being forwarded, and whether masquerade
 * is in place where it was asked for. Pure.
 */
import type { FirewallFacts } from './facts.ts'
import { type Check, ok, problem, some, warning } from './verdicts.ts'

export function firewallChecks(facts: FirewallFacts): Check[] {
  return [forward(facts), ...podSources(facts), ...masquerade(facts)]
}

/** IPv4 sources are checked by the kernel itself. */
function podSources({ nft, ipv6Pods, problem: reason }: FirewallFacts): Check[] {
  if (nft || !ipv6Pods || reason !== undefined) return []
  const detail = 'nobody checks the IPv6 addresses that pods send from: any of them may pose as another machine'
  return [problem('sources of pods', detail, 'install the package nftables')]
}

function forward(facts: FirewallFacts): Check {
  const { nft, problem: reason, accept, dropping, drops, doubts, legacyCommands } = facts
  const name = 'FORWARD'
  if (reason !== undefined) return problem(name, `the firewall cannot be read: ${reason}`, 'run it as root')
  if (legacyCommands.length > 0) {
    const detail = 'legacy iptables drops the packets of pods, and nft cannot change that'
    return problem(name, detail, `run ${legacyCommands.join('; ')}`)
  }
  if (!nft) {
    const detail = 'the program nft is missing: whether FORWARD drops cannot be seen'
    return warning(name, detail, 'install the package nftables')
  }
  const closed = dropping.filter(({ accepted }) => !accepted)
  const tables = (closed.length > 0 ? closed : dropping).map(({ table }) => table).join(', ')
  if (closed.length > 0 && accept) {
    const advice = closed.map(table => table.advice).join('')
    return problem(name, `${tables} drops the packets of pods`, `start the service, which lets them through${advice}`)
  }
  if (closed.length > 0) {
    const detail = `${tables} drops what nothing accepts, and firewall.acceptPodTraffic is off`
    return warning(name, detail, 'accept the podCIDRs there, or turn it on')
  }
  if (drops.length > 0) return problem(name, drops.join('\n'), 'what each line says; then run doctor again')
  const none = dropping.length === 0
  const detail = none ? 'nothing drops what is forwarded' : `${tables} drops, and pods are let through`
  if (doubts.length === 0) return ok(name, detail)
  return ok(name, `${detail}, as far as can be told: whether these do depends on the packet: ${some(doubts)}`)
}

function masquerade({ nft, masqueradeMissing: missing }: FirewallFacts): Check[] {
  const name = 'masquerade'
  if (missing === undefined) return []
  if (!nft) return [problem(name, 'ipMasq needs the program nft', 'install the package nftables')]
  if (missing.length === 0) return [ok(name, 'pods leave the cluster with the address of this node')]
  return [problem(name, `the rules for ${missing.join(' and ')} are missing`, 'start the service, which makes them')]
}
