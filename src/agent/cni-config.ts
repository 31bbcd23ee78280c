/**
 * The CNI configuration that tells the container runtime to use this node's plugin: a file that is there exactly while the node can wire
 * pods. The runtime takes the first of the folder in order of names, hence `10-`. Loopback is the runtime's own business.
 */
import { join } from 'node:path'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'

const FILE = '10-terway-edge.conflist'
/** The oldest list format that runtimes in use and the plugin have in common. */
const CNI_VERSION = '1.0.0'
const NAME = 'terway-edge'

export interface CniConfig {
  readonly podCIDRs: readonly string[]
  /** Bytes; absent: the plugin takes the uplink's. */
  readonly mtu?: number
  readonly stateDir: string
}

/** The text of the file. */
export function cniConfigText({ podCIDRs, mtu, stateDir }: CniConfig): string {
  const plugin = { type: NAME, podCIDRs, ...(mtu !== undefined && { mtu }), stateDir }
  return `${JSON.stringify({ cniVersion: CNI_VERSION, name: NAME, plugins: [plugin] }, undefined, 2)}\n`
}

export function cniConfigFile(confDir: string): string {
  return join(confDir, FILE)
}

/** Writes it, if it is not there just so; true when it was written. */
export function writeCniConfig(confDir: string, config: CniConfig): boolean {
  const text = cniConfigText(config)
  const file = cniConfigFile(confDir)
  if (readFileIfPresent(file) === text) return false
  writeFileWhole(file, text, { mode: 0o644 })
  return true
}

/** Removes it; true when it was there. */
export function removeCniConfig(confDir: string): boolean {
  const file = cniConfigFile(confDir)
  if (readFileIfPresent(file) === undefined) return false
  removeFile(file)
  return true
}
