/**
 * The ENINode of this node: followed by name, and the last good one kept in the state folder, so
 * that a node that boots with the API out of reach knows its interfaces and addresses. Not ready is
 * not empty: a server that is away, an object that cannot be read and one that is gone leave the
 * last good one in place.
 */
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import type { Cache, KubeApi } from './api.ts'
import { decodeENINode } from './decode-eni-node.ts'
import type { ENINode, ENINodeObject } from './eni-node.ts'
import { ENI_NODES } from './resources.ts'

export interface ENINodeSource {
  /** The last good one; undefined when there never was one. */
  readonly current: ENINode | undefined
  /** Whether the API server has one now; undefined while it has not answered. */
  readonly exists: boolean | undefined
  /**
   * Drops the last good one, when the node has become another kind of node and the API server has
   * none.
   */
  forget(): void
  /** Calls `listener` when either changed. Returns how to stop that. */
  onChange(listener: () => void): () => void
  close(): void
}

export interface ENINodeSourceOptions {
  readonly api: Pick<KubeApi, 'cache'>
  /** The name of this node. */
  readonly node: string
  readonly stateDir: string
  readonly clock: Clock
  readonly log: Log
}

/** How long after it could not be stored it is tried again. */
const STORE_AGAIN_MILLISECONDS = 30_000

/** Starts with what the state folder has, and follows the API server from then on. */
export function createENINodeSource(options: ENINodeSourceOptions): ENINodeSource {
  return new Source(options)
}

/** Of the state folder. */
function eniNodeFile(stateDir: string): string {
  return join(stateDir, 'eni-node.json')
}

/**
 * The last good one of the state folder; undefined when there is none. Throws when it cannot be
 * read.
 */
export function readENINode(stateDir: string): ENINode | undefined {
  const text = readFileIfPresent(eniNodeFile(stateDir))
  if (text === undefined) return undefined
  const { node, problems } = decodeENINode(JSON.parse(text))
  if (node !== undefined) return node
  throw new Error(problems.map(({ path, message }) => `${path} ${message}`).join(', '))
}

class Source implements ENINodeSource {
  readonly #options: ENINodeSourceOptions
  readonly #cache: Cache<ENINodeObject>
  readonly #listeners = new Listeners()
  #current: ENINode | undefined
  #exists: boolean | undefined
  #stored = ''
  #problem = ''
  #cancelStoring = () => {}

  constructor(options: ENINodeSourceOptions) {
    this.#options = options
    this.#load()
    const fieldSelector = `metadata.name=${options.node}`
    this.#cache = options.api.cache<ENINodeObject>(ENI_NODES, { fieldSelector })
    this.#cache.onChange(() => this.#merge())
  }

  get current(): ENINode | undefined {
    return this.#current
  }
  get exists(): boolean | undefined {
    return this.#exists
  }
  forget(): void {
    if (this.#exists !== false || this.#current === undefined) return
    removeFile(eniNodeFile(this.#options.stateDir))
    this.#current = undefined
    this.#stored = ''
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  close(): void {
    this.#listeners.clear()
    this.#cancelStoring()
    this.#cache.close()
  }

  #load(): void {
    const { stateDir, log } = this.#options
    try {
      this.#current = readENINode(stateDir)
      this.#stored = this.#current === undefined ? '' : storedText(this.#current)
    } catch (error) {
      log.warn({ file: eniNodeFile(stateDir), reason: errorText(error) }, 'the stored ENINode cannot be used')
    }
  }

  #merge(): void {
    if (!this.#cache.synced) return
    const object = this.#cache.objects.get(this.#options.node)
    const exists = object !== undefined
    const { node, problems } = exists ? decodeENINode(object) : { node: undefined, problems: [] }
    this.#tell(problems.map(({ path, message }) => `${path} ${message}`).join(', '))
    if (exists === this.#exists && (node === undefined || Bun.deepEquals(node, this.#current))) return
    this.#exists = exists
    if (node !== undefined) {
      this.#current = node
      this.#store(storedText(node))
    }
    this.#listeners.tell()
  }

  #tell(problem: string): void {
    if (problem === this.#problem) return
    this.#problem = problem
    const { log, node } = this.#options
    if (problem !== '') log.warn({ name: node, detail: problem }, 'parts of the ENINode cannot be used')
  }

  /** Writes only what differs: each start of a pod near a bound of the pool changes the object. */
  #store(text: string): void {
    const { stateDir, clock, log } = this.#options
    this.#cancelStoring()
    if (text === this.#stored) return
    try {
      writeFileWhole(eniNodeFile(stateDir), text)
      this.#stored = text
    } catch (error) {
      log.error({ file: eniNodeFile(stateDir), reason: errorText(error) }, 'cannot store the ENINode')
      this.#cancelStoring = clock.after(STORE_AGAIN_MILLISECONDS, () => this.#store(text))
    }
  }
}

/**
 * What a node needs of it when nobody answers: not the calls under way, nor what the node says
 * itself.
 */
function storedText({ name, uid, spec, status }: ENINode): string {
  const { interfaces, conditions } = status
  return `${JSON.stringify({ metadata: { name, uid }, spec, status: { interfaces, conditions } }, undefined, 1)}\n`
}
