/**
 * The elastic network interfaces of this node as the plugin works with them: which addresses there
 * are (the node's process has left the list in the state folder), which interfaces are among the
 * links, and the requests that lead to a pod and from it. All of it without anybody's help: after a
 * reboot the first pod brings its interface up, with the rules and routes that it needs.
 */
import { invariant } from '../lib/assert.ts'
import { ERRNO } from '../lib/errno.ts'
import { type Family, familyOf } from '../lib/ip.ts'
import type { InterfacePool, PolicyNumbers, PoolInterface } from '../model/interface-pool.ts'
import { linksByAddress, setLink } from '../netlink/link.ts'
import type { Request } from '../netlink/message.ts'
import { anyPodRule, interfaceRoutes, nodeRules, podRoute, podRule } from '../netlink/policy-routes.ts'
import { addRoute, replaceRoute } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { addRule, deleteRule } from '../netlink/rule.ts'
import type { Link } from '../netlink/types.ts'
import type { AttachmentRecord } from './attachments.ts'
import { readInterfacePool } from './interface-pool-file.ts'
import type { PodPolicy } from './pod-wire.ts'
import { setInterfaceSysctls } from './sysctl.ts'
import { nodeAddress } from './veth.ts'

/** The source of addresses of ADDs that are done in one go: what they need is read once. */
export class NodeInterfaces {
  readonly kind = 'interfaces'
  readonly #stateDir: string
  readonly #host: Rtnetlink
  readonly #sources = new Map<Family, string | undefined>()
  #pool: InterfacePool | undefined
  #links: ReadonlyMap<string, Link> | undefined

  constructor(stateDir: string, host: Rtnetlink) {
    this.#stateDir = stateDir
    this.#host = host
  }

  /** As it is when it is first asked for, under the store's lock. Throws `StoreError`. */
  readonly pool = (): InterfacePool | undefined => {
    this.#pool ??= readInterfacePool(this.#stateDir)
    return this.#pool
  }

  readonly present = (mac: string): boolean => this.#linksByMac().has(mac)

  /** How to lead to the pod of a record, and from it. */
  policyOf(record: AttachmentRecord, mtu: number): PodPolicy {
    const pool = this.#pool
    const eni = pool?.interfaces.find(({ id }) => id === record.interface?.id)
    const link = this.#linksByMac().get(record.interface?.mac ?? '')
    invariant(pool !== undefined && eni !== undefined && link !== undefined, 'what was reserved is of an interface')
    const families = record.addresses.map(familyOf)
    return hostIndex => {
      if (families.includes('ipv6')) setInterfaceSysctls('ipv6', link.name, { accept_ra: 0 })
      return [
        ...interfaceRequests({ eni, link, families, mtu, numbers: pool.numbers }),
        ...record.addresses.flatMap(address => this.#podRequests(address, hostIndex, link, pool.numbers)),
      ]
    }
  }

  /** Takes back the rules of a pod that could not be attached. Throws what the kernel refuses. */
  removeRules(record: AttachmentRecord): void {
    if (this.#pool === undefined) return
    const error = deletePodRules(this.#host, [record], this.#pool.numbers).get(record)
    if (error !== undefined) throw error
  }

  #podRequests(address: string, hostIndex: number, link: Link, numbers: PolicyNumbers): Request[] {
    const source = this.#sourceOf(familyOf(address))
    return [
      replaceRoute(podRoute({ address, hostIndex, ...(source !== undefined && { source }) }, numbers)),
      deleteRule(anyPodRule(address, numbers)), // of a pod that had the address before
      addRule(podRule(address, link.index, numbers)),
    ]
  }

  /** The node's own address. */
  #sourceOf(family: Family): string | undefined {
    if (!this.#sources.has(family)) this.#sources.set(family, nodeAddress(this.#host, family))
    return this.#sources.get(family)
  }

  #linksByMac(): ReadonlyMap<string, Link> {
    this.#links ??= linksByAddress(this.#host.dumpLinks())
    return this.#links
  }
}

/**
 * The node's rules, and the interface up with its table. What is so already is refused by the
 * kernel, and that is well.
 */
function interfaceRequests(input: {
  readonly eni: PoolInterface
  readonly link: Link
  readonly families: readonly Family[]
  readonly mtu: number
  readonly numbers: PolicyNumbers
}): Request[] {
  const { eni, link, families, mtu, numbers } = input
  const settings = { ...(!link.up && { up: true }), ...(link.mtu < mtu && { mtu }) }
  return [
    ...families.flatMap(family => nodeRules(family, numbers).map(addRule)),
    ...(Object.keys(settings).length > 0 ? [setLink(link.index, settings)] : []),
    ...families.flatMap(family =>
      interfaceRoutes({ index: link.index, gateways: eni.gateways }, family, numbers).map(addRoute),
    ),
  ]
}

/**
 * Deletes the rules of pods, when they go: their host ends take the routes along. None are there
 * for a pod with an address of a podCIDR. Returns those whose rules may be there still, and why.
 */
export function removePodRules(
  records: readonly AttachmentRecord[],
  stateDir: string,
): ReadonlyMap<AttachmentRecord, unknown> {
  const ofInterfaces = records.filter(record => record.interface !== undefined)
  if (ofInterfaces.length === 0) return new Map()
  let host: Rtnetlink | undefined
  try {
    const numbers = readInterfacePool(stateDir)?.numbers
    if (numbers === undefined) return new Map()
    host = Rtnetlink.open()
    return deletePodRules(host, ofInterfaces, numbers)
  } catch (error) {
    return new Map(ofInterfaces.map(record => [record, error]))
  } finally {
    host?.close()
  }
}

/** The same by way of a conversation that is open. */
function deletePodRules(
  host: Rtnetlink,
  records: readonly AttachmentRecord[],
  numbers: PolicyNumbers,
): ReadonlyMap<AttachmentRecord, unknown> {
  const rules = records.flatMap(record => record.addresses.map(address => ({ record, address })))
  const outcomes = host.execute(rules.map(({ address }) => deleteRule(anyPodRule(address, numbers))))
  return new Map(
    outcomes.flatMap(({ error }, at) => {
      const record = rules[at]?.record
      return record === undefined || error === undefined || error.errno === ERRNO.ENOENT ? [] : [[record, error]]
    }),
  )
}
