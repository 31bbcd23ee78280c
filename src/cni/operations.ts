/**
 * CHECK, GC and STATUS (CNI 1.1.0 section 2). Only what is ours by record, or by the alias of a
 * link, is ever removed.
 */
import { errorText } from '../lib/errors.ts'
import { FAMILIES } from '../lib/ip.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { mtuOf, unusableSource } from './add.ts'
import { familiesOf } from './address-pool.ts'
import type { AddressStore } from './address-store.ts'
import { findRecord, isSame } from './attachments.ts'
import { stillThere } from './del.ts'
import { detachPods } from './detach.ts'
import { inspectPod } from './inspect.ts'
import { addressCount } from './interface-addresses.ts'
import { readInterfacePool } from './interface-pool-file.ts'
import { removePodRules } from './node-interfaces.ts'
import {
  type Attachment,
  type AttachRequest,
  CNI_ERROR,
  type CollectRequest,
  type Failure,
  failure,
  type NetworkConfig,
  type Result,
} from './protocol.ts'
import { type Readiness, readReadiness } from './readiness.ts'
import { noInterfaceAddress, release } from './reservation.ts'
import { forwardingEnabled } from './sysctl.ts'
import { ourLinks } from './veth.ts'
import { vethNames } from './veth-names.ts'

/** Throws `StoreError`, `NetlinkError`. */
export function check(request: AttachRequest, store: AddressStore): Failure | undefined {
  const { config, attachment } = request
  const record = findRecord(store.read(), attachment)
  const expected = expectedAddresses(config.prevResult, request)
  if (record === undefined || record.network !== config.name) {
    return checkFailed(attachment, ['no address is recorded for it'])
  }
  const moved = record.addresses.filter(address => !expected.includes(address))
  const ours = (config.prevResult?.interfaces ?? []).some(({ name }) => name === record.hostInterface)
  const problems = [
    ...moved.map(address => `the result of its ADD lacks ${address}, which is recorded for it`),
    ...(ours ? [] : [`the result of its ADD lacks the interface ${record.hostInterface}`]),
    ...inspectPod({
      ...record,
      namespacePath: request.namespacePath,
      hostMac: vethNames(attachment).hostMac,
      destinations: (config.prevResult?.routes ?? []).map(route => route.dst),
    }),
  ]
  return problems.length === 0 ? undefined : checkFailed(attachment, problems)
}

/**
 * Removes attachments of this network that the runtime does not know. One that fails does not stop
 * the others.
 */
export function collect(request: CollectRequest, store: AddressStore): Failure | undefined {
  const { config } = request
  const { records } = store.read()
  const isValid = (attachment: Attachment) => request.valid.some(valid => isSame(valid, attachment))
  const stale = records.filter(record => record.network === config.name && !isValid(record))
  const known = new Set(records.map(record => record.hostInterface))
  const orphans = ourLinks().filter(link => link.network === config.name && !known.has(link.name) && !isValid(link))
  const detached = detachPods([...stale.map(({ hostInterface }) => hostInterface), ...orphans.map(({ name }) => name)])
  const problems = orphans.flatMap(({ name }) => stillThere(detached.get(name)) ?? []).map(errorText)
  const unlinked = stale.filter(({ hostInterface }) => stillThere(detached.get(hostInterface)) === undefined)
  const ruled = removePodRules(unlinked, config.stateDir)
  const removed = stale.filter(record => {
    const error = stillThere(detached.get(record.hostInterface)) ?? ruled.get(record)
    if (error !== undefined) problems.push(errorText(error))
    return error === undefined
  })
  release(
    store,
    removed.map(record => record.attempt),
  )
  if (problems.length === 0) return undefined
  return failure(
    CNI_ERROR.cleanupFailed,
    `${problems.length} of the stale attachments could not be removed`,
    problems.join('; '),
  )
}

/** A full pool is not a status: it would make Kubernetes take the whole node for not ready. */
export function status(config: NetworkConfig, store: AddressStore): Failure | undefined {
  const missing = unusableSource(config)
  if (missing !== undefined) return { ...missing, code: CNI_ERROR.notAvailable }
  try {
    store.read()
    const none = config.addressSource === 'interfaces' ? withoutAddresses(config.stateDir) : undefined
    if (none !== undefined) return { ...none, code: CNI_ERROR.notAvailable }
    const mtu = currentMtu(config)
    if (typeof mtu !== 'number') return { ...mtu, code: CNI_ERROR.notAvailable }
    return notReady(readReadiness(config.stateDir)) ?? notForwarding(config)
  } catch (error) {
    return failure(
      CNI_ERROR.notAvailable,
      `new pods cannot be attached: ${errorText(error)}`,
      'run terway-edge doctor on this node',
    )
  }
}

/**
 * For want of addresses, of which others may be in use by pods: then the node serves them, and only
 * ADD has to wait.
 */
function withoutAddresses(stateDir: string): Failure | undefined {
  const pool = readInterfacePool(stateDir)
  if (pool === undefined) return noInterfaceAddress('the node agent has not written yet which there are')
  if (addressCount(pool) > 0) return undefined
  return noInterfaceAddress(pool.shortage ?? 'its interfaces have no addresses yet')
}

function currentMtu(config: NetworkConfig): number | Failure {
  const host = Rtnetlink.open()
  try {
    return mtuOf(config, host)
  } finally {
    host.close()
  }
}

function notReady(readiness: Readiness): Failure | undefined {
  if (readiness.state === 'ready') return undefined
  const code = readiness.state === 'limited' ? CNI_ERROR.limitedConnectivity : CNI_ERROR.notAvailable
  return failure(
    code,
    `the node is not ready for pods: ${readiness.reason ?? 'the node agent gave no reason'}`,
    'run terway-edge doctor on this node',
  )
}

function notForwarding(config: NetworkConfig): Failure | undefined {
  const families = config.addressSource === 'interfaces' ? FAMILIES.slice(0, 1) : familiesOf(config.podCIDRs)
  const off = families.filter(family => !forwardingEnabled(family))
  if (off.length === 0) return undefined
  const keys = off.map(family => (family === 'ipv4' ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding'))
  return failure(
    CNI_ERROR.limitedConnectivity,
    `this node does not forward packets: ${keys.join(' and ')} is 0`,
    'the node agent turns it on: see that it runs; if it turns off again, look for another program in /etc/sysctl.d',
  )
}

/** Addresses of the result that belong to this interface of the container. */
function expectedAddresses(result: Result | undefined, request: AttachRequest): string[] {
  const name = request.attachment.interfaceName
  return (result?.ips ?? [])
    .filter(ip => {
      const link = ip.interface === undefined ? undefined : result?.interfaces[ip.interface]
      return link === undefined || (link.name === name && link.sandbox !== undefined)
    })
    .map(ip => ip.address.split('/')[0] ?? '')
}

function checkFailed(attachment: Attachment, problems: readonly string[]): Failure {
  return failure(
    CNI_ERROR.checkFailed,
    `interface ${attachment.interfaceName} of container ${attachment.containerId} is not as it was attached`,
    `${problems.join('; ')}. Recreate the pod`,
  )
}
