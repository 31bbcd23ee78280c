/**
 * Serves CNI requests over a socket in the state folder, of root alone: whoever else connects (the
 * node process is of the same user, and reads what a switch sends) is not heard. The same
 * operations as in a plugin process, without its start. What it cannot do as the plugin would
 * (another network or mount namespace, a lock that somebody holds for seconds, a request that is
 * late) it declines, and the plugin does it itself.
 *
 * One request after the other (turns.ts), each synchronous as everything that changes namespaces
 * must be; between two the event loop has its turn.
 */
import { closeSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../lib/clock.ts'
import { systemDisk } from '../lib/disk.ts'
import { errorCode, UserError } from '../lib/errors.ts'
import { tryLock } from '../lib/file-lock.ts'
import { getSocketOption, inNetworkNamespace } from '../lib/libc.ts'
import type { Log } from '../lib/log.ts'
import { CniCounter } from './counts.ts'
import { LIMITS, SOCKET_FILE } from './exchange.ts'
import { Turns } from './turns.ts'

export interface CniServer {
  close(): void
}

/** Locked by the process that serves, beside its socket. */
const LOCK_FILE = 'cni/server.lock'
/** How long a server that is being stopped may take. */
const CLAIM_PATIENCE_MILLISECONDS = 1000
/** Within which a request must have come whole. */
const REQUEST_SECONDS = 5

/** What is known of one connection. */
interface Connection {
  received: Uint8Array[]
  bytes: number
  reply: Uint8Array | undefined
  open: boolean
}

type Socket = Bun.Socket<Connection>

/**
 * Starts to serve. Throws `UserError` where that cannot be: no right to enter pods' namespaces,
 * another server, no such folder.
 */
export function startCniServer({ stateDir, log }: { stateDir: string; log: Log }): CniServer {
  const counter = new CniCounter(stateDir, systemClock)
  const path = join(stateDir, SOCKET_FILE)
  if (Buffer.byteLength(path) > LIMITS.pathBytes) {
    throw new UserError(`${path} is too long for the name of a socket: name a shorter state folder`)
  }
  mayEnterNamespaces()
  const lock = claim(stateDir)
  try {
    rmSync(path, { force: true }) // of a process that was killed
    const listener = listen(path, new Turns({ log, counter }))
    return {
      close: () => {
        listener.stop(true)
        counter.close()
        rmSync(path, { force: true })
        closeSync(lock)
      },
    }
  } catch (cause) {
    closeSync(lock)
    throw new UserError(`cannot listen at ${path}`, { cause })
  }
}

/**
 * Whether a server listens in the state folder; undefined where this process has no right to ask.
 */
export async function isServed(stateDir: string): Promise<boolean | undefined> {
  try {
    const socket = await Bun.connect({ unix: join(stateDir, SOCKET_FILE), socket: { data() {} } })
    socket.end()
    return true
  } catch (error) {
    return errorCode(error) === 'EACCES' ? undefined : false
  }
}

function mayEnterNamespaces(): void {
  try {
    inNetworkNamespace('/proc/self/ns/net', () => {})
  } catch (cause) {
    throw new UserError('network namespaces cannot be entered: it needs CAP_SYS_ADMIN', { cause })
  }
}

/** The open lock file: no two processes take each other's socket away. */
function claim(stateDir: string): number {
  const file = join(stateDir, LOCK_FILE)
  let lock: number
  try {
    systemDisk.makeFolder(dirname(file))
    lock = systemDisk.open(file, 'a', 0o600)
  } catch (cause) {
    throw new UserError(`the state folder ${stateDir} cannot be written: name one that can with --state`, { cause })
  }
  if (tryLock(lock, CLAIM_PATIENCE_MILLISECONDS)) return lock
  closeSync(lock)
  throw new UserError(`another process serves the CNI plugin for ${stateDir}: stop it first`)
}

function listen(path: string, turns: Turns): Bun.UnixSocketListener<Connection> {
  const before = process.umask(0o177) // never for others, not even for a moment
  try {
    return Bun.listen<Connection>({
      unix: path,
      socket: {
        open(socket) {
          if (!isOfRoot(socket)) {
            socket.terminate()
            return
          }
          socket.data = { received: [], bytes: 0, reply: undefined, open: true }
          socket.timeout(REQUEST_SECONDS)
        },
        data: (socket, bytes) => take(socket, bytes, turns),
        drain: flush,
        timeout: socket => socket.terminate(),
        close: socket => {
          socket.data.open = false
        },
        error: socket => socket.terminate(),
      },
    })
  } finally {
    process.umask(before)
  }
}

/** SO_PEERCRED of socket(7): who connected, as struct ucred, the user at its second field. */
function isOfRoot(socket: Socket): boolean {
  const fd: unknown = Reflect.get(socket, 'fd') // Bun's types do not know it
  if (typeof fd !== 'number') return false
  const credentials = new Uint8Array(12)
  getSocketOption(fd, SOL_SOCKET, SO_PEERCRED, credentials)
  return new DataView(credentials.buffer).getUint32(4, true) === 0
}

const SOL_SOCKET = 1
const SO_PEERCRED = 17

function take(socket: Socket, bytes: Uint8Array, turns: Turns): void {
  const connection = socket.data
  if (connection.reply !== undefined) return
  connection.bytes += bytes.length
  if (connection.bytes > LIMITS.requestBytes) {
    socket.terminate()
    return
  }
  connection.received.push(new Uint8Array(bytes))
  if (bytes.at(-1) !== 0x0a) return
  socket.timeout(0)
  turns.take({
    line: Buffer.concat(connection.received).toString(),
    isWanted: () => connection.open, // a caller that is gone wants nothing any more
    answer: reply => {
      connection.reply = Buffer.from(`${JSON.stringify(reply)}\n`)
      flush(socket)
    },
  })
}

function flush(socket: Socket): void {
  const { reply } = socket.data
  if (reply === undefined) return
  const taken = socket.write(reply)
  socket.data.reply = reply.subarray(Math.max(0, taken))
  if (socket.data.reply.length === 0) socket.end()
}
