/**
 * Whether what a peer sends on a live connection would pass TTL security (RFC 5082): the kernel is
 * told to take no less than that TTL for a moment, while the peer has something to acknowledge. A
 * segment that comes in meanwhile has passed; those that did not are sent again by the peer's TCP,
 * so nothing is lost. Who is heard only when the option is set back has not passed; where nothing
 * comes even then, the line is to blame, and nothing is known of the TTL.
 */
import type { Cancel, Clock } from '../../lib/clock.ts'
import { SystemError } from '../../lib/errno.ts'
import * as libc from '../../lib/libc.ts'

/** IP_MINTTL and IPV6_MINHOPCOUNT: linux/in.h, linux/in6.h. */
export const MINIMUM_TTL = { ipv4: { level: 0, option: 21 }, ipv6: { level: 41, option: 73 } } as const
/** linux/tcp.h. */
const TCP_INFO = { level: 6, option: 11 } as const
/** Octets of struct tcp_info up to and with `tcpi_segs_in` (Linux 4.2). */
const INFO_LENGTH = 144
const SEGMENTS_IN = 140

/**
 * Far more than a delayed acknowledgment takes (RFC 9293 section 3.8.6.3: half a second at most).
 */
const TRIAL_MILLISECONDS = 1500
/** Our TCP sends again in growing pauses (RFC 6298): what waits for the trial has gone by then. */
const CONTROL_MILLISECONDS = 5000
const LOOK_MILLISECONDS = 50

export interface TtlTrial {
  readonly clock: Clock
  readonly fd: number
  readonly family: 'ipv4' | 'ipv6'
  readonly minimum: number
  /** Whether the descriptor is still this connection's. */
  readonly isOpen: () => boolean
  /** Undefined: the connection or the trial ended first, or the kernel does not tell. */
  readonly done: (passes: boolean | undefined) => void
}

/**
 * Tells once. The caller sends something right after, and begins no other trial of the connection
 * before this one has told. The result ends it early: the option is set back, and undefined told.
 */
export function startTtlTrial({ clock, fd, family, minimum, isOpen, done }: TtlTrial): Cancel {
  const { level, option } = MINIMUM_TTL[family]
  let former: number | undefined
  let before: number | undefined
  let cancel: Cancel = () => {}
  let isOver = false
  const setBack = () => {
    if (former !== undefined && isOpen()) libc.setSocketOptionInt(fd, level, option, former)
    former = undefined
  }
  const end = (passes: boolean | undefined) => {
    if (isOver) return
    isOver = true
    cancel()
    setBack()
    done(passes)
  }
  /** Tells `passes` when a segment comes in, and goes on with `none` when none does in time. */
  const watch = (milliseconds: number, passes: boolean, none: () => void) => {
    const until = clock.monotonic() + milliseconds
    const look = () => {
      const now = isOpen() ? segmentsIn(fd) : undefined
      if (now === undefined) end(undefined)
      else if (now !== before) end(passes)
      else if (clock.monotonic() < until) cancel = clock.after(LOOK_MILLISECONDS, look)
      else none()
    }
    cancel = clock.after(LOOK_MILLISECONDS, look)
  }
  const control = () => {
    setBack()
    watch(CONTROL_MILLISECONDS, false, () => end(undefined))
  }
  try {
    const limit = libc.getSocketOptionInt(fd, level, option)
    libc.setSocketOptionInt(fd, level, option, minimum)
    former = limit
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
  }
  if (former !== undefined) before = segmentsIn(fd)
  if (before === undefined) end(undefined)
  else watch(TRIAL_MILLISECONDS, true, control)
  return () => end(undefined)
}

/** Segments that the kernel took on this connection; undefined where it does not tell. */
function segmentsIn(fd: number): number | undefined {
  const info = new Uint8Array(INFO_LENGTH)
  try {
    const length = libc.getSocketOption(fd, TCP_INFO.level, TCP_INFO.option, info)
    return length < INFO_LENGTH ? undefined : new DataView(info.buffer).getUint32(SEGMENTS_IN, true)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return undefined
  }
}
