/**
 * What the plugin process and the server (server.ts) say to each other over `<state>/cni/cni.sock`:
 * one request and one reply per connection, each a line of JSON. The server has the code loaded and
 * warm, so that a pod waits for little more than the start of a process.
 *
 * Both ends load this file, and the plugin's every microsecond counts: types, limits and a decoder,
 * nothing else. Pure.
 */

/**
 * Newer ends add keys; a change that an older end would misread takes the next number, which it
 * declines.
 */
export const FORMAT = 1

/** In the state folder. */
export const SOCKET_FILE = 'cni/cni.sock'

/** Not GC: it is rare, and takes as long as there are stale attachments. */
export const SERVED: readonly string[] = ['ADD', 'DEL', 'CHECK', 'STATUS']

export const LIMITS = {
  /** A configuration is a few kilobytes; prevResult of a long chain some more. */
  requestBytes: 1024 * 1024,
  /** How long the plugin waits before it does the work itself. */
  answerMilliseconds: 10_000,
  /** sun_path of unix(7), with its terminating zero. */
  pathBytes: 107,
} as const

export interface ServedRequest {
  readonly format: typeof FORMAT
  /** Unix time in milliseconds: from then on the plugin may be doing it itself. */
  readonly deadline: number
  /** The variables that begin with CNI_. */
  readonly environment: Readonly<Record<string, string>>
  readonly stdin: string
  /** The inode of the plugin's network namespace: where host ends are made. */
  readonly ownNamespace: number
  /** The inode of what the plugin sees at CNI_NETNS; absent when there is nothing. */
  readonly podNamespace?: number
}

/** Without an answer, the plugin does the work itself. */
export interface ServedReply {
  readonly exitStatus?: 0 | 1
  /** Absent where the specification has no result. */
  readonly output?: object
}
