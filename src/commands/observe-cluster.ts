/**
 * Reads from a running cluster what `plan` and `switch-config` ask of it: BGPPeers, nodes, the
 * controller's configuration. Reads only; needs the rights of an administrator who may list Nodes
 * and get ConfigMaps in kube-system.
 */
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { ApiError, type KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { withReadableStatus } from '../kube/bgp-peer-status.ts'
import { createKubeApi } from '../kube/client.ts'
import { PLAN_KEY } from '../kube/controller-manifest.ts'
import { decodeBGPPeer } from '../kube/decode-bgp-peer.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { lanView } from '../kube/lan-view.ts'
import { BGP_PEERS, type KubeObject, NODES, type Node, type ResourceType } from '../kube/resources.ts'
import { systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { canonicalAddress, networkOf } from '../lib/ip.ts'
import { silentLog } from '../lib/log.ts'
import type { ObservedCluster, ObservedNode } from '../planner/cluster.ts'

const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
}
/** Of config/controller.yaml. */
const CONTROLLER_CONFIG = { name: 'terway-edge-controller', namespace: 'kube-system' }

/** Runs `use` with the API server of the kubeconfig (absent: in-cluster). */
export async function withCluster<T>(kubeconfig: string | undefined, use: (api: KubeApi) => Promise<T>): Promise<T> {
  const api = createKubeApi({ kubeconfig: loadKubeconfig(kubeconfig), clock: systemClock, log: silentLog })
  try {
    return await use(api)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const hint = error.status === 404 ? ': is terway-edge installed in this cluster?' : ''
    throw new UserError(`${error.message}${hint}`, { cause: error })
  } finally {
    api.close()
  }
}

/** What the controller's ConfigMap says, as far as it is there. */
export interface ControllerDocuments {
  /** `network` of its configuration. */
  readonly network?: Config['network']
  /** The text of the plan that it shows. */
  readonly plan?: string
}

export async function controllerDocuments(api: KubeApi): Promise<ControllerDocuments> {
  const { name, namespace } = CONTROLLER_CONFIG
  const map = await api.get<KubeObject & { data?: Record<string, string> }>(CONFIG_MAPS, name, namespace)
  const text = map?.data?.['config.yaml']
  const plan = map?.data?.[PLAN_KEY]
  return {
    ...(text !== undefined && { network: parseConfig(text, `ConfigMap ${namespace}/${name}`).network }),
    ...(plan !== undefined && { plan }),
  }
}

/** `network` of the controller's configuration; undefined where there is none. */
export async function controllerNetwork(api: KubeApi): Promise<Config['network'] | undefined> {
  return (await controllerDocuments(api)).network
}

export async function clusterNodes(api: KubeApi): Promise<readonly ObservedNode[]> {
  const nodes = await api.list<Node>(NODES)
  return nodes.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    addresses: (status?.addresses ?? []).flatMap(({ type, address }) => {
      const canonical = type === 'InternalIP' ? canonicalAddress(address) : undefined
      return canonical === undefined ? [] : [canonical]
    }),
    podCIDRs: (spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR])).flatMap(
      cidr => networkOf(cidr) ?? [],
    ),
  }))
}

/** Everything that `plan` compares. BGPPeers that cannot work are left out. */
export async function observeCluster(api: KubeApi): Promise<ObservedCluster> {
  const [objects, nodes, controller] = await Promise.all([
    api.list<BGPPeerObject>(BGP_PEERS),
    clusterNodes(api),
    controllerNetwork(api),
  ])
  const lans = objects.flatMap(object => {
    const decoded = decodeBGPPeer(object)
    const selected = withReadableStatus(object).status?.selectedNodes ?? []
    if (!('peer' in decoded)) return []
    return [lanView(decoded.peer.name, decoded.peer.spec, { nodes: selected, problem: undefined })]
  })
  return { lans, nodes, ...(controller !== undefined && { controller }) }
}
