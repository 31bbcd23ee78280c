/**
 * The format of `cluster.json` in the state folder: the last good inputs of a node, from which it
 * starts when the API server is out of reach. The file holds passwords in clear text (the kernel
 * needs them so), hence mode 0600. It is untrusted when read: its objects go through the same
 * decoders as those of the API server. What goes into it is decided in merge-cluster.ts.
 *
 * Damage is never total: what of it can be read is used, object by object, and the generation
 * before (`cluster.json.before`) fills in what cannot. It says whose it is: a state of another node
 * (a cloned disk) or another cluster is not used.
 */
import { basename, join } from 'node:path'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { errorText } from '../lib/errors.ts'
import { comparing, sameJson } from '../lib/fields.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { canonicalAddress } from '../lib/ip.ts'
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
  /** Addresses of the leading controller; absent: none is known. */
  readonly controllers?: readonly string[]
  /** `sessionKey`s of the BGPPeers that any speaker had a session of; absent: nobody has looked. */
  readonly hadSession?: readonly string[]
}

/** Whether two states say the same. Of thousands of entries most are the very same objects. */
export const sameState = comparing<ClusterState>({
  slices: sameMap,
  peers: sameMap,
  passwords: sameMap,
  controllers: sameJson,
  hadSession: sameJson,
})

function sameMap<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false
  for (const [name, value] of a) {
    const other = b.get(name)
    if (value !== other && !Bun.deepEquals(value, other, true)) return false
  }
  return true
}

/** Older readers take no other number, and none needs to: new keys are all that was added. */
const VERSION = 1

/** Whose state it is. */
export interface StateOwner {
  readonly node: string
  /**
   * How the node reaches its cluster: the server's URL, and a digest of the CA where there is one.
   */
  readonly cluster?: ClusterIdentity
}

export interface ClusterIdentity {
  readonly server: string
  readonly ca?: string
}

/** What goes into the file beside the state. */
export interface StateFacts extends StateOwner {
  /** When the API server answered last (RFC 3339). */
  readonly lastContact?: string
}

export function clusterStatePath(stateDir: string): string {
  return join(stateDir, 'cluster.json')
}

function beforePath(stateDir: string): string {
  return `${clusterStatePath(stateDir)}.before`
}

/** The text of the file: equal states give equal texts. */
export function encodeClusterState(state: ClusterState, facts?: StateFacts): string {
  const sorted = <T>(map: ReadonlyMap<string, T>) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
  const { slices, peers, passwords, ...rest } = state
  const objects = { slices: sorted(slices), peers: sorted(peers), passwords: sorted(passwords), ...rest }
  return `${JSON.stringify({ version: VERSION, ...facts, ...objects })}\n`
}

/** What a text holds: what can be read, and a line for everything that cannot. */
export interface Salvaged extends StateFacts {
  readonly state: ClusterState
  readonly problems: readonly string[]
}

/** The state in `text`, as far as it can be read. Throws where it is not even an object. */
function decodeClusterState(text: string): Salvaged {
  const document: unknown = JSON.parse(text)
  if (!isFields(document)) throw new Error('it is not an object')
  const problems: string[] = []
  const { version, slices, peers, passwords, controllers, hadSession, node, cluster, lastContact } = document
  if (version !== VERSION) problems.push(`its version is ${String(version)}, not ${VERSION}: read as far as it can be`)
  const part = (name: string, value: unknown) => {
    if (!isFields(value)) problems.push(`${name} is missing`)
    return Object.entries(isFields(value) ? value : {})
  }
  const state = {
    slices: new Map(part('slices', slices).map(([name, entries]) => [name, sliceOf(name, entries, problems)])),
    peers: new Map(
      part('peers', peers).flatMap(([name, peer]): [string, BGPPeer][] => {
        const decoded = peerOf(name, peer, problems)
        return decoded === undefined ? [] : [[name, decoded]]
      }),
    ),
    passwords: new Map(
      part('passwords', passwords).flatMap(([name, password]): [string, string][] => {
        if (typeof password === 'string' && password !== '') return [[name, password]]
        problems.push(`the password of ${name} is not a text`)
        return []
      }),
    ),
    ...controllersOf(controllers),
    ...(Array.isArray(hadSession) && { hadSession: hadSession.filter(key => typeof key === 'string') }),
  }
  return {
    state,
    problems,
    node: typeof node === 'string' ? node : '',
    ...(isFields(cluster) && typeof cluster.server === 'string' && { cluster: identityOf(cluster.server, cluster.ca) }),
    ...(typeof lastContact === 'string' && { lastContact }),
  }
}

function controllersOf(value: unknown): Pick<ClusterState, 'controllers'> {
  if (!Array.isArray(value)) return {}
  return { controllers: value.flatMap(text => (typeof text === 'string' ? (canonicalAddress(text) ?? []) : [])) }
}

function identityOf(server: string, ca: unknown): ClusterIdentity {
  return { server, ...(typeof ca === 'string' && { ca }) }
}

function sliceOf(name: string, entries: unknown, problems: string[]): readonly RouteEntry[] {
  const decoded = decodeRouteSlice({ entries })
  problems.push(...decoded.problems.map(({ path, message }) => `RouteSlice ${name}: ${path} ${message}`))
  return decoded.entries
}

function peerOf(name: string, peer: unknown, problems: string[]): BGPPeer | undefined {
  const { uid, generation, createdAt, spec } = isFields(peer) ? peer : {}
  const decoded = decodeBGPPeer({ metadata: { name, uid, generation, creationTimestamp: createdAt }, spec })
  if ('peer' in decoded) return decoded.peer
  problems.push(`BGPPeer ${name}: ${decoded.problems.map(({ path, message }) => `${path} ${message}`).join(', ')}`)
  return undefined
}

export interface LoadedClusterState {
  /** Undefined where there is none, or none of this node and cluster. */
  readonly state: ClusterState | undefined
  /** RFC 3339. */
  readonly lastContact?: string
  /** What an operator should know of the file. */
  readonly problems: readonly string[]
}

/**
 * Reads the file, and the one before it where that one lacks something; with an `owner`, only what
 * is its own. Never throws.
 */
export function loadClusterState(stateDir: string, owner?: StateOwner, disk: Disk = systemDisk): LoadedClusterState {
  const current = readGeneration(disk, clusterStatePath(stateDir), owner)
  if (current.salvaged !== undefined && current.problems.length === 0) return loaded(current.salvaged, [])
  const before = readGeneration(disk, beforePath(stateDir), owner)
  if (current.salvaged === undefined && before.salvaged === undefined)
    return { state: undefined, problems: current.problems }
  if (current.salvaged === undefined && before.salvaged !== undefined) {
    return loaded(before.salvaged, [...current.problems, 'going on from the state before it'])
  }
  const { salvaged } = current
  if (salvaged === undefined) return { state: undefined, problems: current.problems }
  const state = before.salvaged === undefined ? salvaged.state : filledIn(salvaged.state, before.salvaged.state)
  return loaded({ ...salvaged, state }, current.problems)
}

function loaded({ state, lastContact }: Salvaged, problems: readonly string[]): LoadedClusterState {
  return { state, problems, ...(lastContact !== undefined && { lastContact }) }
}

function readGeneration(
  disk: Disk,
  path: string,
  owner: StateOwner | undefined,
): { salvaged?: Salvaged; problems: readonly string[] } {
  const file = basename(path)
  try {
    const text = readFileIfPresent(path, disk)
    if (text === undefined) return { problems: [] }
    const salvaged = decodeClusterState(text)
    const foreign = foreignness(salvaged, owner)
    if (foreign !== undefined) return { problems: [`${file} ${foreign}: it is not used`] }
    return { salvaged, problems: salvaged.problems.map(problem => `${file}: ${problem}`) }
  } catch (error) {
    return { problems: [`${file} cannot be read: ${errorText(error)}`] }
  }
}

/**
 * Whether a state is another node's or another cluster's. A cluster that has a new CA or a new
 * address is the same.
 */
function foreignness({ node, cluster }: StateFacts, owner: StateOwner | undefined): string | undefined {
  if (owner === undefined) return undefined
  if (node !== '' && node !== owner.node) return `is of node ${node}, not of ${owner.node} (a cloned disk?)`
  const { cluster: own } = owner
  if (cluster === undefined || own === undefined) return undefined
  const isOther =
    cluster.server !== own.server && cluster.ca !== undefined && own.ca !== undefined && cluster.ca !== own.ca
  return isOther ? `is of another cluster (${cluster.server}), with another CA` : undefined
}

/**
 * What `state` lost to damage, from the state before it; what was gone on purpose may come back
 * until the API server answers.
 */
function filledIn(state: ClusterState, before: ClusterState): ClusterState {
  const known = new Set([...state.slices.values()].flat().map(({ node }) => node))
  const slices = new Map(state.slices)
  for (const [name, entries] of before.slices) {
    const lost = entries.filter(({ node }) => !known.has(node))
    if (lost.length > 0) slices.set(name, [...(slices.get(name) ?? []), ...lost])
  }
  return {
    ...state,
    slices,
    peers: new Map([...before.peers, ...state.peers]),
    passwords: new Map([...before.passwords, ...state.passwords]),
  }
}

/**
 * Writes the file whole, mode 0600, and keeps the one before. Throws when the folder cannot be
 * written.
 */
export function storeClusterState(stateDir: string, text: string, disk: Disk = systemDisk): void {
  keepGeneration(disk, clusterStatePath(stateDir), beforePath(stateDir))
  writeFileWhole(clusterStatePath(stateDir), text, { mode: 0o600, disk })
}

/**
 * As a second name of the same file, so that no byte more is written: the disk of an edge node is a
 * small flash chip.
 */
function keepGeneration(disk: Disk, path: string, before: string): void {
  const next = `${before}.new`
  try {
    disk.remove(next)
    disk.link(path, next)
    disk.rename(next, before)
  } catch {
    // the first one, or a file system without hard links: then there is none before
  }
}
