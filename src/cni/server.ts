/**
 * Serves CNI requests over a socket in the state folder, of root alone: whoever else connects (the
 * node process is of the same user, and reads what a switch sends) is not heard. The same
 * operations as in a plugin process, without its start. What it cannot do as the plugin would
 * (another network or mount namespace, a lock that somebody holds for seconds, a request that is
 * late) it declines, and the plugin does it itself.
 *
 * One request after the other, each synchronous as everything that changes namespaces must be;
 * between two the event loop has its turn.
 */
import { closeSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../lib/clock.ts'
import { systemDisk } from '../lib/disk.ts'
import { errorCode, UserError } from '../lib/errors.ts'
import { tryLock } from '../lib/file-lock.ts'
import { isObject } from '../lib/json.ts'
import { getSocketOption, inNetworkNamespace } from '../lib/libc.ts'
import type { Log } from '../lib/log.ts'
import { CniCounter } from './counts.ts'
import { FORMAT, LIMITS, SERVED, type ServedReply, type ServedRequest, SOCKET_FILE } from './exchange.ts'
import { answer } from './plugin.ts'

export interface CniServer {
  close(): void
}

/** Milliseconds for which this process stands still when a plugin process holds the lock. */
const LOCK_PATIENCE_MILLISECONDS = 5
/** After which it looks whether the lock is free now; others have their turn meanwhile. */
const LOCK_PAUSE_MILLISECONDS = 10
/** With less than this until its deadline, a request that waits for the lock is declined. */
const LOCK_RESERVE_MILLISECONDS = 5000
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
    const listener = listen(path, log, counter)
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

function listen(path: string, log: Log, counter: CniCounter): Bun.UnixSocketListener<Connection> {
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
        data: (socket, bytes) => take(socket, bytes, { log, counter }),
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

function take(socket: Socket, bytes: Uint8Array, { log, counter }: { log: Log; counter: CniCounter }): void {
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
  const line = Buffer.concat(connection.received).toString()
  // a turn of the event loop between two requests; a caller that is gone by then wants nothing any
  // more
  const perform = () => {
    if (!connection.open) return
    const began = performance.now()
    const reply = replyTo(line)
    const seconds = (performance.now() - began) / 1000
    const operation = OPERATION.exec(line)?.[1]
    if (reply.exitStatus !== undefined && operation !== undefined)
      counter.count(operation, { failed: reply.exitStatus !== 0, seconds })
    if (reply === BUSY) {
      setTimeout(perform, LOCK_PAUSE_MILLISECONDS)
      return
    }
    log.debug({ state: STATES[reply.exitStatus ?? 'declined'] }, 'CNI request')
    connection.reply = Buffer.from(`${JSON.stringify(reply)}\n`)
    flush(socket)
  }
  setImmediate(perform)
}

function flush(socket: Socket): void {
  const { reply } = socket.data
  if (reply === undefined) return
  const taken = socket.write(reply)
  socket.data.reply = reply.subarray(Math.max(0, taken))
  if (socket.data.reply.length === 0) socket.end()
}

/** In a request of our own plugin, as JSON.stringify writes it. */
const OPERATION = /"CNI_COMMAND":"([A-Z]+)"/
const DECLINED: ServedReply = {}
/** Nothing is done yet, as another process holds the lock: it may be asked again. */
export const BUSY: ServedReply = {}
const STATES = { 0: 'done', 1: 'refused', declined: 'declined' } as const

/** Performs a request, or declines it; `BUSY` where it had better be tried again. */
export function replyTo(line: string): ServedReply {
  const request = decodeServed(line)
  if (request === undefined || Date.now() >= request.deadline) return DECLINED
  if (inode('/proc/self/ns/net') !== request.ownNamespace) return DECLINED
  const { CNI_COMMAND = '', CNI_NETNS = '' } = request.environment
  if (!SERVED.includes(CNI_COMMAND)) return DECLINED
  if (inode(CNI_NETNS) !== request.podNamespace) return DECLINED
  try {
    return answer(request.environment, request.stdin, { patience: LOCK_PATIENCE_MILLISECONDS })
  } catch {
    // StoreBusy, and nothing was made
    return request.deadline - Date.now() > LOCK_RESERVE_MILLISECONDS ? BUSY : DECLINED
  }
}

function decodeServed(line: string): ServedRequest | undefined {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isObject(json) || json.format !== FORMAT) return undefined
  const { deadline, environment, stdin, ownNamespace, podNamespace } = json
  if (typeof deadline !== 'number' || typeof stdin !== 'string' || typeof ownNamespace !== 'number') return undefined
  if (!isObject(environment)) return undefined
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) if (typeof value === 'string') variables[name] = value
  return {
    format: FORMAT,
    deadline,
    environment: variables,
    stdin,
    ownNamespace,
    ...(typeof podNamespace === 'number' && { podNamespace }),
  }
}

/** Undefined when there is nothing at `path`, as the plugin says it. */
function inode(path: string): number | undefined {
  if (path === '') return undefined
  try {
    return statSync(path).ino
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    return -1
  }
}
