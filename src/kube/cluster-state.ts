/**
 * The format of `cluster.json` in the state folder: the last good inputs of a node, from which it starts when the API server is out of reach.
 * The file holds passwords in clear text (the kernel needs them so), hence mode 0600. It is untrusted when read: its objects go through
 * the same decoders as those of the API server. What goes into it is decided in merge-cluster.ts.
 */
import { join } from 'node:path'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import type { BGPPeer } from './bgp-peer.ts'
import { decodeBGPPeer } from './decode-bgp-peer.ts'
import { decodeRouteSlice, type RouteEntry } from './route-slice.ts'
import { isFields } from './spec-reader.ts'

/** The last good inputs, by the names of their objects. */
export interface ClusterState {
  readonly slices: ReadonlyMap<string, readonly RouteEntry[]>
  readonly peers: ReadonlyMap<string, BGPPeer>
  /** Passwords by BGPPeer name, of those that this node speaks to. */
  readonly passwords: ReadonlyMap<string, string>
}

const VERSION = 1

export function clusterStatePath(stateDir: string): string {
  return join(stateDir, 'cluster.json')
}

/** The text of the file: equal states give equal texts. */
export function encodeClusterState(state: ClusterState): string {
  const sorted = <T>(map: ReadonlyMap<string, T>) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
  const { slices, peers, passwords } = state
  return `${JSON.stringify({ version: VERSION, slices: sorted(slices), peers: sorted(peers), passwords: sorted(passwords) })}\n`
}

/** The state in `text`. Throws with the reason when it cannot be used as a whole. */
export function decodeClusterState(text: string): ClusterState {
  const document: unknown = JSON.parse(text)
  if (!isFields(document)) throw new Error('it is not an object')
  if (document.version !== VERSION) throw new Error(`its version is ${String(document.version)}, expected ${VERSION}`)
  const { slices, peers, passwords } = document
  if (!isFields(slices) || !isFields(peers) || !isFields(passwords)) throw new Error('a part is missing')
  return {
    slices: new Map(Object.entries(slices).map(([name, entries]) => [name, sliceOf(name, entries)])),
    peers: new Map(Object.entries(peers).map(([name, peer]) => [name, peerOf(name, peer)])),
    passwords: new Map(
      Object.entries(passwords).map(([name, password]) => {
        if (typeof password !== 'string' || password === '') throw new Error(`the password of ${name} is not a text`)
        return [name, password]
      }),
    ),
  }
}

function sliceOf(name: string, entries: unknown): readonly RouteEntry[] {
  const decoded = decodeRouteSlice({ entries })
  const [problem] = decoded.problems
  if (problem !== undefined) throw new Error(`${name}: ${problem.path} ${problem.message}`)
  return decoded.entries
}

function peerOf(name: string, peer: unknown): BGPPeer {
  const { uid, generation, createdAt, spec } = isFields(peer) ? peer : {}
  const decoded = decodeBGPPeer({ metadata: { name, uid, generation, creationTimestamp: createdAt }, spec })
  if ('peer' in decoded) return decoded.peer
  throw new Error(`${name}: ${decoded.problems.map(({ path, message }) => `${path} ${message}`).join(', ')}`)
}

export type LoadedClusterState = { readonly state: ClusterState | undefined } | { readonly problem: string }

/** Reads the file. No file is no state and no problem; an unreadable one is a problem, and the node starts without. */
export function loadClusterState(stateDir: string): LoadedClusterState {
  try {
    const text = readFileIfPresent(clusterStatePath(stateDir))
    return { state: text === undefined ? undefined : decodeClusterState(text) }
  } catch (error) {
    return { problem: errorText(error) }
  }
}

/** Writes the file whole, mode 0600. Throws when the folder cannot be written. */
export function storeClusterState(stateDir: string, text: string): void {
  writeFileWhole(clusterStatePath(stateDir), text, { mode: 0o600 })
}
