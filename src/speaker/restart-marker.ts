/**
 * Whether this start is a restart in the sense of RFC 4724: R has the switch not wait for our
 * End-of-RIB (section 3), F has it keep our routes meanwhile (section 4.2). A file in the state
 * folder says that this node speaks; a planned shutdown removes it, a restart notes when it ended,
 * a crash leaves it as it was. It also names the BGPPeers that hold a status entry of ours, and
 * holds the BFD sessions that wait for us.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { SuspendedSession } from '../bfd/bfd-types.ts'
import { BFD_STATES } from '../bfd/registry.ts'
import type { Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { present } from '../lib/fields.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'

/** The file's content. Times are Clock.now() milliseconds. */
export interface Marker {
  /** BGPPeers that this node is a speaker of or still has a status entry in. */
  readonly bgpPeers: readonly string[]
  /** Whether a session was established, so that a peer may hold routes of ours. */
  readonly spoke: boolean
  /** For how long a peer may keep our routes: the longest time that was offered to one. */
  readonly restartTimeSeconds: number
  /** Of which boot of the machine it is; absent: written by a version that did not say. */
  readonly bootId?: string
  /** When a planned restart ended the process; absent while it speaks, and so after a crash. */
  readonly endedAt?: number
  /** With `endedAt`: the BFD sessions whose peers agreed to wait. */
  readonly bfd?: WaitingBfd
}

/** Of one boot of one machine: after another, nothing forwarded meanwhile. */
export interface WaitingBfd {
  readonly bootId: string
  readonly sessions: readonly SuspendedSession[]
}

/**
 * Whether peers may still keep our routes. After a crash the end is not known and the answer is
 * yes: a peer that has given up has nothing to keep, and the R bit then only tells it not to wait
 * for our End-of-RIB (RFC 4724 section 3).
 */
export function isRestarting(marker: Marker | undefined, now: number): boolean {
  if (marker === undefined || !marker.spoke) return false
  return marker.endedAt === undefined || now - marker.endedAt <= marker.restartTimeSeconds * 1000
}

/**
 * Whether the machine was started anew since: then nothing was forwarded here meanwhile, and the F
 * bits must not say so (RFC 4724 section 4.1). A restart of the process alone leaves the kernel's
 * routes as they were.
 */
export function isRebooted(marker: Marker | undefined, bootId: string): boolean {
  return marker?.bootId !== undefined && marker.bootId !== bootId
}

/** The BFD sessions that may go on: the machine was not started anew, and the peers still wait. */
export function waitingBfd(marker: Marker | undefined, bootId: string, now: number): readonly SuspendedSession[] {
  const { bfd, endedAt } = marker ?? {}
  if (bfd === undefined || endedAt === undefined || bfd.bootId !== bootId) return []
  return bfd.sessions.filter(({ waitsMilliseconds }) => now - endedAt < waitsMilliseconds)
}

/**
 * The marker in `text`, or undefined when it is not one: a file that cannot be read means a first
 * start.
 */
export function parseMarker(text: string): Marker | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  if (!('bgpPeers' in value) || !('restartTimeSeconds' in value)) return undefined
  const { bgpPeers, restartTimeSeconds } = value
  const spoke = 'spoke' in value && value.spoke === true
  if (!Array.isArray(bgpPeers) || typeof restartTimeSeconds !== 'number') return undefined
  const endedAt = 'endedAt' in value && typeof value.endedAt === 'number' ? value.endedAt : undefined
  const bfd = 'bfd' in value ? bfdSchema.safeParse(value.bfd).data : undefined
  const bootId = 'bootId' in value && typeof value.bootId === 'string' ? value.bootId : undefined
  const names = bgpPeers.filter((name): name is string => typeof name === 'string')
  return present<Marker>({ bgpPeers: names, spoke, restartTimeSeconds, bootId, endedAt, bfd })
}

const number = z.number().int().nonnegative()
const bfdSchema: z.ZodType<WaitingBfd> = z.object({
  bootId: z.string(),
  sessions: z.array(
    z.object({
      peerAddress: z.string(),
      localAddress: z.string().optional(),
      interface: z.string(),
      waitsMilliseconds: number,
      kept: z.object({
        discriminator: number,
        desiredMinTxInterval: number,
        requiredMinRxInterval: number,
        remote: z.object({
          state: z.enum(BFD_STATES),
          diagnostic: number,
          discriminator: number,
          desiredMinTxInterval: number,
          requiredMinRxInterval: number,
          detectMult: number,
          demand: z.boolean(),
        }),
      }),
    }),
  ),
})

/** The marker file of one process. */
export interface RestartMarker {
  /** Decided once, when the marker was opened: what the former process left. */
  readonly restarting: boolean
  /** With `restarting`: the machine was, not just the process. */
  readonly rebooted: boolean
  /** BGPPeers that the former process was a speaker of. */
  readonly formerPeers: readonly string[]
  /** Notes what is so while the process runs; writes only when it changes. */
  running(state: Omit<Marker, 'bootId' | 'endedAt' | 'bfd'>): void
  /** BFD sessions of the former process that may go on. */
  readonly formerBfd: readonly SuspendedSession[]
  /** Notes the end of a planned restart, with the BFD sessions that wait for the next process. */
  restart(bfd?: readonly SuspendedSession[]): void
  /** Forgets: what we announced is withdrawn. */
  shutdown(): void
}

/** Opens the marker in the state folder. Its writes throw when the folder cannot be written. */
export function openRestartMarker(stateFolder: string, clock: Clock, disk?: Disk): RestartMarker {
  const path = join(stateFolder, 'speaker.json')
  const text = readFileIfPresent(path, disk)
  const former = text === undefined ? undefined : parseMarker(text)
  let current: Marker | undefined
  let present = text !== undefined
  const write = (marker: Marker) => {
    if (JSON.stringify(marker) === JSON.stringify(current)) return
    writeFileWhole(path, `${JSON.stringify(marker)}\n`, { ...(disk !== undefined && { disk }) })
    current = marker
    present = true
  }
  return {
    restarting: isRestarting(former, clock.now()),
    rebooted: isRebooted(former, bootId(disk)),
    formerPeers: former?.bgpPeers ?? [],
    running: state => write({ ...state, bootId: bootId(disk) }),
    formerBfd: waitingBfd(former, bootId(disk), clock.now()),
    restart(sessions = []) {
      const bfd = sessions.length === 0 ? {} : { bfd: { bootId: bootId(disk), sessions } }
      if (current !== undefined) write({ ...current, endedAt: clock.now(), ...bfd })
    },
    shutdown() {
      if (present) removeFile(path, disk)
      present = false
      current = undefined
    },
  }
}

/** Another after each start of the machine; empty where the kernel does not say. */
function bootId(disk: Disk | undefined): string {
  return readFileIfPresent('/proc/sys/kernel/random/boot_id', disk)?.trim() ?? ''
}
