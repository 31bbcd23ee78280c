/**
 * Whether an address of this node, or of the device that its BGPPeers name, is on two machines.
 * Pure.
 */
import type { DuplicateFacts } from './facts.ts'
import { type Check, ok, problem, skipped } from './verdicts.ts'

const NAME = 'duplicate address'

/** One check for each address that is twice on the LAN; one that is well when none is. */
export function duplicateChecks(facts: DuplicateFacts): Check[] {
  return [...twiceChecks(facts), ...silentChecks(facts)]
}

/** A gateway that nobody has is a route into nothing. */
function silentChecks({ silent, asked }: DuplicateFacts): Check[] {
  const name = 'peers and gateways'
  if (silent.length === 0)
    return asked === 0 ? [] : [ok(name, `${asked === 1 ? 'it answers' : `all ${asked} answer`} on the LAN`)]
  return silent.map(address => {
    const kind = address.includes(':') ? 'ND' : 'ARP'
    const detail = `nobody on the LAN answers ${kind} for ${address}`
    return problem(
      name,
      detail,
      'correct peerIP and gateway of the BGPPeer (or the default route), or start that device',
    )
  })
}

function twiceChecks({ answers, ownHardwareAddresses, failed, problem: reason }: DuplicateFacts): Check[] {
  const own = new Set(ownHardwareAddresses)
  const twice = answers.flatMap(({ address, whose, hardwareAddresses }): Check[] => {
    // two interfaces of this node on one LAN answer for each other
    const others = hardwareAddresses.filter(other => !own.has(other))
    if (others.length < (whose === 'node' ? 1 : 2)) return []
    const detail =
      whose === 'node'
        ? `${others.join(' and ')} says that it has ${address} of this node`
        : `${others.join(' and ')} both say that they have ${address}, the peer or gateway of this LAN`
    return [problem(NAME, detail, 'find that machine on the switch and give it another address')]
  })
  const refused = failed.map(({ address, interface: name }) =>
    problem(
      NAME,
      `the kernel found ${address} of ${name} on another machine and does not use it`,
      `give one of the two another address; then set ${name} down and up`,
    ),
  )
  const found = [...twice, ...refused]
  if (found.length > 0) return found
  if (reason !== undefined) return [skipped(NAME, `the LAN cannot be asked: ${reason}`)]
  return [ok(NAME, 'nobody else has an address of this node')]
}
