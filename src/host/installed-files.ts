/** Where `install` puts things, for those who put, remove and list them. Pure. */
export const EXECUTABLE = '/usr/local/bin/terway-edge'
/** The service: agent and speaker. */
export const NODE_UNIT = '/etc/systemd/system/terway-edge.service'
/** The service that does the CNI plugin's work. */
export const CNI_UNIT = '/etc/systemd/system/terway-edge-cni.service'
export const UNITS = [NODE_UNIT, CNI_UNIT] as const
export const CONFIG = '/etc/terway-edge/config.yaml'
export const KUBECONFIG = '/etc/terway-edge/kubeconfig'
/** What the unit has systemd make, whatever folder the configuration names. */
export const STATE_DIRECTORY = '/var/lib/terway-edge'
/** Names in the folder of CNI plugins, links to the executable. */
export const CNI_NAMES = ['terway-edge', 'loopback'] as const
