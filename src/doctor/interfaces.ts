/**
 * Checks of a node whose pods sit on elastic network interfaces: whether the interfaces are there,
 * whether anybody else configured one, and whether rules and tables are as they should be. Pure.
 */
import type { InterfaceFacts } from './facts.ts'
import { type Check, ok, problem, warning } from './verdicts.ts'

export function interfaceChecks(facts: InterfaceFacts): Check[] {
  return [pool(facts), interfaces(facts), configured(facts), policyRoutes(facts), marks(facts)]
}

function pool({ mode, addresses, inUse, waiting, shortage }: InterfaceFacts): Check {
  const name = 'addresses of interfaces'
  const detail = `mode ${mode}: ${inUse} of ${addresses} in use${waiting > 0 ? `, ${waiting} pods wait` : ''}`
  const remedy = 'see kubectl describe eninode of this node: its conditions and Events say what to buy or change'
  if (shortage !== undefined) return problem(name, `${detail}; ${shortage}`, remedy)
  if (addresses === 0) return problem(name, `${detail}: the controller has assigned none yet`, remedy)
  return waiting > 0 ? warning(name, detail, remedy) : ok(name, detail)
}

function interfaces({ interfaces: all }: InterfaceFacts): Check {
  const name = 'interfaces'
  const missing = all.filter(({ link }) => link === undefined)
  if (missing.length === 0) return ok(name, all.map(({ id, link }) => `${id} is ${link}`).join(', ') || 'none yet')
  return problem(
    name,
    missing.map(({ id, mac }) => `${id} (${mac}) is not among the links of this machine`).join('\n'),
    "see in the cloud's console whether it is attached to this instance; an instance that was stopped may need a start",
  )
}

/** The host must not have an address that is a pod's: it would answer in its place. */
function configured({ configured: found, managed }: InterfaceFacts): Check {
  const name = 'who configures interfaces'
  const remedy =
    'keep it off these interfaces: terway-edge install writes what does (udev, networkd, cloud-init), and it counts for an interface from when that is plugged in; else systemd-networkd with [Link] Unmanaged=yes for their MAC, NetworkManager with unmanaged-devices=mac:…, cloud-init with updates.network.when: [boot-new-instance]'
  if (found.length > 0)
    return problem(
      name,
      found.map(({ link, address, by }) => `${link} was given ${address} by ${by}`).join('\n'),
      remedy,
    )
  if (managed.length > 0)
    return warning(name, managed.map(({ link, by }) => `${by} looks after ${link}`).join('\n'), remedy)
  return ok(name, 'nobody: they have no addresses of their own')
}

function policyRoutes({ changes }: InterfaceFacts): Check {
  const name = 'policy routes'
  if (changes.length === 0) return ok(name, 'rules and tables are as they should be')
  return problem(name, changes.join('\n'), 'start the service, which mends them; see its log for who undoes it')
}

function marks({ nft, marked }: InterfaceFacts): Check {
  const name = 'NodePorts of local pods'
  if (marked) return ok(name, 'connections by the primary interface are marked')
  const remedy = nft ? 'start the service, which writes the table' : 'install the package nftables'
  return problem(name, 'the nftables table terway-edge-eni is missing: their answers would be dropped', remedy)
}
