/** One condition of a BGPPeer as it was found. Pure. */
import type { Condition } from '../kube/resources.ts'

/** A condition before it has times. */
export type Finding = Pick<Condition, 'status' | 'reason' | 'message'>
