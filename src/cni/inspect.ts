/**
 * Whether a pod's wiring is as ADD left it: what CHECK answers, and how a repeated ADD tells a
 * living attachment from the leftovers of a dead one. Reads only. Routes that a later plugin of the
 * chain added or changed beside ours are not looked at.
 */
import { familyOf, formatPrefix, hostPrefix, parseAddressWithLength } from '../lib/ip.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link } from '../netlink/types.ts'
import { NamespaceGone } from './errors.ts'
import { POD_GATEWAY } from './pod-wire.ts'
import { openRtnetlink } from './veth.ts'

export interface ExpectedWiring {
  readonly hostInterface: string
  readonly hostMac: string
  readonly namespacePath: string
  readonly interfaceName: string
  readonly addresses: readonly string[]
  /** Destinations that the pod must have a route for: those of the result of the ADD. */
  readonly destinations: readonly string[]
}

/**
 * What is missing or changed, a phrase each; none when all is well. Throws `NetlinkError` when the
 * kernel cannot be asked.
 */
export function inspectPod(expected: ExpectedWiring): string[] {
  const host = Rtnetlink.open()
  try {
    const link = host.getLink(expected.hostInterface)
    if (link === undefined) return [`the host's interface ${expected.hostInterface} is gone`]
    return [...hostProblems(host, link, expected), ...podProblems(expected)]
  } finally {
    host.close()
  }
}

function hostProblems(host: Rtnetlink, link: Link, expected: ExpectedWiring): string[] {
  const problems = link.up ? [] : [`the host's interface ${link.name} is down`]
  for (const address of expected.addresses) {
    if (host.lookup(address).interface !== link.index)
      problems.push(`the host has no route ${hostPrefix(address)} to ${link.name}`)
  }
  return problems
}

function podProblems(expected: ExpectedWiring): string[] {
  const { namespacePath, interfaceName } = expected
  let pod: Rtnetlink
  try {
    pod = openRtnetlink(namespacePath)
  } catch (error) {
    if (error instanceof NamespaceGone) return [error.message]
    throw error
  }
  try {
    const link = pod.getLink(interfaceName)
    if (link === undefined) return [`the container has no interface ${interfaceName}`]
    const problems = link.up ? [] : [`interface ${interfaceName} of the container is down`]
    return [...problems, ...addressProblems(pod, link, expected), ...routeProblems(pod, expected)]
  } finally {
    pod.close()
  }
}

function addressProblems(pod: Rtnetlink, link: Link, expected: ExpectedWiring): string[] {
  const present = pod.dumpAddresses().filter(entry => entry.interface === link.index)
  const neighbours = pod.dumpNeighbours().filter(entry => entry.interface === link.index)
  return expected.addresses.flatMap(address => {
    const problems: string[] = []
    if (!present.some(entry => entry.address === address))
      problems.push(`${link.name} of the container lacks ${address}`)
    const gateway = POD_GATEWAY[familyOf(address)]
    if (!neighbours.some(entry => entry.address === gateway && entry.hardwareAddress === expected.hostMac)) {
      problems.push(`the container's neighbour entry of its gateway ${gateway} is gone or wrong`)
    }
    return problems
  })
}

function routeProblems(pod: Rtnetlink, expected: ExpectedWiring): string[] {
  if (expected.destinations.length === 0) return []
  const present = new Set(pod.dumpRoutes().map(route => route.destination))
  return expected.destinations
    .map(text => {
      const prefix = parseAddressWithLength(text)
      return prefix === undefined ? text : formatPrefix(prefix)
    })
    .filter(destination => !present.has(destination))
    .map(destination => `the container has no route ${destination}`)
}
