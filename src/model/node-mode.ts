/** Where a node's pods get their addresses; how that is decided: eni/mode.ts. Pure. */

/**
 * Out of the node's podCIDR, or of elastic network interfaces of the cloud (ECS) or of Edge Node
 * Service (ENS).
 */
export type NodeMode = 'route' | 'eni-ecs' | 'eni-ens'
