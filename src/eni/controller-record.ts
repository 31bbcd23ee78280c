/**
 * The record of one node: its ENINode in the API server, as the controller reads and writes it.
 * Each write names the resourceVersion that it follows, so whoever was a leader before overwrites
 * nothing, and what the node or others write beside their own part is seen, told and put right.
 * What goes into it is decided elsewhere.
 */
import { ApiError } from '../kube/api.ts'
import { decodeENINode } from '../kube/decode-eni-node.ts'
import {
  type ENINode,
  type ENINodeObject,
  type ENINodeReport,
  type ENIOperation,
  withoutEmptyTexts,
} from '../kube/eni-node.ts'
import { type Condition, ENI_NODES } from '../kube/resources.ts'
import { timestamp } from '../lib/timestamp.ts'
import { type ConditionFinding, withTimes } from './controller-conditions.ts'
import { FIELD_MANAGER, type WorkerShared } from './controller-shared.ts'
import { cloudActionOf, type Recorded } from './operations.ts'
import { digestOf, type SeenENINode } from './seen-eni-node.ts'
import { tagsFor } from './tags.ts'

/** The controller's part of the status as it was written. */
interface Written {
  readonly recorded: Recorded
  readonly conditions: readonly Condition[]
}

/** Of the object what others write; what the controller writes is in `recorded`. */
export interface RecordedNode extends Pick<ENINode, 'uid' | 'spec'> {
  readonly report: ENINodeReport | undefined
}

const API_VERSION = `${ENI_NODES.group}/${ENI_NODES.version}`

export class NodeRecord {
  readonly name: string
  readonly #shared: WorkerShared
  #node: RecordedNode | undefined
  /** As the watch showed the object last. */
  #seen: SeenENINode | undefined
  #resourceVersion = ''
  #conditions: readonly Condition[] = []
  #written: Written | undefined
  /** What the last write said, also when its answer never came. */
  #attempted: Written | undefined
  #stale = false
  #gone = false
  /** The truth: what was written, and outcomes that are still to be written. */
  recorded: Recorded = { interfaces: [], operations: [] }

  constructor(name: string, shared: WorkerShared) {
    this.name = name
    this.#shared = shared
  }

  get node(): RecordedNode | undefined {
    return this.#node
  }
  get conditions(): readonly Condition[] {
    return this.#conditions
  }
  /** Whether somebody has written since it was read. */
  get isStale(): boolean {
    return this.#stale
  }
  /** Whether the object was deleted. */
  get isGone(): boolean {
    return this.#gone
  }
  hasCondition(wanted: string): boolean {
    return this.#conditions.some(({ type }) => type === wanted)
  }

  /** The object as the watch sees it. Whether there is something to do about it. */
  observe(seen: SeenENINode | undefined): boolean {
    if (seen === undefined || seen === this.#seen) return false
    this.#seen = seen
    const { metadata, spec, status } = seen
    if (spec === undefined || this.#node === undefined) return true
    if (isOlder(metadata.resourceVersion, this.#resourceVersion)) return false
    const news = !Bun.deepEquals(status.node, this.#node.report) || !Bun.deepEquals(spec, this.#node.spec)
    if (!news && this.#written !== undefined && status.digest === digestOfWritten(this.#written)) return false
    this.#stale = true
    return true
  }

  /** Begins a term: the record is what the API server has. False: there is none. */
  async load(): Promise<boolean> {
    const object = await this.#get()
    const { node } = object === undefined ? { node: undefined } : decodeENINode(object)
    if (object === undefined || node === undefined) return false
    const { interfaces, operations, conditions } = node.status
    this.#node = othersPart(node)
    this.#resourceVersion = object.metadata.resourceVersion ?? ''
    // an operation that is not of this node's platform or interfaces was not written by us
    this.recorded = { interfaces, operations: operations.filter(operation => this.#isOwnOperation(node, operation)) }
    this.#conditions = conditions
    this.#written = { recorded: { interfaces, operations }, conditions }
    this.#stale = false
    return true
  }

  async #get(): Promise<ENINodeObject | undefined> {
    const { api, gate } = this.#shared
    return await gate.run(() => api.get<ENINodeObject>(ENI_NODES, this.name))
  }

  #isOwnOperation({ spec, name }: ENINode, operation: ENIOperation): boolean {
    if (cloudActionOf(spec.platform, operation.action) === undefined) return false
    if (operation.action !== 'CreateNetworkInterface') return true
    const { clusterID } = this.#shared
    const tags = tagsFor({ clusterID, instanceID: spec.instanceID, node: name }, {}).map(({ Value }) => Value)
    const values = Object.entries(operation.parameters).filter(([key]) => /^Tag\.\d+\.Value$/.test(key))
    return (
      tags.every(tag => values.some(([, value]) => value === tag)) && operation.parameters.SourceDestCheck === 'false'
    )
  }

  /** Takes in what the node and others wrote meanwhile. Whether the spec is another than before. */
  async refresh(): Promise<boolean> {
    const object = await this.#get()
    const { node } = object === undefined ? { node: undefined } : decodeENINode(object)
    if (object === undefined) {
      this.#gone = true
      return false
    }
    this.#resourceVersion = object.metadata.resourceVersion ?? ''
    this.#stale = false
    if (node === undefined) return false
    if (this.#node !== undefined && node.uid !== this.#node.uid) {
      this.#node = undefined // deleted and made anew: it is loaded as in a new term
      throw new Error('the ENINode was made anew')
    }
    const digest = digestOf(node.status)
    // its answer was lost
    if (this.#attempted !== undefined && digest === digestOfWritten(this.#attempted)) this.#written = this.#attempted
    if (this.#written === undefined || digest !== digestOfWritten(this.#written)) this.#foreignWrite()
    const specChanged = this.#node !== undefined && !Bun.deepEquals(node.spec, this.#node.spec)
    this.#node = othersPart(node)
    return specChanged
  }

  /** What somebody else wrote is overwritten by the next write. */
  #foreignWrite(): void {
    const { log, event } = this.#shared
    this.#written = undefined
    log.warn({ node: this.name }, 'somebody wrote into an ENINode what only the controller writes: it is put right')
    event(
      this.name,
      'Warning',
      'ForeignWrite',
      `status of the ENINode was changed outside of status.node: it is put right; only the controller writes it`,
    )
  }

  /** Writes the controller's part of the status. False: somebody wrote meanwhile, decide anew. */
  async write(proposal: Recorded, findings: readonly ConditionFinding[]): Promise<boolean> {
    const { api, clock, gate } = this.#shared
    if (this.#node === undefined) return false
    const conditions = withTimes(findings, this.#conditions, timestamp(clock.now()))
    if (this.#written !== undefined && Bun.deepEquals(this.#written, { recorded: proposal, conditions })) {
      this.#conditions = conditions
      this.#written = { recorded: proposal, conditions } // the same, and in memory once
      return true
    }
    const object = {
      apiVersion: API_VERSION,
      kind: ENI_NODES.kind,
      metadata: { name: this.name, resourceVersion: this.#resourceVersion },
      status: withoutEmptyTexts({ interfaces: proposal.interfaces, operations: proposal.operations, conditions }),
    }
    this.#attempted = { recorded: proposal, conditions }
    try {
      const options = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' } as const
      const after = await gate.run(() => api.apply<ENINodeObject & { status: unknown }>(ENI_NODES, object, options))
      this.#resourceVersion = after.metadata.resourceVersion ?? ''
      const { node: seen } = decodeENINode(after)
      if (seen !== undefined) this.#node = othersPart(seen)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        this.#gone = true
        return false
      }
      if (!(error instanceof ApiError && error.status === 409)) throw error
      this.#stale = true
      return false
    }
    this.#conditions = conditions
    this.#written = this.#attempted
    this.#shared.onChange()
    return true
  }

  /** Deletes the object of a node that left. False: somebody wrote meanwhile. */
  async remove(): Promise<boolean> {
    const { api, log } = this.#shared
    const metadata = { name: this.name, uid: this.#node?.uid ?? '', resourceVersion: this.#resourceVersion }
    try {
      await api.deleteUnchanged(ENI_NODES, { apiVersion: API_VERSION, kind: ENI_NODES.kind, metadata })
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      this.#stale = true
      return false
    }
    this.#gone = true
    log.info({ node: this.name }, 'deleted the ENINode of a node that left')
    return true
  }
}

function othersPart({ uid, spec, status }: ENINode): RecordedNode {
  return { uid, spec, report: status.node }
}

function digestOfWritten({ recorded, conditions }: Written): string {
  return digestOf({ ...recorded, conditions })
}

/**
 * Whether the API server wrote `a` before `b`; resourceVersions that are no numbers are taken for
 * newer.
 */
function isOlder(a: string | undefined, b: string): boolean {
  if (a === undefined || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return false
  return BigInt(a) <= BigInt(b)
}
