/**
 * Which processes listen on a TCP port of this network namespace, from /proc (proc(5)): the sockets
 * of /proc/net/tcp, and whose descriptors they are. Needs root to see the processes of others.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { PortHolder } from './facts.ts'

/** TCP_LISTEN of <net/tcp_states.h>. */
const LISTEN = '0A'

export function listenersOn(port: number): PortHolder[] {
  const inodes = new Set(
    ['tcp', 'tcp6'].flatMap(table => listeningInodes(read(`/proc/thread-self/net/${table}`), port)),
  )
  if (inodes.size === 0) return []
  const holders = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && holds(name, inodes))
    .map(pid => ({ pid: Number(pid), name: read(`/proc/${pid}/comm`).trim() }))
  return holders.length > 0 ? holders : [{ pid: 0, name: 'a process that cannot be seen from here' }]
}

/** Of a table of the kernel: local address, remote address, state, …, inode. */
function listeningInodes(table: string, port: number): string[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').flatMap(line => {
    const fields = line.trim().split(/\s+/)
    return fields[1]?.endsWith(ending) && fields[3] === LISTEN && fields[9] !== undefined ? [fields[9]] : []
  })
}

function holds(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(fd => {
      const target = link(`/proc/${pid}/fd/${fd}`)
      return target.startsWith('socket:[') && inodes.has(target.slice(8, -1))
    })
  } catch {
    return false // it ended meanwhile, or is another user's
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
