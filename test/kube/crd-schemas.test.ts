/**
 * The CustomResourceDefinitions and the doors of the same kinds, compared both ways: which fields
 * there are, their types, bounds and enumerations; what a server refuses, with the real one and the
 * one in memory; the rules in CEL, evaluated by an implementation of its own.
 */
import { afterAll, beforeAll, describe, expect, test as plainTest } from 'bun:test'
import { readFileSync } from 'node:fs'
import { Environment } from '@marcbachmann/cel-js'
import { crdText, GENERATED } from '../../scripts/crd-text.ts'
import { validate } from '../../src/apiserver/schema.ts'
import { BGP_PEER_RULES } from '../../src/kube/bgp-peer-schema.ts'
import { decodeBGPPeer } from '../../src/kube/decode-bgp-peer.ts'
import { decodeENINode } from '../../src/kube/decode-eni-node.ts'
import type { ENINodeReport, ENINodeSpec, ENINodeStatus } from '../../src/kube/eni-node.ts'
import type { Condition } from '../../src/kube/resources.ts'
import { decodeRouteSlice } from '../../src/kube/route-slice.ts'
import { parseNodeSelector } from '../../src/lib/node-selector.ts'
import { parseYaml } from '../../src/lib/yaml.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { missing, testNeeding } from '../support/requires.ts'

interface Schema {
  readonly type: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly enum?: readonly string[]
  readonly not?: { readonly enum?: readonly number[] }
}

function schemaOf(file: string): Schema {
  const crd = parseYaml(readFileSync(file, 'utf8'), file) as {
    spec: { versions: { schema: { openAPIV3Schema: Schema } }[] }
  }
  return crd.spec.versions[0]?.schema.openAPIV3Schema ?? { type: '' }
}

const BGP_PEER = schemaOf('config/crd-bgppeers.yaml')
const SPEC = BGP_PEER.properties?.spec ?? { type: '' }
const ENTRY = schemaOf('config/crd-routeslices.yaml').properties?.entries?.items ?? { type: '' }

const NONE: Schema = { type: '' }
const ENI_NODE = schemaOf('config/crd-eninodes.yaml')

const WHOLE = {
  localSpeakers: ['node-1', 'node-2'],
  localAsNumber: 65010,
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  gateway: '172.16.0.254',
  nodeSelector: 'alibabacloud.com/nodepool-id=npxxx',
  authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } },
  peerPort: 179,
  sourceAddress: '172.16.0.11',
  holdTimeSeconds: 90,
  connectRetrySeconds: 30,
  gracefulRestart: { enabled: true, restartTimeSeconds: 600, longLivedSeconds: 1 },
  role: 'customer',
  ebgpMultihop: 2,
  passive: false,
  nextHopSelf: true,
  bfd: { enabled: true, minimumIntervalMilliseconds: 300, multiplier: 3 },
  bmp: { enabled: true, port: 11019, address: '172.16.0.2' },
  communities: ['65001:100'],
  largeCommunities: ['65001:1:2'],
  med: 1,
}

function object(spec: object) {
  return { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'BGPPeer', metadata: { name: 'x', uid: 'u' }, spec }
}
function problemsOf(spec: object): readonly string[] {
  const decoded = decodeBGPPeer(object(spec))
  return 'problems' in decoded ? decoded.problems.map(({ path, message }) => `${path}: ${message}`) : []
}

/** `value` that notes the paths of the fields that are looked at. */
function watched<T extends object>(value: T, read: Set<string>, path = ''): T {
  const look = (key: string | symbol) => {
    if (typeof key === 'string') read.add(`${path}${key}`)
  }
  return new Proxy(value, {
    get(target, key) {
      const child: unknown = Reflect.get(target, key)
      if (Array.isArray(target)) return child
      look(key)
      return typeof child === 'object' && child !== null && !Array.isArray(child)
        ? watched(child, read, `${path}${String(key)}.`)
        : child
    },
    getOwnPropertyDescriptor(target, key) {
      look(key)
      return Reflect.getOwnPropertyDescriptor(target, key)
    },
  })
}

/** The paths of all properties below a schema, objects and what is in them. */
function paths(schema: Schema, path = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => [
    `${path}${name}`,
    ...paths(property, `${path}${name}.`),
  ])
}

/** A spec whose value at `path` is another. */
function changed(path: string, value: unknown, whole: object = WHOLE): object {
  const [first = '', ...rest] = path.split('.')
  const set = (target: object, key: string, others: readonly string[]): object => {
    const [next] = others
    const before: unknown = Reflect.get(target, key)
    const inner = typeof before === 'object' && before !== null ? before : {}
    return { ...target, [key]: next === undefined ? value : set(inner, next, others.slice(1)) }
  }
  return set(whole, first, rest)
}

function leaves(schema: Schema, path = ''): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]): [string, Schema][] =>
    property.properties === undefined ? [[`${path}${name}`, property]] : leaves(property, `${path}${name}.`),
  )
}

describe('fields', () => {
  plainTest.each(GENERATED.map(({ file, schema }) => [file, schema] as const))(
    '%s is made of its table',
    (file, schema) => {
      const text = readFileSync(file, 'utf8')
      expect(crdText(text, schema), `run bun scripts/crds.ts`).toBe(text)
    },
  )

  plainTest('the door of BGPPeers reads the properties of the schema, all of them and no others', () => {
    const read = new Set<string>()
    decodeBGPPeer(object(watched(WHOLE, read)))
    expect([...read].sort()).toEqual(paths(SPEC).sort())
  })

  plainTest('the door of BGPPeers hands on what it read', () => {
    const { ebgpMultihop, ...rest } = WHOLE
    for (const spec of [WHOLE, { ...rest, ttlSecurity: ebgpMultihop }]) {
      const decoded = decodeBGPPeer(object(spec))
      expect('peer' in decoded ? (decoded.peer.spec as unknown) : decoded.problems).toEqual(spec)
    }
  })

  plainTest('the door of RouteSlices reads the properties of the schema, all of them and no others', () => {
    const read = new Set<string>()
    const entry = { node: 'a', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25'], peers: ['lan'] }
    expect(decodeRouteSlice({ entries: [watched(entry, read)] })).toMatchObject({ entries: [entry] })
    expect([...read].sort()).toEqual(paths(ENTRY).sort())
  })
})

describe('types, bounds and enumerations are those of the door', () => {
  const wrong: Record<string, unknown> = { string: 7, integer: '7', boolean: 'true', array: 'x', object: 'x' }
  plainTest.each(leaves(SPEC))('%s', (path, property) => {
    const refused = (value: unknown) => problemsOf(changed(path, value)).some(text => text.startsWith(`spec.${path}`))
    expect(refused(wrong[property.type])).toBe(true)
    if (property.type === 'integer') {
      const { minimum = Number.NaN, maximum = Number.NaN } = property
      for (const value of [minimum - 1, maximum + 1, 1.5, ...(property.not?.enum ?? [])])
        expect([value, refused(value)]).toEqual([value, true])
      // never both
      const whole = path === 'ttlSecurity' ? { ...WHOLE, ebgpMultihop: undefined } : WHOLE
      for (const value of [minimum, maximum])
        expect([value, problemsOf(changed(path, value, whole))]).toEqual([value, []])
    }
    for (const value of property.enum ?? []) expect(refused(value)).toBe(false)
    if (property.enum !== undefined) expect(refused('something else')).toBe(true)
  })

  plainTest.each(['', ...paths(SPEC).map(path => `${path}.`)].filter(path => required(path).length > 0))(
    'what is required in spec.%s is',
    path => {
      for (const name of required(path)) {
        expect(problemsOf(changed(`${path}${name}`, undefined))).toEqual([`spec.${path}${name}: is required`])
      }
    },
  )
})

/**
 * Every field, optional ones too: a new one of the type is asked for here, and then of the schema
 * and the door.
 */
type Whole<T> = { readonly [Field in keyof T]-?: Whole<T[Field]> }

interface WholeENINode {
  readonly spec: Whole<ENINodeSpec>
  readonly status: Whole<Omit<ENINodeStatus, 'node' | 'conditions'>> & {
    readonly node: Whole<ENINodeReport>
    readonly conditions: readonly Whole<Omit<Condition, 'observedGeneration'>>[]
  }
}

const WHOLE_ENI_NODE: WholeENINode = {
  spec: {
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
  },
  status: {
    interfaces: [
      {
        id: 'eni-1',
        mac: '00:16:3e:00:00:01',
        vSwitchID: 'vsw-1',
        state: 'InUse',
        gateways: ['192.168.63.253'],
        addresses: ['192.168.32.10'],
        releasing: ['192.168.32.11'],
      },
    ],
    operations: [{ action: 'AssignPrivateIpAddresses', parameters: {}, token: '5f', since: '2026-11-27T10:00:00Z' }],
    node: { inUse: 7, waiting: 2, released: ['192.168.32.11'], idle: ['192.168.32.12'], left: false },
    conditions: [
      {
        type: 'CloudAccess',
        status: 'True',
        lastTransitionTime: '2026-11-27T10:00:00Z',
        reason: 'Ok',
        message: '',
      },
    ],
  },
}

/** An object as a list of its leaves, items of lists under `[]`. */
function schemaLeaves(schema: Schema, path = ''): [string, Schema][] {
  if (schema.properties !== undefined)
    return Object.entries(schema.properties).flatMap(([name, inner]) => schemaLeaves(inner, `${path}.${name}`))
  if (schema.items?.properties !== undefined) return schemaLeaves(schema.items, `${path}[]`)
  return [[path.slice(1), schema]]
}

describe('ENINodes: the schema and the door are one', () => {
  const parts = ENI_NODE.properties ?? {}
  const schema: Schema = { type: 'object', properties: { spec: parts.spec ?? NONE, status: parts.status ?? NONE } }
  const decoded = (value: object) =>
    decodeENINode({ ...JSON.parse(JSON.stringify(value)), metadata: { name: 'node-1', uid: 'u' } })
  /** The whole object with another value at a leaf of the schema. */
  const withValue = (path: string, value: unknown) => {
    const copy: unknown = JSON.parse(JSON.stringify(WHOLE_ENI_NODE))
    const keys = path.replaceAll('[]', '.0').split('.')
    const last = keys.pop() ?? ''
    const holder = keys.reduce((at: unknown, key) => Reflect.get(Object(at), key), copy)
    Reflect.set(Object(holder), last, value)
    return Object(copy)
  }

  plainTest('what the door hands on has the fields of the schema, all of them and no others', () => {
    const { node, problems } = decoded(WHOLE_ENI_NODE)
    expect(problems).toEqual([])
    const { spec, status } = node ?? {}
    expect({ spec, status } as unknown).toEqual(WHOLE_ENI_NODE)
    const fields = (value: unknown, path = ''): string[] => {
      if (Array.isArray(value) && typeof value[0] === 'object') return fields(value[0], `${path}[]`)
      if (typeof value !== 'object' || value === null || Array.isArray(value) || path.endsWith('parameters'))
        return [path.slice(1)]
      return Object.entries(value).flatMap(([name, inner]) => fields(inner, `${path}.${name}`))
    }
    expect(fields(WHOLE_ENI_NODE).sort()).toEqual(
      schemaLeaves(schema)
        .map(([path]) => path)
        .sort(),
    )
  })

  plainTest.each(schemaLeaves(schema))('%s', (path, { type, minimum, maximum, enum: names, items }) => {
    const refused = (value: unknown) => decoded(withValue(path, value)).problems.length > 0
    const ofItems = items === undefined ? (value: unknown) => value : (value: unknown) => [value]
    if (type === 'integer')
      for (const value of [(minimum ?? 0) - 1, (maximum ?? Number.NaN) + 1, 1.5, '7']) {
        if (!Number.isNaN(value)) expect([value, refused(value)]).toEqual([value, true])
      }
    for (const value of [minimum, maximum])
      if (value !== undefined) expect([value, refused(value)]).toEqual([value, false])
    const known = names ?? items?.enum ?? []
    expect(known.filter(name => refused(ofItems(name)))).toEqual([])
    if (known.length > 0) expect(refused(ofItems('something else'))).toBe(true)
    if (names !== undefined) {
      const [problem] = decoded(withValue(path, 'something else')).problems
      expect(problem?.message).toBe(`must be one of ${names.join(', ')}`)
    }
  })
})

function required(path: string): readonly string[] {
  const schema = path
    .split('.')
    .reduce((at: Schema | undefined, name) => (name === '' ? at : at?.properties?.[name]), SPEC)
  return schema?.required ?? []
}

/** What a schema can refuse, as changes of a good spec. */
const NONSENSE: readonly object[] = [
  { peerIP: '999.1.1.1' },
  { peerIP: 'switch-1' },
  { peerIP: '172.16.0.1/24' },
  { peerIP: '127.0.0.1' },
  { peerIP: '0.0.0.0' },
  { peerIP: '224.0.0.5' },
  { peerIP: '255.255.255.255' },
  { peerIP: '::1' },
  { peerIP: '::' },
  { peerIP: 'fe80::1' },
  { peerIP: 'ff02::1' },
  { peerIP: '::ffff:172.16.0.1' },
  { gateway: 'gw' },
  { sourceAddress: '1.2.3' },
  { holdTimeSeconds: 2 },
  { holdTimeSeconds: 1 },
  { holdTimeSeconds: 65536 },
  { localSpeakers: [] },
  { localSpeakers: ['Node_1'] },
  { localSpeakers: [''] },
  { localSpeakers: ['a', 'a'] },
  { localAsNumber: 23456 },
  { localAsNumber: 0 },
  { localAsNumber: 65535 },
  { peerAsNumber: 4294967295 },
  { peerAsNumber: 4294967296 },
  { peerPort: 0 },
  { peerPort: 65536 },
  { nodeSelector: '' },
  { nodeSelector: '=x' },
  { nodeSelector: 'a=b c' },
  { nodeSelector: 'a in b' },
  { nodeSelector: 'a=b,,c=d' },
  { authPassword: {} },
  { authPassword: { secretKeyRef: { name: 'x' } } },
  { authPassword: { secretKeyRef: { name: 'X Y', key: 'k' } } },
  { authPassword: { secretKeyRef: { name: 'x', key: 'a b' } } },
  { role: 'friend' },
  { ebgpMultihop: 256 },
  { ttlSecurity: 255 },
  { ebgpMultihop: 2, ttlSecurity: 2 },
  { gracefulRestart: { restartTimeSeconds: 4096 } },
  { bfd: { multiplier: 1 } },
  { bmp: { port: 0 } },
  { bmp: { address: '127.0.0.1' } },
  { bfd: { minimumIntervalMilliseconds: 49 } },
  { communities: ['65536:1'] },
  { communities: ['ok:1'] },
  { largeCommunities: ['1:2'] },
  { largeCommunities: ['4294967296:1:2'] },
  { med: 4294967296 },
  { med: -1 },
]
const GOOD: readonly object[] = [
  {},
  { peerIP: 'FD00:0::1', gateway: 'fd00:0:0::fe', localAsNumber: 4200000000 },
  { nodeSelector: 'all()' },
  { nodeSelector: ' a in (b, c), !d, e notin (f),g,h==i, j!=k ,l= ' },
  { communities: ['no-export', '0:0', '65535:65535'], largeCommunities: ['0:0:0', '4294967295:4294967295:1'] },
  { holdTimeSeconds: 0, bfd: {}, gracefulRestart: {} },
]
const PLAIN = {
  localSpeakers: WHOLE.localSpeakers,
  localAsNumber: 65010,
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  nodeSelector: WHOLE.nodeSelector,
}

describe('what a server refuses', () => {
  plainTest('the one in memory refuses nonsense, and takes what is good', () => {
    const refused = (change: object) =>
      validate(JSON.parse(JSON.stringify(object({ ...PLAIN, ...change }))), JSON.parse(JSON.stringify(BGP_PEER)))
        .length > 0
    expect(NONSENSE.filter(change => !refused(change))).toEqual([])
    expect(GOOD.filter(refused)).toEqual([])
  })

  plainTest('the schema is not narrower than the door', () => {
    expect(NONSENSE.filter(change => problemsOf({ ...PLAIN, ...change }).length === 0)).toEqual([])
    expect(GOOD.flatMap(change => problemsOf({ ...PLAIN, ...change }))).toEqual([])
    const pattern = new RegExp(String(Reflect.get(SPEC.properties?.nodeSelector ?? {}, 'pattern')), 'u')
    const selectors = [
      'a',
      '!a',
      '! a',
      'a=b',
      'a = b',
      'a==b',
      'a!=b',
      'a=',
      'a!=',
      'a in (b)',
      'a in(b,c)',
      'a notin ( b , c )',
      'x.y/a=b',
      'a,b',
      'a=b, c=d',
      ' all() ',
      'all ( )',
      'in',
      'in in (in)',
      'a in (,b)',
    ]
    const good = selectors.filter(text => 'selector' in parseNodeSelector(text))
    expect(good.length).toBeGreaterThan(15)
    expect(good.filter(text => !pattern.test(text))).toEqual([])
  })

  const withApi = testNeeding('KUBEBUILDER_ASSETS')
  let server: TestApiServer | undefined
  beforeAll(async () => {
    if (missing(['KUBEBUILDER_ASSETS']).length === 0) server = await TestApiServer.start()
  }, 300_000)
  afterAll(() => server?.close())

  withApi('a real one refuses nonsense, and takes what is good', async () => {
    if (server === undefined) throw new Error('the API server did not start')
    const ca = readFileSync(server.path('certs/apiserver.crt'), 'utf8')
    const { url } = server
    const headers = { Authorization: `Bearer ${server.token()}`, 'Content-Type': 'application/json' }
    const create = async (spec: object) => {
      const body = JSON.stringify({ ...object(spec), metadata: { generateName: 'x-' } })
      const path = '/apis/network.openyurt.io/v1alpha1/bgppeers?dryRun=All'
      const options = { method: 'POST', headers, body, tls: { ca }, proxy: '' }
      return (await fetch(`${url}${path}`, options)).status
    }
    for (const change of NONSENSE) expect([change, await create({ ...PLAIN, ...change })]).toEqual([change, 422])
    for (const change of GOOD) expect([change, await create({ ...PLAIN, ...change })]).toEqual([change, 201])
  })
})

plainTest('rules about two fields, where a server has them', () => {
  const environment = new Environment({ unlistedVariablesAreDyn: true })
  const refused = (change: object) =>
    BGP_PEER_RULES.filter(({ rule }) => environment.evaluate(rule, { self: { ...PLAIN, ...change } }) !== true).map(
      ({ message }) => message.split(' ')[0],
    )
  expect(refused({})).toEqual([])
  expect(refused({ gateway: '172.16.0.254', sourceAddress: '172.16.0.11', role: 'peer', ttlSecurity: 1 })).toEqual([])
  expect(refused({ gateway: 'fd00::1' })).toEqual(['gateway'])
  expect(refused({ sourceAddress: 'fd00::1' })).toEqual(['sourceAddress'])
  expect(refused({ sourceAddress: '172.16.0.1' })).toEqual(['sourceAddress'])
  expect(refused({ role: 'peer', peerAsNumber: 65010 })).toEqual(['role'])
  expect(refused({ ebgpMultihop: 2, ttlSecurity: 2 })).toEqual(['ttlSecurity'])
  const two = [{ gateway: 'fd00::1' }, { sourceAddress: '172.16.0.1' }, { role: 'peer', peerAsNumber: 65010 }]
  for (const change of two) expect(problemsOf({ ...PLAIN, ...change })).toHaveLength(1)
})
