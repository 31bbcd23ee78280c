/**
 * What the container runtime is told of this node: that pods can be wired, with which MTU. With no
 * uplink to be seen, what was written before stays.
 */
import type { Disk } from '../lib/disk.ts'
import type { Log } from '../lib/log.ts'
import { POD_INTERFACE_PATTERN } from '../model/pod-interfaces.ts'
import type { Link } from '../netlink/types.ts'
import { writeCniConfig } from './cni-config.ts'
import { CHAINED_FOR, chainedPlugins, missingPlugins } from './cni-plugins.ts'

export interface PodOfferOptions {
  readonly log: Log
  readonly stateDir: string
  readonly cni: {
    readonly confDir: string
    readonly binDir: string
    readonly mtu: number | 'auto'
    readonly allowSourceAddresses?: boolean
  }
  /** Absent: the machine's. */
  readonly disk?: Disk | undefined
}

export class PodOffer {
  readonly #options: PodOfferOptions
  #mtu: number | undefined
  #uplink: string | undefined

  constructor(options: PodOfferOptions) {
    this.#options = options
  }

  /** The MTU that pods are given; undefined while no uplink was seen. */
  get mtu(): number | undefined {
    return this.#mtu
  }

  make(podCIDRs: readonly string[], uplink: Link | undefined): void {
    const { stateDir, cni, disk, log } = this.#options
    this.#mtu = cni.mtu === 'auto' ? (uplink?.mtu ?? this.#mtu) : cni.mtu
    this.#uplink = uplink?.name ?? this.#uplink
    const chained = chainedPlugins(cni.binDir)
    const { allowSourceAddresses } = cni
    const own = { podCIDRs, stateDir, allowSourceAddresses, uplink: this.#uplink }
    const config = { ...own, chained, ...(this.#mtu !== undefined && { mtu: this.#mtu }) }
    if (!writeCniConfig(cni.confDir, config, disk)) return
    log.info({ file: cni.confDir }, 'CNI configuration written')
    for (const name of missingPlugins(chained)) {
      log.info({ name, file: cni.binDir, detail: CHAINED_FOR[name] }, 'CNI plugin not chained: it is not installed')
    }
  }
}

/** Links told one by one. */
const LINKS_TOLD = 5

/** Pods whose packets the uplink does not take, and a configuration that makes such. */
export function mtuProblems(links: readonly Link[], uplink: Link | undefined, configured: number | 'auto'): string[] {
  if (uplink === undefined) return []
  const { name, mtu } = uplink
  const larger = links.filter(link => POD_INTERFACE_PATTERN.test(link.name) && link.mtu > mtu)
  const told = larger.slice(0, LINKS_TOLD).map(link => `${link.name} (${link.alias ?? 'unknown'}, ${link.mtu})`)
  const more = larger.length > told.length ? ` and ${larger.length - told.length} more` : ''
  return [
    ...(configured !== 'auto' && configured > mtu
      ? [`cni.mtu ${configured} is larger than ${mtu}, that of ${name}: pods get ${mtu}`]
      : []),
    ...(larger.length > 0
      ? [
          `pods made before the MTU of ${name} was ${mtu} send packets that are too large: ${told.join(', ')}${more}; recreate them`,
        ]
      : []),
  ]
}
