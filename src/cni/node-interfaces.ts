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

/** The source of addresses of one ADD. */
export class NodeInterfaces {
  readonly kind = 'interfaces'
  readonly #stateDir: string
  readonly #host: Rtnetlink
  #pool: InterfacePool | undefined
  #links: ReadonlyMap<string, Link> | undefined

  constructor(stateDir: string, host: Rtnetlink) {
    this.#stateDir = stateDir
    this.#host = host
  }

  /** Reads the list anew. Throws `StoreError`. */
  readonly pool = (): InterfacePool | undefined => {
    this.#pool = readInterfacePool(this.#stateDir)
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

  #podRequests(address: string, hostIndex: number, link: Link, numbers: PolicyNumbers): Request[] {
    const source = nodeAddress(this.#host, familyOf(address))
    return [
      replaceRoute(podRoute({ address, hostIndex, ...(source !== undefined && { source }) }, numbers)),
      deleteRule(anyPodRule(address, numbers)), // of a pod that had the address before
      addRule(podRule(address, link.index, numbers)),
    ]
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
 * Deletes the rules of a pod, when it goes: its host end takes the routes along. None are there for
 * a pod with an address of a podCIDR.
 */
export function removePodRules(record: AttachmentRecord, stateDir: string): void {
  const numbers = record.interface === undefined ? undefined : readInterfacePool(stateDir)?.numbers
  if (numbers === undefined) return
  const host = Rtnetlink.open()
  try {
    const requests = record.addresses.map(address => deleteRule(anyPodRule(address, numbers)))
    const refused = host.execute(requests).find(({ error }) => error !== undefined && error.errno !== ERRNO.ENOENT)
    if (refused?.error !== undefined) throw refused.error
  } finally {
    host.close()
  }
}
