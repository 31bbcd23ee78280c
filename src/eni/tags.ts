/**
 * By what an interface is known as ours: the tags that it was made with. Another cluster's in the
 * same VPC bear another cluster's id, an excluded one a tag of its own. Pure.
 */

import type { Tag } from '../cloud/actions.ts'
import type { CloudInterface } from '../cloud/answers.ts'

const CREATOR = 'terway-edge'
const CREATOR_TAG = 'creator'
const CLUSTER_TAG = 'terway-edge/cluster'
const INSTANCE_TAG = 'terway-edge/instance'
const NODE_TAG = 'terway-edge/node'
/** With `true`: counts as a slot, and is left alone. */
const EXCLUDED_TAG = 'terway.alibabacloud.com/excluded'

/** Tags of an interface that is made for a node; `more` are the user's (eni_tags). */
export function tagsFor(
  owner: { clusterID: string; instanceID: string; node: string },
  more: Readonly<Record<string, string>>,
): readonly Tag[] {
  const ours = {
    [CREATOR_TAG]: CREATOR,
    [CLUSTER_TAG]: owner.clusterID,
    [INSTANCE_TAG]: owner.instanceID,
    [NODE_TAG]: owner.node,
  }
  return Object.entries({ ...more, ...ours }).map(([Key, Value]) => ({ Key, Value: Value.slice(0, 128) }))
}

/** Whether we may touch it. */
export function isOurs({ tags, type, serviceManaged }: CloudInterface, clusterID: string): boolean {
  return (
    tags[CREATOR_TAG] === CREATOR &&
    tags[CLUSTER_TAG] === clusterID &&
    tags[EXCLUDED_TAG] !== 'true' &&
    !serviceManaged &&
    (type === 'Secondary' || type === '')
  )
}

/** The instance and the node that it was made for. */
export function madeFor({ tags }: CloudInterface): { readonly instanceID: string; readonly node: string } {
  return { instanceID: tags[INSTANCE_TAG] ?? '', node: tags[NODE_TAG] ?? '' }
}
