/**
 * The system calls that Bun does not offer, by bun:ffi: sockets with options, netlink, namespaces,
 * locks, chroot. THE ONLY FILE THAT IMPORTS bun:ffi; who may call it stands in
 * test/support/effects.ts ("system calls").
 *
 * Every call returns a non-negative result or throws `SystemError` with the errno; all are
 * synchronous. Pointers are taken right before the call, because the first `.buffer` access of a
 * small typed array moves its storage (`pinned` touches it first).
 */

import { dlopen, FFIType, ptr, read } from 'bun:ffi'
import { ERRNO, SystemError } from './errno.ts'

const SYMBOLS = {
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
  getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
  bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  listen: { args: ['i32', 'i32'], returns: 'i32' },
  connect: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  getsockname: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
  send: { args: ['i32', 'ptr', 'u64', 'i32'], returns: FFIType.i64_fast },
  sendto: { args: ['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], returns: FFIType.i64_fast },
  recv: { args: ['i32', 'ptr', 'u64', 'i32'], returns: FFIType.i64_fast },
  poll: { args: ['ptr', 'u64', 'i32'], returns: 'i32' },
  open: { args: ['ptr', 'i32', 'i32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  flock: { args: ['i32', 'i32'], returns: 'i32' },
  setns: { args: ['i32', 'i32'], returns: 'i32' },
  getuid: { args: [], returns: 'u32' },
  chroot: { args: ['ptr'], returns: 'i32' },
  if_nametoindex: { args: ['ptr'], returns: 'u32' },
  __errno_location: { args: [], returns: 'ptr' },
} as const

type Libc = ReturnType<typeof dlopen<typeof SYMBOLS>>['symbols']

let loaded: Libc | undefined

function libc(): Libc {
  loaded ??= load()
  return loaded
}

/** glibc first, then musl under both of its names. */
function load(): Libc {
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const names = ['libc.so.6', `libc.musl-${arch}.so.1`, `ld-musl-${arch}.so.1`]
  for (const name of names) {
    try {
      return dlopen(name, SYMBOLS).symbols
    } catch {
      // the next name
    }
  }
  throw new Error(`no C library found (tried ${names.join(', ')})`)
}

function errno(): number {
  const location = libc().__errno_location() // per thread: asked for each time
  return location === null ? 0 : read.i32(location, 0)
}

function checked(call: string, result: number | bigint): number {
  const value = Number(result)
  if (value < 0) throw new SystemError(call, errno())
  return value
}

/** `bytes` with their storage settled, so that the pointer taken next stays good. */
function pinned(bytes: Uint8Array): Uint8Array {
  void bytes.buffer
  return bytes
}

export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const
export const MSG = { PEEK: 2, TRUNC: 0x20, DONTWAIT: 0x40, NOSIGNAL: 0x4000 } as const
/** poll(2) events. */
export const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 16 } as const
/** flock(2) operations. */
export const LOCK = { SH: 1, EX: 2, NB: 4, UN: 8 } as const
const CLONE_NEWNET = 0x40000000

export function socket(domain: number, type: number, protocol: number): number {
  return checked('socket', libc().socket(domain, type | SOCK.CLOEXEC, protocol))
}

export function setSocketOption(fd: number, level: number, option: number, value: Uint8Array): void {
  const bytes = pinned(value)
  checked(`setsockopt(${level}, ${option})`, libc().setsockopt(fd, level, option, ptr(bytes), bytes.length))
}

export function setSocketOptionInt(fd: number, level: number, option: number, value: number): void {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setInt32(0, value, true)
  setSocketOption(fd, level, option, bytes)
}

/** One instruction of a classic BPF program: struct sock_filter (linux/filter.h). */
export interface FilterInstruction {
  readonly code: number
  readonly jumpTrue: number
  readonly jumpFalse: number
  readonly k: number
}

const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26

/**
 * Has the kernel run `program` on every packet of the socket (SO_ATTACH_FILTER); replaces the one
 * before at once.
 */
export function attachFilter(fd: number, program: readonly FilterInstruction[]): void {
  const code = pinned(new Uint8Array(program.length * 8))
  const view = new DataView(code.buffer)
  for (const [index, { code: operation, jumpTrue, jumpFalse, k }] of program.entries()) {
    view.setUint16(index * 8, operation, true)
    view.setUint8(index * 8 + 2, jumpTrue)
    view.setUint8(index * 8 + 3, jumpFalse)
    view.setUint32(index * 8 + 4, k >>> 0, true)
  }
  const header = new Uint8Array(16) // struct sock_fprog
  const fields = new DataView(header.buffer)
  fields.setUint16(0, program.length, true)
  fields.setBigUint64(8, BigInt(ptr(code)), true)
  setSocketOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, header)
}

export function getSocketOptionInt(fd: number, level: number, option: number): number {
  const value = new Int32Array(1)
  const length = new Uint32Array([4])
  void value.buffer
  void length.buffer
  checked(`getsockopt(${level}, ${option})`, libc().getsockopt(fd, level, option, ptr(value), ptr(length)))
  return value[0] ?? 0
}

/**
 * Asks for an option that is a struct: `value` holds what the kernel reads and is overwritten by
 * its answer. Returns the answer's length.
 */
export function getSocketOption(fd: number, level: number, option: number, value: Uint8Array): number {
  const bytes = pinned(value)
  const length = new Uint32Array([bytes.length])
  void length.buffer
  checked(`getsockopt(${level}, ${option})`, libc().getsockopt(fd, level, option, ptr(bytes), ptr(length)))
  return length[0] ?? 0
}

/** `address` is a struct sockaddr of its family. */
export function bind(fd: number, address: Uint8Array): void {
  const bytes = pinned(address)
  checked('bind', libc().bind(fd, ptr(bytes), bytes.length))
}

export function listen(fd: number, backlog: number): void {
  checked('listen', libc().listen(fd, backlog))
}

/** Starts to connect; 0, or EINPROGRESS for a non-blocking socket. Other errors throw. */
export function connect(fd: number, address: Uint8Array): 0 | typeof ERRNO.EINPROGRESS {
  const bytes = pinned(address)
  if (libc().connect(fd, ptr(bytes), bytes.length) === 0) return 0
  const code = errno()
  if (code === ERRNO.EINPROGRESS) return ERRNO.EINPROGRESS
  throw new SystemError('connect', code)
}

/** The struct sockaddr that a socket is bound to. */
export function getSocketName(fd: number): Uint8Array {
  const name = pinned(new Uint8Array(128))
  const length = new Uint32Array([128])
  void length.buffer
  checked('getsockname', libc().getsockname(fd, ptr(name), ptr(length)))
  return name.subarray(0, length[0] ?? 0)
}

/**
 * Sends `bytes`; returns how many were taken. Throws EAGAIN when a non-blocking socket takes none.
 */
export function send(fd: number, bytes: Uint8Array, flags = 0): number {
  return checked('send', libc().send(fd, ptr(pinned(bytes)), bytes.length, flags | MSG.NOSIGNAL))
}

/** Sends a datagram to `address`, a struct sockaddr. */
export function sendTo(fd: number, bytes: Uint8Array, address: Uint8Array, flags = 0): number {
  const target = pinned(address)
  const data = pinned(bytes)
  return checked('sendto', libc().sendto(fd, ptr(data), data.length, flags | MSG.NOSIGNAL, ptr(target), target.length))
}

/**
 * Receives into `buffer`; returns the length (0: the other end closed). Throws EAGAIN when nothing
 * is there.
 */
export function receive(fd: number, buffer: Uint8Array, flags = 0): number {
  return checked('recv', libc().recv(fd, ptr(pinned(buffer)), buffer.length, flags))
}

/** The events (of `POLL`) that are there now or within `milliseconds`; 0 for none. */
export function poll(fd: number, events: number, milliseconds = 0): number {
  const entry = new Uint8Array(8)
  const view = new DataView(entry.buffer)
  view.setInt32(0, fd, true)
  view.setInt16(4, events, true)
  checked('poll', libc().poll(ptr(entry), 1, milliseconds))
  return view.getUint16(6, true)
}

/** open(2) of an existing file. */
export function openFile(path: string, flags = 0): number {
  const name = pinned(Buffer.from(`${path}\0`))
  return checked(`open ${path}`, libc().open(ptr(name), flags | 0o2000000, 0))
}

export function close(fd: number): void {
  checked('close', libc().close(fd))
}

/**
 * Locks an open file; throws EAGAIN with `LOCK.NB` when another holds it. The lock dies with its
 * holder.
 */
export function flock(fd: number, operation: number): void {
  checked('flock', libc().flock(fd, operation))
}

/**
 * Runs `action` with this thread inside the network namespace at `path` (`/run/netns/x`,
 * `/proc/PID/ns/net`). Synchronous on purpose: an await inside would let other work run in the
 * wrong namespace. A socket opened inside stays there for good. If the way back fails, the process
 * aborts rather than go on in a namespace that is not its own.
 */
export function inNetworkNamespace<T>(path: string, action: () => T): T {
  const target = openFile(path)
  try {
    const home = openFile('/proc/thread-self/ns/net')
    try {
      checked(`setns ${path}`, libc().setns(target, CLONE_NEWNET))
      try {
        return action()
      } finally {
        if (libc().setns(home, CLONE_NEWNET) < 0) process.abort()
      }
    } finally {
      close(home)
    }
  } finally {
    close(target)
  }
}

/**
 * The index of an interface of the namespace that this thread is in, or undefined when there is
 * none of that name.
 */
export function interfaceIndex(name: string): number | undefined {
  const index = libc().if_nametoindex(ptr(pinned(Buffer.from(`${name}\0`))))
  return index === 0 ? undefined : index
}

/** Whether this process runs as root of its user namespace. */
export function isRoot(): boolean {
  return libc().getuid() === 0
}

/** From now on `/` of this process is `path` (chroot(2)), which is also its working directory. */
export function changeRoot(path: string): void {
  checked(`chroot ${path}`, libc().chroot(ptr(pinned(Buffer.from(`${path}\0`)))))
  process.chdir('/')
}
