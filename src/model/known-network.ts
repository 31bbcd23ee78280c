/**
 * What a node knows of the network of its pods, for who lets their packets pass and who translates
 * them: the agent tells it, the firewall acts on it. Pure.
 */

export interface KnownNetwork {
  /** This node's own. */
  readonly podCIDRs: readonly string[]
  /** Of all nodes of the cluster. */
  readonly clusterPodCIDRs: readonly string[]
  /** Addresses at which the controller answers, in the VPC. */
  readonly controllers: readonly string[]
  readonly nodeAddresses: readonly string[]
  /** Names of the interfaces that lead away from this machine. */
  readonly uplinks: readonly string[]
}
