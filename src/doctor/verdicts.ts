/**
 * What a check of `doctor` says: a problem keeps pods or sessions from working, a warning is what
 * an operator should know; and where docs/troubleshooting.md says more of it. Pure.
 */

/** Every check there is; a section of docs/troubleshooting.md each, with this title. */
export const CHECKS = [
  'rights',
  'machine',
  'configuration',
  'kubeconfig',
  'API server',
  'clock',
  'credentials',
  'state folder',
  'service',
  'TCP MD5',
  'BGP port',
  'network',
  'pod CIDRs',
  'host address',
  'routes',
  'forwarding',
  'uplink',
  'MTU',
  'duplicate address',
  'peers and gateways',
  'FORWARD',
  'sources of pods',
  'masquerade',
  'CNI',
  'CNI plugin',
  'CNI loopback',
  'CNI configuration',
  'CNI chain',
  'CNI server',
  'addresses of interfaces',
  'interfaces',
  'who configures interfaces',
  'policy routes',
  'NodePorts of local pods',
  'BGPPeer',
] as const

/** One of the checks; that of a BGPPeer names it. */
export type CheckName = Exclude<(typeof CHECKS)[number], 'BGPPeer'> | `BGPPeer ${string}`

export interface Check {
  readonly name: CheckName
  readonly result: 'ok' | 'warning' | 'problem' | 'skipped'
  readonly detail: string
  /** What to do, for a problem or a warning. */
  readonly remedy?: string
}

/** Where the documents say more: a file of the archive, and the section in it. */
export function helpOf(name: CheckName): string {
  const check = CHECKS.find(title => title === name) ?? 'BGPPeer'
  return `docs/troubleshooting.md#${check.toLowerCase().replaceAll(' ', '-')}`
}

export function ok(name: CheckName, detail: string): Check {
  return { name, result: 'ok', detail }
}
export function skipped(name: CheckName, detail: string): Check {
  return { name, result: 'skipped', detail }
}
export function warning(name: CheckName, detail: string, remedy: string): Check {
  return { name, result: 'warning', detail, remedy }
}
export function problem(name: CheckName, detail: string, remedy: string): Check {
  return { name, result: 'problem', detail, remedy }
}

/** The first few of a list. */
export function some(list: readonly string[]): string {
  const shown = list.slice(0, 3).join('; ')
  return list.length > 3 ? `${shown}; and ${list.length - 3} more` : shown
}
