/**
 * The CNI configuration that tells the container runtime to use this node's plugin: a file that is
 * written once the node can wire pods, and stays until it leaves; whether new pods can be served
 * meanwhile, the plugin's STATUS says (src/cni/readiness.ts). The runtime takes the first of the
 * folder in order of names, hence `10-`, and calls `loopback` by itself.
 *
 * Says nothing about addresses but the podCIDRs: the plugin hands them out by itself (src/cni).
 */
import { join } from 'node:path'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { nothingLeft } from '../lib/fields.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import { addressBits, prefixOf } from '../lib/ip.ts'
import { CHAINED, type ChainedPlugin } from './cni-plugins.ts'

const FILE = '10-terway-edge.conflist'
/** For runtimes that know one version only: what those in use and the plugin have in common. */
const CNI_VERSION = '1.0.0'
/**
 * From which a runtime that knows `cniVersions` (1.1.0) chooses; STATUS and GC need the last. Lists
 * in older spelling are not written.
 */
const CNI_VERSIONS = ['1.0.0', '1.1.0'] as const
const NAME = 'terway-edge'

export interface CniConfig {
  /** Undefined: pods get addresses of the node's elastic network interfaces. */
  readonly podCIDRs: readonly string[] | undefined
  /** Bytes; absent: the plugin takes the uplink's. */
  readonly mtu?: number
  readonly stateDir: string
  /** Name of the interface that leads to other nodes. */
  readonly uplink?: string | undefined
  /** Whether pods may send from any address. */
  readonly allowSourceAddresses?: boolean | undefined
  /** Plugins to call after ours. */
  readonly chained?: readonly ChainedPlugin[]
}

/** The text of the file. */
export function cniConfigText({
  podCIDRs,
  mtu,
  uplink,
  stateDir,
  allowSourceAddresses,
  chained = [],
  ...rest
}: CniConfig): string {
  nothingLeft(rest)
  const capabilities = { ips: true, mac: true }
  const source = podCIDRs === undefined ? { addressSource: 'interfaces' } : { podCIDRs }
  const own = {
    type: NAME,
    capabilities,
    ...source,
    ...(mtu !== undefined && { mtu }),
    ...(uplink !== undefined && { uplink }),
    ...(allowSourceAddresses === true && { allowSourceAddresses }),
    stateDir,
  }
  const cniVersions = CNI_VERSIONS.filter(version => chained.every(({ versions }) => versions.includes(version)))
  const list = {
    cniVersion: CNI_VERSION,
    ...(cniVersions.length > 0 && { cniVersions }),
    name: NAME,
    plugins: [own, ...chained.map(({ type }) => ({ type, ...CHAINED[type] }))],
  }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** Why no pod can be served from these podCIDRs, a line each. */
export function podCIDRProblems(podCIDRs: readonly string[]): string[] {
  return podCIDRs
    .filter(podCIDR => isSingleAddress(podCIDR))
    .map(
      podCIDR =>
        `podCIDR ${podCIDR} of this node is a single address: the route that guards it takes the place of the pod's; give the node a larger one`,
    )
}

function isSingleAddress(podCIDR: string): boolean {
  const { family, length } = prefixOf(podCIDR)
  return length === addressBits(family)
}

/**
 * The MTU that pods are given by the configuration that stands there; undefined where there is
 * none.
 */
export function configuredMtu(confDir: string): number | undefined {
  const text = readFileIfPresent(cniConfigFile(confDir))
  if (text === undefined) return undefined
  try {
    const document: unknown = JSON.parse(text)
    const plugins = isObject(document) && Array.isArray(document.plugins) ? document.plugins : []
    const mtu = plugins.filter(isObject).find(plugin => typeof plugin.mtu === 'number')?.mtu
    return typeof mtu === 'number' ? mtu : undefined
  } catch {
    return undefined // it is written anew by the agent
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

export function cniConfigFile(confDir: string): string {
  return join(confDir, FILE)
}

/** Writes it, if it is not there just so; true when it was written. */
export function writeCniConfig(confDir: string, config: CniConfig, disk: Disk = systemDisk): boolean {
  const text = cniConfigText(config)
  const file = cniConfigFile(confDir)
  if (readFileIfPresent(file, disk) === text) return false
  writeFileWhole(file, text, { mode: 0o644, disk })
  return true
}

/** Removes it; true when it was there. */
export function removeCniConfig(confDir: string): boolean {
  const file = cniConfigFile(confDir)
  if (readFileIfPresent(file) === undefined) return false
  removeFile(file)
  return true
}
