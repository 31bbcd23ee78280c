/**
 * The lab's part in the cluster: makes Nodes, the Secret and the BGPPeers, reads back what the
 * controller and the speakers say, and in a real cluster removes again what it made and nothing
 * else.
 */
import { ApiError, type KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { createKubeApi } from '../kube/client.ts'
import { decodeENINode } from '../kube/decode-eni-node.ts'
import type { ENINode, ENINodeObject } from '../kube/eni-node.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import {
  BGP_PEERS,
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  ENI_NODES,
  type KubeObject,
  LEASES,
  NODES,
  type Node,
  type ResourceType,
  SECRETS,
} from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { silentLog } from '../lib/log.ts'
import { timestamp } from '../lib/timestamp.ts'
import {
  bgpPeerObject,
  cloudNodeObject,
  cloudObjects,
  nodeObject,
  nodeStatus,
  secretObject,
} from './cluster-objects.ts'
import { type Patience, retry } from './patience.ts'
import { LAB_LABEL, type LabPlan, machinesOf } from './plan.ts'
import type { LabBook, ObjectRecord } from './record.ts'

const TYPES: readonly ResourceType[] = [NODES, SECRETS, CONFIG_MAPS, BGP_PEERS, CUSTOM_RESOURCE_DEFINITIONS, LEASES]

/** What a controller makes by itself: removed with the lab where it was not there before. */
const CONTROLLERS_OWN: readonly ObjectRecord[] = [
  { kind: 'CustomResourceDefinition', name: 'bgppeers.network.openyurt.io' },
  { kind: 'CustomResourceDefinition', name: 'routeslices.network.openyurt.io' },
  { kind: 'CustomResourceDefinition', name: 'eninodes.network.openyurt.io' },
  { kind: 'Lease', name: 'terway-edge-controller', namespace: 'kube-system' },
]

export function openCluster(kubeconfig: string, clock: Clock): KubeApi {
  return createKubeApi({ kubeconfig: loadKubeconfig(kubeconfig), clock, log: silentLog })
}

function typeOf(kind: string): ResourceType {
  const found = TYPES.find(type => type.kind === kind)
  if (found === undefined) throw new Error(`the lab makes no objects of kind ${kind}`)
  return found
}

/** Waits until the API server answers. */
export async function untilServing(api: KubeApi, patience: Patience): Promise<void> {
  await retry(patience, () => api.list(NODES))
}

/**
 * Refuses a cluster that has objects of the names that the lab would use, and records what the
 * controller will add to it.
 */
export async function claimCluster(api: KubeApi, plan: LabPlan, book: LabBook): Promise<void> {
  const secret = secretObject(plan)
  const wanted: ObjectRecord[] = [
    ...machinesOf(plan).map(({ name }) => ({ kind: 'Node', name })),
    ...cloudObjects(plan).map(reference),
    ...(secret === undefined ? [] : [reference(secret)]),
    ...plan.lans.map(({ bgpPeer }) => ({ kind: 'BGPPeer', name: bgpPeer })),
  ]
  const present = async ({ kind, name, namespace }: ObjectRecord) => await api.get(typeOf(kind), name, namespace)
  for (const object of wanted) {
    const found = await present(object)
    if (found !== undefined && found.metadata.labels?.[LAB_LABEL] === undefined) {
      throw new UserError(
        `the cluster has a ${object.kind} ${object.name} that no lab made: use --nodes to name other nodes, or another cluster`,
      )
    }
  }
  for (const object of CONTROLLERS_OWN) {
    if ((await present(object)) === undefined) record(book, object)
  }
}

function reference({ kind, metadata: { name, namespace } }: KubeObject): ObjectRecord {
  return { kind, name, ...(namespace === undefined ? {} : { namespace }) }
}

function record(book: LabBook, object: ObjectRecord): void {
  book.update(({ objects }) => ({ objects: [...objects, object] }))
}

/** Makes the objects, each recorded before it is made. */
export async function makeObjects(api: KubeApi, plan: LabPlan, book: LabBook, given: Patience): Promise<void> {
  const patience = { ...given, hopeless: isRefusal }
  const make = async (object: KubeObject) => {
    record(book, reference(object))
    const options = { fieldManager: 'terway-edge-lab', force: true }
    await retry(patience, () => api.apply(typeOf(object.kind), object, options))
  }
  const makeNode = async (object: KubeObject, node: Parameters<typeof nodeStatus>[0]) => {
    await make(object)
    const status = nodeStatus(node, timestamp(patience.clock.now()))
    await api.mergePatch(NODES, node.name, status, { subresource: 'status' })
  }
  await untilDefined(api, patience)
  for (const lan of plan.lans) for (const node of lan.nodes) await makeNode(nodeObject(plan, lan, node), node)
  for (const object of cloudObjects(plan)) await make(object)
  for (const node of plan.cloud?.nodes ?? []) await makeNode(cloudNodeObject(plan, node), node)
  const secret = secretObject(plan)
  if (secret !== undefined) await make(secret)
  for (const lan of plan.lans) await make(bgpPeerObject(plan, lan))
}

/**
 * An answer that would be the same the next time: not a server out of reach, a kind that is only
 * being installed, or a conflict.
 */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof ApiError && error.status >= 400 && error.status < 500 && ![404, 409, 429].includes(error.status)
  )
}

/** The controller installs the CustomResourceDefinitions: until it has, there can be no BGPPeer. */
async function untilDefined(api: KubeApi, patience: Patience): Promise<void> {
  await retry(patience, async () => {
    const crd = await api.get<KubeObject & { status?: { conditions?: { type: string; status: string }[] } }>(
      CUSTOM_RESOURCE_DEFINITIONS,
      'bgppeers.network.openyurt.io',
    )
    const ready = crd?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')
    if (ready !== true) throw new UserError('the controller has not installed the CustomResourceDefinition of BGPPeer')
  })
}

/**
 * Removes what is recorded, as far as it still bears the lab's label (Nodes, Secrets, BGPPeers) or
 * was the controller's own.
 */
export async function removeObjects(api: KubeApi, objects: readonly ObjectRecord[]): Promise<void> {
  const order = ['BGPPeer', 'Secret', 'ConfigMap', 'Node', 'Lease', 'CustomResourceDefinition']
  for (const { kind, name, namespace } of objects.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))) {
    const type = typeOf(kind)
    const found = await api.get(type, name, namespace)
    const labelled = found?.metadata.labels?.[LAB_LABEL] !== undefined
    const ours = labelled || CONTROLLERS_OWN.some(own => own.kind === kind && own.name === name)
    if (found !== undefined && ours && !(await definesWhatOthersMade(api, kind)))
      await api.delete(type, name, namespace)
  }
}

/**
 * Whether removing this kind of object would take away BGPPeers that somebody else made meanwhile.
 */
async function definesWhatOthersMade(api: KubeApi, kind: string): Promise<boolean> {
  if (kind !== CUSTOM_RESOURCE_DEFINITIONS.kind) return false
  try {
    return (await api.list(BGP_PEERS)).some(({ metadata }) => metadata.labels?.[LAB_LABEL] === undefined)
  } catch (error) {
    // their definition is gone already
    if (error instanceof ApiError && error.status === 404) return false
    throw error
  }
}

export interface ClusterState {
  readonly podCIDRs: ReadonlyMap<string, readonly string[]>
  readonly peers: readonly BGPPeerObject[]
  readonly eniNodes: readonly ENINode[]
}

/** What the controller and the speakers have written of the lab's nodes and peers. */
export async function readCluster(api: KubeApi, plan: LabPlan): Promise<ClusterState> {
  const selector = { labelSelector: `${LAB_LABEL}=${plan.prefix}` }
  const nodes = await api.list<Node>(NODES, selector)
  const peers = await api.list<BGPPeerObject>(BGP_PEERS, selector)
  const eniNodes = plan.cloud === undefined ? [] : await api.list<ENINodeObject>(ENI_NODES)
  return {
    eniNodes: eniNodes.flatMap(object => decodeENINode(object).node ?? []),
    peers,
    podCIDRs: new Map(nodes.map(node => [node.metadata.name, node.spec?.podCIDRs ?? []])),
  }
}
