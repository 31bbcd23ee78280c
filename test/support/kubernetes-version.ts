/**
 * What differs between the Kubernetes of KUBEBUILDER_ASSETS, 1.20 or 1.36, in what the tests say to
 * it. The programs are asked for their version.
 */
import { join } from 'node:path'
import { run } from './namespaces.ts'

let minor: number | undefined

/** The number after "v1." of the kube-apiserver; 0 when there is none. */
function kubernetesMinor(): number {
  const program = join(process.env.KUBEBUILDER_ASSETS ?? '/nowhere', 'kube-apiserver')
  if (Bun.which(program) === null) return 0
  minor ??= Number(/v1\.(\d+)/.exec(run([program, '--version']).stdout)?.[1] ?? 0)
  return minor
}

/** EndpointSlices are v1 since 1.21, and v1beta1 ended with 1.25. */
export function endpointSliceVersion(): string {
  return `discovery.k8s.io/${kubernetesMinor() < 21 ? 'v1beta1' : 'v1'}`
}

/** The node of an endpoint: v1 has a field of its own for it. */
export function endpointNode(name: string): object {
  return kubernetesMinor() < 21 ? { topology: { 'kubernetes.io/hostname': name } } : { nodeName: name }
}

/** No port that anybody may ask: the option for the insecure one ended with 1.24. */
export function controllerManagerPorts(): readonly string[] {
  return [...(kubernetesMinor() < 24 ? ['--port=0'] : []), '--secure-port=0']
}

/** A kubelet of 1.35 refuses cgroup v1 unless it is told otherwise; 1.31 can be told. */
export function kubeletCgroups(): object {
  return kubernetesMinor() < 31 ? {} : { failCgroupV1: false }
}
