/** Where `install` puts things, for those who put, remove and list them. Pure. */
export const EXECUTABLE = '/usr/local/bin/terway-edge'
/** The executable before the last upgrade: what `terway-edge rollback` goes back to. */
export const PREVIOUS_FOLDER = '/usr/local/lib/terway-edge'
export const PREVIOUS_EXECUTABLE = `${PREVIOUS_FOLDER}/previous`
/**
 * The digest of the version that `rollback`, or an upgrade that failed, goes back to, while it
 * does: there to be found by the next when one is killed.
 */
export const GOING_BACK = `${PREVIOUS_FOLDER}/going-back`
/** What the node did before the upgrade that is under way (upgrade-record.ts). */
export const UPGRADING = `${PREVIOUS_FOLDER}/upgrading`
/** The service: agent and speaker. */
export const NODE_UNIT = '/etc/systemd/system/terway-edge.service'
/** The service that does the CNI plugin's work. */
export const CNI_UNIT = '/etc/systemd/system/terway-edge-cni.service'
/** The units of a node. */
export const UNITS = [NODE_UNIT, CNI_UNIT] as const
export const CONTROLLER_UNIT = '/etc/systemd/system/terway-edge-controller.service'
export const CONFIG = '/etc/terway-edge/config.yaml'
export const KUBECONFIG = '/etc/terway-edge/kubeconfig'
/** What the unit has systemd make, whatever folder the configuration names. */
export const STATE_DIRECTORY = '/var/lib/terway-edge'
/**
 * Where the controller's unit has its state: a link, and the folder that it leads to, because its
 * user is a dynamic one (systemd.exec(5), StateDirectory with DynamicUser).
 */
export const CONTROLLER_STATE = ['/var/lib/terway-edge-controller', '/var/lib/private/terway-edge-controller'] as const
/** Names in the folder of CNI plugins, links to the executable. */
export const CNI_NAMES = ['terway-edge', 'loopback'] as const

/** What a machine may be to a cluster; it may be both. */
export type Role = 'node' | 'controller'

export interface RoleFiles {
  readonly config: string
  readonly kubeconfig: string
  readonly units: readonly string[]
}

export const ROLE_FILES: Readonly<Record<Role, RoleFiles>> = {
  node: { config: CONFIG, kubeconfig: KUBECONFIG, units: UNITS },
  controller: {
    config: '/etc/terway-edge/controller.yaml',
    kubeconfig: '/etc/terway-edge/controller.kubeconfig',
    units: [CONTROLLER_UNIT],
  },
}

export function otherRole(role: Role): Role {
  return role === 'node' ? 'controller' : 'node'
}

/** A unit as systemctl names it: `terway-edge-cni`. */
export function unitName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/\.service$/, '')
}

/** Where a configuration is kept that `install --config` replaced. */
export function previousOf(config: string): string {
  return `${config}.previous`
}

/** What a file is written as before it takes its place. */
export function partOf(path: string): string {
  return `${path}.part`
}
