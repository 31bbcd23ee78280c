/**
 * Interfaces of ours that no ENINode names: they are taken care of when they have been so, and
 * attached to nothing, for a while, since what is being made is in no listing and no record for a
 * moment. Pure but for what it holds.
 */
import type { CloudInterface } from '../cloud/answers.ts'
import type { ENINodeSpec } from '../kube/eni-node.ts'
import { isOurs, madeFor } from './tags.ts'

const ORPHAN_MILLISECONDS = 10 * 60_000

export class Orphans {
  readonly #clusterID: string
  /** Since when, monotonic milliseconds. */
  readonly #known = new Map<string, { readonly item: CloudInterface; readonly since: number }>()

  constructor(clusterID: string) {
    this.#clusterID = clusterID
  }

  /** Takes in a listing of a VPC. */
  note(items: readonly CloudInterface[], named: ReadonlySet<string>, at: number): void {
    const alone = items.filter(
      item => isOurs(item, this.#clusterID) && item.state === 'Available' && !named.has(item.id),
    )
    const lonely = new Set(alone.map(({ id }) => id))
    for (const { id } of items) if (!lonely.has(id)) this.#known.delete(id)
    for (const item of alone) if (!this.#known.has(item.id)) this.#known.set(item.id, { item, since: at })
  }

  /** Those whose time has come; each once. */
  due(now: number): readonly CloudInterface[] {
    const due = [...this.#known.values()].filter(({ since }) => now - since >= ORPHAN_MILLISECONDS)
    for (const { item } of due) this.#known.delete(item.id)
    return due.map(({ item }) => item)
  }
}

/** Whether Kubernetes could know a node of that name. */
export function isNodeName(name: string): boolean {
  return /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)
}

/** As an ENINode may name an instance; a tag may say anything. */
const INSTANCE_ID = /^[A-Za-z0-9._-]{1,128}$/

/** Of an ENINode by which an orphan is given back. */
export function specOfOrphan(item: CloudInterface, usualRegion: string): ENINodeSpec {
  const { instanceID } = madeFor(item)
  return {
    platform: 'ecs',
    instanceID: INSTANCE_ID.test(instanceID) ? instanceID : 'gone',
    instanceType: '',
    regionID: regionOf(item) ?? usualRegion,
    zoneID: item.zoneID,
    vSwitchIDs: [item.vSwitchID],
    securityGroupIDs: [],
    ipFamilies: ['IPv4'],
    limits: { interfaces: 0, addressesPerInterface: 0 },
    pool: { minIdle: 0, maxIdle: 0, warmUp: 0 },
  }
}

/** The region of a zone: `cn-hangzhou-k` lies in `cn-hangzhou`. */
function regionOf({ zoneID }: CloudInterface): string | undefined {
  return /^(.+)-[a-z0-9]$/.exec(zoneID)?.[1]
}
