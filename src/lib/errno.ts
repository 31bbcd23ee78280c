/**
 * The kernel's error numbers, their names and words, and the error that a failed system call
 * throws. Pure.
 */

/**
 * A failed system call. `errno` is the kernel's number, `code` its name where it is one of the
 * usual ones.
 */
export class SystemError extends Error {
  override readonly name = 'SystemError'
  readonly errno: number
  readonly code: string
  constructor(call: string, errno: number) {
    const code = ERRNO_NAMES[errno] ?? `errno ${errno}`
    super(`${call}: ${code} (${ERRNO_TEXTS[code] ?? 'system error'})`)
    this.errno = errno
    this.code = code
  }
}

/** errno numbers of asm-generic/errno-base.h and errno.h, as used by Linux on x86-64 and arm64. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EPIPE: 32,
  ERANGE: 34,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
} as const

const ERRNO_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(ERRNO).map(([name, number]) => [number, name]),
)
const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  ESRCH: 'no such process or route',
  EAGAIN: 'try again',
  EACCES: 'permission denied',
  EBUSY: 'busy',
  EEXIST: 'exists already',
  ENODEV: 'no such device',
  EINVAL: 'invalid argument',
  ENOPROTOOPT: 'protocol option not available',
  EPROTONOSUPPORT: 'protocol not supported',
  EOPNOTSUPP: 'operation not supported',
  EAFNOSUPPORT: 'address family not supported',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'address not available',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network is unreachable',
  ECONNRESET: 'connection reset',
  ENOBUFS: 'no buffer space',
  ETIMEDOUT: 'timed out',
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'host is unreachable',
}

/** The name of an errno (`ECONNREFUSED`), or `errno N`. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES[errno] ?? `errno ${errno}`
}

/** Words for an errno (`connection refused`). */
export function errnoText(errno: number): string {
  return ERRNO_TEXTS[errnoName(errno)] ?? errnoName(errno)
}
