/**
 * What the controller keeps of every ENINode as the watch shows it: what is wanted of it, what its
 * node reports, and of its own part of the status only which interfaces are named and a digest, by
 * which it is seen whether somebody else wrote there. The addresses stand in the record of the
 * node's worker, and once: a thousand nodes have tens of thousands. Pure.
 */
import { decodeENINode } from '../kube/decode-eni-node.ts'
import type { ENINodeObject, ENINodeReport, ENINodeSpec, ENINodeStatus } from '../kube/eni-node.ts'
import type { Condition } from '../kube/resources.ts'

/** The controller's part of the status. */
export type ControllerPart = Pick<ENINodeStatus, 'interfaces' | 'operations' | 'conditions'>

export interface SeenENINode extends ENINodeObject {
  /** Undefined when the object is of no use. */
  readonly spec: ENINodeSpec | undefined
  readonly status: {
    readonly node: ENINodeReport | undefined
    readonly interfaceIDs: readonly string[]
    /** `digestOf` the controller's part. */
    readonly digest: string
  }
}

/** For the cache. */
export function seenENINode(object: ENINodeObject): SeenENINode {
  const { name, uid, resourceVersion } = object.metadata
  const { node } = decodeENINode(object)
  const part = node?.status ?? { interfaces: [], operations: [], conditions: [], node: undefined }
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    spec: node?.spec,
    status: { node: part.node, interfaceIDs: part.interfaces.map(({ id }) => id), digest: digestOf(part) },
  }
}

/** The same for what is the same, in whichever order an API server writes the fields. */
export function digestOf({ interfaces, operations, conditions }: ControllerPart): string {
  const values = [interfaces, operations, conditions.map(withoutTime)]
  return Bun.hash(JSON.stringify(values, sorted)).toString(36)
}

/** Since when a condition holds is no news. */
function withoutTime({ type, status, reason, message }: Condition): Omit<Condition, 'lastTransitionTime'> {
  return { type, status, reason, message }
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
