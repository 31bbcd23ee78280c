/**
 * Whether this machine is one that terway-edge runs well on: kernel, C library, memory. What the
 * executable needs in order to start at all (processor, loader) cannot be found missing by it; see
 * docs/install.md. Pure.
 */
import type { MachineFacts } from './facts.ts'
import { type Check, ok, problem, warning } from './verdicts.ts'

/** What needs more of the kernel than the executable itself, oldest first. */
const KERNEL_NEEDS = [
  { version: '4.20', what: 'dumps of the routes that bear our protocol number (NETLINK_GET_STRICT_CHK)' },
  { version: '5.2', what: 'IPv4 routes with an IPv6 next hop (RTA_VIA)' },
] as const

/** Resident, of both services with pods and sessions; measured in docs/benchmarks.md. */
const MEMORY_MEBIBYTES = 256

/** `ipv4OverIPv6`: whether pods here have IPv4 and the machine itself has not. */
export function machineCheck({ kernel, libc, memoryMebibytes }: MachineFacts, ipv4OverIPv6: boolean): Check {
  const name = 'machine'
  const detail = `Linux ${kernel}, glibc ${libc ?? 'unknown'}, ${memoryMebibytes} MiB of memory`
  const [routes, via] = KERNEL_NEEDS
  for (const { version, what } of ipv4OverIPv6 ? [routes, via] : [routes]) {
    if (isOlder(kernel, version))
      return problem(name, `${detail}: Linux ${version} is needed for ${what}`, `use a kernel of ${version} or newer`)
  }
  if (memoryMebibytes < MEMORY_MEBIBYTES) {
    const remedy = 'give the machine more memory, or expect the kernel to end processes'
    return warning(name, `${detail}: the services alone take up to ${MEMORY_MEBIBYTES}`, remedy)
  }
  return ok(name, detail)
}

/** By the first two numbers: `5.10.0-28-amd64` is newer than `5.2`. */
function isOlder(kernel: string, version: string): boolean {
  const [major = 0, minor = 0] = numbers(kernel)
  const [wantedMajor = 0, wantedMinor = 0] = numbers(version)
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor)
}

function numbers(version: string): number[] {
  return version.split(/[^0-9]+/, 2).map(Number)
}
