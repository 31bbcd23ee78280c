/**
 * ENINodes: what the door makes of what the API server sends, and what a real one's schema refuses;
 * a node has rights to its own only.
 */
import { afterAll, beforeAll, describe, expect, test as plainTest } from 'bun:test'
import { decodeENINode } from '../../src/kube/decode-eni-node.ts'
import { reportFieldManager, reportPatch } from '../../src/kube/eni-node.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { missing, testNeeding } from '../support/requires.ts'

const SPEC = {
  platform: 'ecs',
  instanceID: 'i-1',
  instanceType: 'ecs.g7.xlarge',
  regionID: 'cn-hangzhou',
  zoneID: 'cn-hangzhou-k',
  vSwitchIDs: ['vsw-1'],
  securityGroupIDs: ['sg-1'],
  ipFamilies: ['IPv4'],
  limits: { interfaces: 3, addressesPerInterface: 15 },
  pool: { minIdle: 0, maxIdle: 5, warmUp: 0 },
}
const INTERFACE = {
  id: 'eni-1',
  mac: '00:16:3e:00:00:01',
  vSwitchID: 'vsw-1',
  state: 'InUse',
  gateways: ['192.168.63.253'],
  addresses: ['192.168.32.10', '192.168.32.11'],
  releasing: [],
}
const OPERATION = {
  action: 'AssignPrivateIpAddresses',
  parameters: { NetworkInterfaceId: 'eni-1', SecondaryPrivateIpAddressCount: '3' },
  token: '5f',
  since: '2026-11-27T10:00:00Z',
}
const STATUS = {
  interfaces: [INTERFACE],
  operations: [OPERATION],
  node: { inUse: 7, waiting: 2, released: [] },
}

function object(spec: object = SPEC, status: object | undefined = undefined) {
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'ENINode',
    metadata: { name: 'node-1', uid: 'u-1' },
    spec,
    ...(status === undefined ? {} : { status }),
  }
}

describe('the door', () => {
  plainTest('a whole object comes through as it is', () => {
    const { node, problems } = decodeENINode(object(SPEC, STATUS))
    expect(problems).toEqual([])
    expect(node?.spec as unknown).toEqual(SPEC)
    expect(node?.status as unknown).toEqual({
      ...STATUS,
      node: { ...STATUS.node, idle: [], left: false },
      conditions: [],
    })
  })

  plainTest('addresses and MACs become canonical, what is leaving is not there too', () => {
    const item = {
      ...INTERFACE,
      mac: '00:16:3E:AA:00:01',
      addresses: ['FD00:0::1', 'fd00::1', '10.0.0.1'],
      releasing: ['10.0.0.1'],
    }
    const { node } = decodeENINode(object(SPEC, { interfaces: [item] }))
    expect(node?.status.interfaces[0]).toMatchObject({
      mac: '00:16:3e:aa:00:01',
      addresses: ['fd00::1'],
      releasing: ['10.0.0.1'],
    })
  })

  plainTest('a spec that cannot be read is of no use, and each problem has its path', () => {
    const broken = { ...SPEC, platform: 'gcp', instanceID: '', limits: { interfaces: -1 }, ipFamilies: [] }
    const { node, problems } = decodeENINode(object(broken))
    expect(node).toBeUndefined()
    expect(problems.map(({ path }) => path).sort()).toEqual([
      'spec.instanceID',
      'spec.ipFamilies',
      'spec.limits.interfaces',
      'spec.platform',
    ])
  })

  plainTest('a bad item of the status spoils no other', () => {
    const status = {
      interfaces: [INTERFACE, { ...INTERFACE, mac: 'x' }, 7, { ...INTERFACE, addresses: ['10.0.0.300'] }],
      operations: [{ ...OPERATION, action: 'RunInstances' }, OPERATION],
      node: { inUse: -1, waiting: 'many', released: {} },
    }
    const { node, problems } = decodeENINode(object(SPEC, status))
    expect(node?.status.interfaces.length).toBe(1)
    expect(node?.status.operations.length).toBe(1)
    expect(node?.status.node).toBeUndefined()
    expect(problems.length).toBeGreaterThan(5)
    for (const junk of [undefined, null, 1, 'x', [], {}, { metadata: 3, spec: [] }]) {
      expect(decodeENINode(junk).node).toBeUndefined()
    }
  })
})

const NEEDS = ['KUBEBUILDER_ASSETS'] as const
const test = testNeeding(...NEEDS)
let server: TestApiServer | undefined

function started(): TestApiServer {
  if (server === undefined) throw new Error('the API server did not start')
  return server
}

beforeAll(async () => {
  if (missing(NEEDS).length === 0) server = await TestApiServer.start()
}, 300_000)
afterAll(() => server?.close())

test('the schema takes a good one and refuses what no controller would write', async () => {
  const api = started()
  const create = async (spec: object, query = '?dryRun=All') => {
    const { metadata, ...rest } = object(spec)
    const answer = await fetch(`${api.url}/apis/network.openyurt.io/v1alpha1/eninodes${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.token()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...rest, metadata: { name: metadata.name } }),
      tls: { rejectUnauthorized: false },
    })
    return ((await answer.json()) as { message?: string }).message
  }
  expect(await create(SPEC, '')).toBeUndefined()
  expect(await create({ ...SPEC, platform: 'gcp' })).toContain('spec.platform')
  expect(await create({ ...SPEC, instanceID: 'i 1' })).toContain('spec.instanceID')
  expect(await create({ ...SPEC, ipFamilies: [] })).toContain('spec.ipFamilies')
  expect(await create({ ...SPEC, vSwitchIDs: ['vsw-1', 'vsw-1'] })).toContain('Duplicate')
  const { pool: _, ...without } = SPEC
  expect(await create(without)).toContain('spec.pool')
  expect(api.kubectl(['get', 'eninode', 'node-1']).stdout).toMatch(
    /^NAME +PLATFORM +INSTANCE +TYPE +INUSE +WAITING +SUFFICIENT +AGE\n/,
  )
})

test('a node may read ENINodes with the rights of all nodes, and write nothing of them', async () => {
  const api = started()
  api.grant('user-1', [
    { apiGroups: ['network.openyurt.io'], resources: ['eninodes'], verbs: ['get', 'list', 'watch'] },
  ])
  expect(await patch(api, 'user-1', '/status')).toBe(403)
})

test('the status of the one ENINode may be patched by who has that right, of no other', async () => {
  const api = started()
  api.grant('user-2', [
    {
      apiGroups: ['network.openyurt.io'],
      resources: ['eninodes/status'],
      resourceNames: ['node-1'],
      verbs: ['patch'],
    },
  ])
  expect(await patch(api, 'user-2', '/status')).toBe(200)
  expect(await patch(api, 'user-2', '')).toBe(403)
  expect(await patch(api, 'user-2', '/status', 'node-2')).toBe(403)
})

async function patch(api: TestApiServer, user: string, subresource: string, name = 'node-1'): Promise<number> {
  const report = { inUse: 1, waiting: 0, released: [], idle: [], left: false }
  const url = `${api.url}/apis/network.openyurt.io/v1alpha1/eninodes/${name}${subresource}?fieldManager=${reportFieldManager(name)}`
  const answer = await fetch(url, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${api.token(user)}`, 'content-type': 'application/apply-patch+yaml' },
    body: JSON.stringify(reportPatch(name, report)),
    tls: { rejectUnauthorized: false },
  })
  return answer.status
}
