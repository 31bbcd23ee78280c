/**
 * The lab's deciding parts: options and plan, routers' answers, kubeconfigs, CNI calls, and what
 * counts as working.
 */
import { describe, expect, test } from 'bun:test'
import { decodeRealCluster, plainKubeconfig } from '../../src/lab/kubeconfig.ts'
import { labState, type ObservedLab } from '../../src/lab/lab-state.ts'
import { decodeOptions, namespacesOf, planLab } from '../../src/lab/plan.ts'
import { pluginCalls, resultAddresses } from '../../src/lab/pods.ts'
import { judge, type Probe } from '../../src/lab/probe.ts'
import type { LabRecord } from '../../src/lab/record.ts'
import { birdSwitchConfig, frrSwitchConfig } from '../../src/lab/router-config.ts'
import { parseBirdSessions, parseFrrSessions, parseKernelRoutes } from '../../src/lab/router-state.ts'
import { UserError } from '../../src/lib/errors.ts'
import { canonicalAddress } from '../../src/lib/ip.ts'

const GIVEN = { dir: '/run/terway-edge-lab', switch: 'bird,frr', nodes: 'node-1,node-2,node-3,node-4' }
const options = decodeOptions(GIVEN)
const plan = planLab(options)

describe('options', () => {
  test('one router is for both LANs, two are one each', () => {
    expect(decodeOptions({ ...GIVEN, switch: 'frr' }).switches).toEqual(['frr', 'frr'])
    expect(options.switches).toEqual(['bird', 'frr'])
  })
  test('every problem is listed', () => {
    const wrong = () => decodeOptions({ ...GIVEN, switch: 'cisco', nodes: 'a,A,vpc' })
    expect(wrong).toThrow(UserError)
    expect(wrong).toThrow(/--switch[\s\S]*even number[\s\S]*"A" is not a node name[\s\S]*vpc is there twice/)
  })
})

describe('plan', () => {
  test('is the documented example: two LANs in the data center, speakers, AS numbers', () => {
    const [a, b] = plan.lans
    expect(a.nodes.map(({ name, address }) => [name, address])).toEqual([
      ['node-1', '172.16.0.11'],
      ['node-2', '172.16.0.12'],
    ])
    expect(b.nodes.map(({ address }) => address)).toEqual(['172.16.1.13', '172.16.1.14'])
    expect([a.switch.address, a.switch.asNumber, a.localAsNumber, a.password]).toEqual([
      '172.16.0.1',
      65001,
      65010,
      'mySecretValue',
    ])
    expect([b.switch.address, b.switch.asNumber, b.localAsNumber, b.password]).toEqual([
      '172.16.1.1',
      65002,
      65020,
      undefined,
    ])
  })
  test('labs in other folders have other names; every name fits iproute2', () => {
    const other = planLab(decodeOptions({ ...GIVEN, dir: '/tmp/x' }))
    const names = [...namespacesOf(plan).values(), ...namespacesOf(other).values()]
    expect(new Set(names).size).toBe(names.length)
    expect(names.every(name => name.startsWith('te-lab-') && name.length < 255)).toBe(true)
  })
})

describe('dual stack', () => {
  const dual = planLab(decodeOptions({ ...GIVEN, ipv6: true }))
  test('gives every machine an IPv6 address beside the other, written as RFC 5952 has it', () => {
    const ends = dual.lans.flatMap(lan => [lan.switch, lan.switch.core, lan.switch.border, ...lan.nodes])
    const addresses = [...ends, ...dual.border.links, dual.border.vpc, dual.vpc].map(({ address6 }) => address6 ?? '')
    expect(addresses.map(canonicalAddress)).toEqual(addresses)
    expect(new Set(addresses).size).toBe(addresses.length)
  })
  test('is one session with both families', () => {
    expect(birdSwitchConfig(dual, dual.lans[0]).match(/^protocol bgp/gm)).toHaveLength(4)
    expect(birdSwitchConfig(dual, dual.lans[0]).match(/^ {2}ipv6 \{ /gm)).toHaveLength(4)
    expect(frrSwitchConfig(dual, dual.lans[1])).toContain('address-family ipv6 unicast')
    expect(birdSwitchConfig(plan, plan.lans[0])).not.toContain('ipv6')
  })
})

describe('router configurations', () => {
  test('have both speakers as neighbours with the password, accept pod CIDRs only and send nothing', () => {
    const bird = birdSwitchConfig(plan, plan.lans[0])
    expect(bird.match(/neighbor 172\.16\.0\.1[12] as 65010;/g)).toHaveLength(2)
    expect(bird.match(/password "mySecretValue";/g)).toHaveLength(2)
    expect(bird.match(/import where net ~ \[ 10\.0\.0\.0\/8\+ \]; export none;/g)).toHaveLength(2)
    const frr = frrSwitchConfig(plan, plan.lans[1])
    expect(frr.match(/neighbor 172\.16\.1\.1[34] remote-as 65020/g)).toHaveLength(2)
    expect(frr.match(/prefix-list nothing out/g)).toHaveLength(2)
    expect(frr).not.toContain('password')
  })
})

const BIRD = `BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
core       BGP        ---        up     08:25:13.021  Established   
  BGP state:          Established
    Neighbor address: 172.16.254.2
    Neighbor AS:      65002
  Channel ipv4
    State:          UP
    Routes:         2 imported, 3 exported, 1 preferred
  Channel ipv6
    State:          UP
    Routes:         1 imported, 3 exported, 1 preferred
speaker_1  BGP        ---        start  08:25:12.021  Active        Socket: Connection refused
  BGP state:          Active
    Neighbor address: 172.16.0.11
    Neighbor AS:      65010
    Last error:       Socket: Connection refused
`

describe("routers' answers", () => {
  test('BIRD', () => {
    expect(parseBirdSessions(BIRD)).toEqual([
      { peerAddress: '172.16.254.2', peerAsNumber: 65002, state: 'Established', received: 3 },
      {
        peerAddress: '172.16.0.11',
        peerAsNumber: 65010,
        state: 'Active',
        received: 0,
        lastError: 'Socket: Connection refused',
      },
    ])
  })
  test('FRR', () => {
    const peers = { '172.16.1.13': { remoteAs: 65020, state: 'Established', pfxRcd: 2 } }
    const answer = { ipv4Unicast: { peers }, ipv6Unicast: { peers } }
    expect(parseFrrSessions(JSON.stringify(answer))).toEqual([
      { peerAddress: '172.16.1.13', peerAsNumber: 65020, state: 'Established', received: 4 },
    ])
    expect(parseFrrSessions('{}')).toEqual([])
  })
  test('the kernel, with one next hop or several', () => {
    const routes = [
      { dst: '10.0.0.0/25', gateway: '172.16.0.11' },
      { dst: '10.0.1.0/24', nexthops: [{ gateway: '1.1.1.1' }, { gateway: '2.2.2.2' }] },
      { dst: '172.16.0.0/24', dev: 'lan' },
    ]
    expect(parseKernelRoutes(JSON.stringify(routes)).map(({ via }) => via)).toEqual([
      ['172.16.0.11'],
      ['1.1.1.1', '2.2.2.2'],
      [],
    ])
    expect(parseKernelRoutes('')).toEqual([])
  })
})

describe('kubeconfigs', () => {
  const text = `
current-context: prod
clusters:
- {name: c, cluster: {server: "https://api.example.com", certificate-authority: ca.crt}}
contexts:
- {name: prod, context: {cluster: c, user: u}}
users:
- {name: u, user: {client-certificate: /abs/c.crt, client-key: c.key}}
`
  test('that of a real cluster keeps the name its certificate is for, and finds its files from anywhere', () => {
    const cluster = decodeRealCluster(text, '/home/me/.kube')
    expect([cluster.host, cluster.port]).toEqual(['api.example.com', 443])
    expect(JSON.parse(cluster.inside('192.168.0.10', 6443))).toMatchObject({
      clusters: [
        {
          cluster: {
            server: 'https://192.168.0.10:6443',
            'tls-server-name': 'api.example.com',
            'certificate-authority': '/home/me/.kube/ca.crt',
          },
        },
      ],
      users: [{ user: { 'client-certificate': '/abs/c.crt', 'client-key': '/home/me/.kube/c.key' } }],
    })
  })
  test('what is missing is named', () => {
    expect(() => decodeRealCluster(text.replace('name: u,', 'name: v,'), '/')).toThrow('no user named "u"')
    expect(() => decodeRealCluster(text.replace('current-context: prod', 'x: y'), '/')).toThrow('no context named ""')
    expect(() => decodeRealCluster(text.replace('{server:', '{proxy-url: "http://p", server:'), '/')).toThrow('proxy')
  })
  test('that of the lab has no credentials', () => {
    expect(JSON.parse(plainKubeconfig('http://x:1'))).toMatchObject({
      clusters: [{ cluster: { server: 'http://x:1' } }],
      users: [{ user: {} }],
    })
  })
})

describe('CNI', () => {
  test('each plugin gets its own part with the name and version of the list', () => {
    const calls = pluginCalls(
      JSON.stringify({ cniVersion: '1.0.0', name: 'n', plugins: [{ type: 'a', x: 1 }, { type: 'b' }] }),
    )
    expect(calls.map(({ type }) => type)).toEqual(['a', 'b'])
    expect(JSON.parse(calls[0]?.stdin ?? '')).toEqual({ type: 'a', x: 1, name: 'n', cniVersion: '1.0.0' })
    expect(() => pluginCalls('{}')).toThrow('not a list')
  })
  test("the pod's addresses come from the result", () => {
    expect(resultAddresses('{"ips":[{"address":"10.0.0.1/32"}]}')).toEqual(['10.0.0.1'])
    expect(resultAddresses('{}')).toEqual([])
  })
})

describe('what counts as working', () => {
  const from = { name: 'a', namespace: '', address: '10.0.0.1' }
  const to = { name: 'b', namespace: '', address: '10.0.0.2' }
  test('a ping alone does not, nor does a translated source', () => {
    expect(judge({ from, to, ping: true, sourceSeen: '10.0.0.1' }).ok).toBe(true)
    expect(judge({ from, to, ping: true, sourceSeen: '172.16.0.11' })).toMatchObject({
      ok: false,
      problem: 'came from 172.16.0.11',
    })
    expect(judge({ from, to, ping: true, problem: 'refused' })).toMatchObject({ ok: false, problem: 'refused' })
    expect(judge({ from, to, ping: false, sourceSeen: '10.0.0.1' }).ok).toBe(false)
  })

  const names = ['pod-node-1', 'pod-node-2', 'pod-node-3', 'pod-node-4', 'vpc']
  const matrix: Probe[] = names.flatMap(a =>
    names
      .filter(b => b !== a)
      .map(b => ({ from: a, to: b, ping: true, sourceSeen: 'x', expectedSource: 'x', ok: true })),
  )
  const nodes = plan.lans.flatMap(lan => lan.nodes)
  const cidr = (index: number) => `10.0.${index}.0/25`
  const record: LabRecord = {
    phase: 'up',
    options,
    namespaces: [],
    processes: [],
    pages: [],
    pods: nodes.map((node, index) => ({ node: node.name, addresses: [`10.0.${index}.1`] })),
    kubeconfig: '',
    realCluster: false,
    objects: [],
  }
  const good: ObservedLab = {
    cluster: {
      podCIDRs: new Map(nodes.map((node, index) => [node.name, [cidr(index)]])),
      peers: plan.lans.map(lan => ({
        apiVersion: '',
        kind: 'BGPPeer',
        metadata: { name: lan.bgpPeer },
        status: {
          speakers: lan.speakers.map(({ name }) => ({
            node: name,
            state: 'Established',
            since: '',
            advertisedPrefixes: 2,
            receivedPrefixes: 0,
            flaps: 0,
          })),
        },
      })),
      eniNodes: [],
    },
    sessions: new Map(
      plan.lans.map(lan => [
        lan.switch.name,
        lan.speakers.map(({ address }) => ({
          peerAddress: address,
          peerAsNumber: 1,
          state: 'Established',
          received: 2,
        })),
      ]),
    ),
    routes: new Map(
      plan.lans.map(lan => [
        lan.switch.name,
        lan.nodes.map(node => ({ destination: cidr(nodes.indexOf(node)), via: [node.address] })),
      ]),
    ),
    matrix,
    deadProcesses: [],
    foreignPackets: 0,
  }
  const problems = (change: Partial<ObservedLab>, changedRecord = record) =>
    labState(plan, changedRecord, { ...good, ...change }).problems

  test('everything at once', () => expect(problems({})).toEqual([]))
  test('a session that only one side believes in does not', () => {
    const sessions = new Map(
      [...good.sessions].map(([name, list]) => [name, list.map(one => ({ ...one, state: 'Active' }))] as const),
    )
    expect(problems({ sessions })).toHaveLength(4)
  })
  test('a route that leads to the speaker and not to the owner does not', () => {
    const routes = new Map(
      [...good.routes].map(([name, list]) => [name, list.map(route => ({ ...route, via: ['172.16.0.11'] }))] as const),
    )
    expect(problems({ routes })).toHaveLength(3)
  })
  test('a missing pod CIDR, pod, process or cell does not', () => {
    expect(problems({ cluster: { ...good.cluster, podCIDRs: new Map() } })).toHaveLength(4)
    expect(problems({}, { ...record, pods: [] })).toHaveLength(4)
    expect(problems({ deadProcesses: ['node-1'] })).toEqual(['the process node-1 has ended'])
    expect(problems({ matrix: matrix.slice(1) })).toEqual(['19 of 20 paths were tried'])
    expect(problems({ matrix: matrix.with(0, judge({ from, to, ping: false })) })).toEqual([
      'a to b: no answer to ping',
    ])
  })
})
