/**
 * Whether what a peer sends on a live connection would pass TTL security (RFC 5082): the kernel is
 * told to take no less than that TTL for a moment, while the peer has something to acknowledge. A
 * segment that comes in meanwhile has passed; those that did not are sent again by the peer's TCP,
 * so nothing is lost.
 */
import type { Clock } from '../../lib/clock.ts'
import { SystemError } from '../../lib/errno.ts'
import * as libc from '../../lib/libc.ts'

/** linux/in.h, linux/in6.h, linux/tcp.h. */
const MINIMUM = { ipv4: { level: 0, option: 21 }, ipv6: { level: 41, option: 73 } } as const
const TCP_INFO = { level: 6, option: 11 } as const
/** Octets of struct tcp_info up to and with `tcpi_segs_in` (Linux 4.2). */
const INFO_LENGTH = 144
const SEGMENTS_IN = 140

/**
 * Far more than a delayed acknowledgment takes (RFC 9293 section 3.8.6.3: half a second at most).
 */
const TRIAL_MILLISECONDS = 1500
const LOOK_MILLISECONDS = 50

export interface TtlTrial {
  readonly clock: Clock
  readonly fd: number
  readonly family: 'ipv4' | 'ipv6'
  readonly minimum: number
  /** Whether the descriptor is still this connection's. */
  readonly isOpen: () => boolean
  /** Undefined: the connection ended first, or the kernel does not tell. */
  readonly done: (passes: boolean | undefined) => void
}

/** Tells once. The caller sends something right after. */
export function startTtlTrial({ clock, fd, family, minimum, isOpen, done }: TtlTrial): void {
  const { level, option } = MINIMUM[family]
  let former: number
  let before: number | undefined
  try {
    former = libc.getSocketOptionInt(fd, level, option)
    libc.setSocketOptionInt(fd, level, option, minimum)
    before = segmentsIn(fd)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    done(undefined)
    return
  }
  const end = clock.monotonic() + TRIAL_MILLISECONDS
  const look = () => {
    if (!isOpen()) {
      done(undefined)
      return
    }
    const now = segmentsIn(fd)
    const passes = now !== before
    if (now !== undefined && !passes && clock.monotonic() < end) {
      clock.after(LOOK_MILLISECONDS, look)
      return
    }
    libc.setSocketOptionInt(fd, level, option, former)
    done(now === undefined ? undefined : passes)
  }
  clock.after(LOOK_MILLISECONDS, look)
}

/** Segments that the kernel took on this connection; undefined where it does not count them. */
function segmentsIn(fd: number): number | undefined {
  const info = new Uint8Array(INFO_LENGTH)
  const length = libc.getSocketOption(fd, TCP_INFO.level, TCP_INFO.option, info)
  return length < INFO_LENGTH ? undefined : new DataView(info.buffer).getUint32(SEGMENTS_IN, true)
}
