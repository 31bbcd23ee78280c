/** What `scale.ts` asks of `measure.ts`, and what it is told. */

export interface Task {
  readonly executable: string
  readonly folder: string
  /** Whether to measure on a real kube-apiserver (KUBEBUILDER_ASSETS) and not on the lab's. */
  readonly real: boolean
  readonly nodes: number
  /** How long each steady state is watched. */
  readonly seconds: number
  /** Nodes created, routes deleted, cold starts. */
  readonly rounds: number
  /** Network namespaces, as `ip netns` names them. */
  readonly namespaces: { readonly node: string; readonly watcher: string }
}

export interface ProcessCost {
  readonly cpuPercent: number
  readonly restMegabytes: number
  readonly anonymousMegabytes: number
  readonly peakMegabytes: number
}

export interface Measured {
  readonly server: string
  readonly nodes: number
  readonly nodeBytes: number
  /** Of a watch of Nodes that does nothing else. */
  readonly watch: ProcessCost & { readonly bytesPerSecond: number; readonly startSeconds: number }
  readonly controller: ProcessCost & { readonly startSeconds: number }
  readonly node: ProcessCost & { readonly bytesPerSecond: number }
  /** With cni-server, PSS in MB. */
  readonly pairMegabytes: number
  /** Milliseconds each. */
  readonly coldStart: readonly number[]
  readonly created: readonly number[]
  readonly repaired: readonly number[]
  /** Peak of the node process while Nodes came. */
  readonly churnPeakMegabytes: number
  /** Whether it still ran after that with 96 MB; undefined where no cgroup could be made. */
  readonly livesInSmallCgroup: boolean | undefined
}
