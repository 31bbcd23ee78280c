/**
 * The plugin `loopback`, which container runtimes call for every pod beside the network's own:
 * brings `lo` of the container up and says so. One executable under two names, so that a node needs
 * no other CNI plugin.
 */

import { NamespaceGone } from './errors.ts'
import { type AttachRequest, CNI_ERROR, type DetachRequest, type Failure, failure, type Result } from './protocol.ts'
import { LOOPBACK_INDEX, openRtnetlink, setLoopback } from './veth.ts'

export const LOOPBACK_TYPE = 'loopback'

/** Throws `NamespaceGone`, `NetlinkError`. */
export function addLoopback(request: AttachRequest): Result {
  setLoopback(request.namespacePath, true)
  if (request.config.prevResult !== undefined) return request.config.prevResult
  return {
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: request.namespacePath }],
    ips: [
      { address: '127.0.0.1/8', interface: 0 },
      { address: '::1/128', interface: 0 },
    ],
    routes: [],
  }
}

/** Nothing is held for a loopback: a namespace that is gone took it along. */
export function delLoopback(request: DetachRequest): undefined {
  if (request.namespacePath === undefined) return
  try {
    setLoopback(request.namespacePath, false)
  } catch (error) {
    if (!(error instanceof NamespaceGone)) throw error
  }
}

export function checkLoopback(request: AttachRequest): Failure | undefined {
  const netlink = openRtnetlink(request.namespacePath)
  try {
    if (netlink.getLink(LOOPBACK_INDEX)?.up === true) return undefined
    return failure(CNI_ERROR.checkFailed, 'the loopback interface of the container is down', 'recreate the pod')
  } finally {
    netlink.close()
  }
}
