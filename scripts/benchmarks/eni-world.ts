/**
 * A cluster of nodes of the cloud, in a process of its own, for the memory of a controller: the
 * lab's API server and the simulated cloud, with as many nodes as asked, each with three interfaces
 * of 15 addresses that both know. Argument: the number of nodes. Prints the ports, then for
 * each line of stdin how many the controller has judged.
 */
import { serveApi } from '../../src/apiserver/serve.ts'
import { serveCloud } from '../../src/cloudsim/serve.ts'
import { ensureCrds } from '../../src/controller/crds.ts'
import { FIELD_MANAGER } from '../../src/eni/controller-shared.ts'
import { tagsFor } from '../../src/eni/tags.ts'
import { ENI_NODES, NODES } from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { KEY, REGION, simulator, ZONE } from '../../test/cloud/world.ts'
import { MemoryKube } from '../../test/support/memory-kube.ts'

const TYPE = 'ecs.g7.xlarge'
const INTERFACES = 3
const ADDRESSES = 15

const count = Number(process.argv[2])
const sim = simulator(systemClock, {
  vSwitches: [
    { id: 'vsw-node', vpcID: 'vpc-1', zoneID: ZONE, cidr: '192.168.0.0/19' },
    { id: 'vsw-1', vpcID: 'vpc-1', zoneID: ZONE, cidr: '10.0.0.0/14' },
  ],
})
const server = serveApi({ hostname: '127.0.0.1', port: 0, clock: systemClock })
const kube = new MemoryKube(server.api)
const core = (kind: string, plural: string) => ({ group: '', version: 'v1', kind, plural, namespaced: true })
await ensureCrds(kube)
const inSystem = (name: string) => ({ name, namespace: 'kube-system' })
const conf = { vswitches: { [ZONE]: ['vsw-1'] }, security_group: 'sg-1', max_pool_size: 100 }
await kube.create(core('ConfigMap', 'configmaps'), {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: inSystem('eni-config'),
  data: { eni_conf: JSON.stringify(conf) },
} as never)
await kube.create(core('Secret', 'secrets'), {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: inSystem('cloud-key'),
  data: { accessKeyId: btoa(KEY.id), accessKeySecret: btoa(KEY.secret) },
} as never)
for (let number = 0; number < count; number++) await addNode(`node-${number}`, `i-${number}`)

async function addNode(name: string, instanceID: string): Promise<void> {
  sim.world.addInstance({ id: instanceID, product: 'ecs', type: TYPE, vpcID: 'vpc-1', zoneID: ZONE }, 'vsw-node')
  const tags = tagsFor({ clusterID: 'cluster-1', instanceID, node: name }, {})
  const interfaces = Array.from({ length: INTERFACES }, () => {
    const from = { product: 'ecs', type: 'Secondary', vSwitchID: 'vsw-1', secondary: ADDRESSES - 1 } as const
    const made = sim.world.makeInterface(from)
    Object.assign(made, { state: 'InUse', instanceID, sourceDestCheck: false })
    made.tags = Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]))
    const { id, mac, vSwitchID, ipv4 } = made
    return { id, mac, vSwitchID, state: 'InUse', gateways: ['10.3.255.253'], addresses: ipv4, releasing: [] }
  })
  await kube.create(NODES, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'node.kubernetes.io/instance-type': TYPE, 'topology.kubernetes.io/zone': ZONE } },
    spec: { providerID: `${REGION}.${instanceID}` },
  } as never)
  const head = { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'ENINode', metadata: { name } }
  const spec = {
    platform: 'ecs',
    instanceID,
    instanceType: TYPE,
    regionID: REGION,
    zoneID: ZONE,
    vSwitchIDs: ['vsw-1'],
    securityGroupIDs: ['sg-1'],
    ipFamilies: ['IPv4'],
    limits: { interfaces: INTERFACES, addressesPerInterface: ADDRESSES },
    pool: { minIdle: 0, maxIdle: 100, warmUp: 0 },
  }
  const writer = { fieldManager: FIELD_MANAGER, force: true }
  await kube.apply(ENI_NODES, { ...head, spec } as never, writer)
  await kube.apply(ENI_NODES, { ...head, status: { interfaces, operations: [], conditions: [] } } as never, {
    ...writer,
    subresource: 'status',
  })
}

const cloud = await serveCloud(sim, { hostname: '127.0.0.1', port: 0 })
console.log(JSON.stringify({ api: server.port, cloud: cloud.port }))
for await (const _line of console) {
  const nodes = server.api.store.list('eninodes.network.openyurt.io') ?? []
  const judged = nodes.filter(node => JSON.stringify(node).includes('SufficientAddresses')).length
  console.log(JSON.stringify({ judged }))
}
