/**
 * The simulated API server beside a real one: the same random scripts of what the product does to it
 * (create, replace, merge patch, server-side apply, delete, with preconditions that hold and that do
 * not), and after each the same refusal or the same object.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { ApiError, type KubeApi } from '../../src/kube/api.ts'
import { createKubeApi, createKubeApiOver } from '../../src/kube/client.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import {
  BGP_PEERS,
  CONFIG_MAPS,
  type KubeObject,
  NODES,
  type ResourceType,
  ROUTE_SLICES,
} from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { isRefusal, SimApiServer } from './api-server.ts'
import { Random } from './random.ts'

const STEPS = 200
const ready = missing(['KUBEBUILDER_ASSETS']).length === 0
const withApi = testNeeding('KUBEBUILDER_ASSETS')
let server: TestApiServer
let real: KubeApi

beforeAll(async () => {
  if (!ready) return
  server = await TestApiServer.start()
  real = createKubeApi({ kubeconfig: loadKubeconfig(server.kubeconfig), clock: systemClock, log: silentLog })
}, 60_000)
afterAll(async () => {
  real?.close()
  await server?.close()
})

function simulated(): KubeApi {
  const api = new SimApiServer(() => '2026-01-01T00:00:00Z')
  const transport = {
    server: 'simulated',
    request: async (request: Parameters<SimApiServer['handle']>[0]) => {
      const answer = api.handle(request)
      if (isRefusal(answer)) throw new ApiError(answer.message, { status: answer.code, reason: answer.reason })
      return answer.body
    },
    body: () => Promise.reject(new Error('no list here')),
    stream: () => Promise.reject(new Error('no watch here')),
    close() {},
  }
  return createKubeApiOver(transport, { clock: systemClock, log: silentLog })
}

interface Kind {
  readonly type: ResourceType
  readonly namespace?: string
  /** What an object may say. */
  readonly content: (random: Random) => object
}

const entry = (random: Random) => ({
  node: random.pick(['n1', 'n2']),
  addresses: [`172.16.0.${random.between(1, 3)}`],
  podCIDRs: [`10.0.${random.between(0, 3)}.0/25`],
  peers: [],
})
const KINDS: readonly Kind[] = [
  {
    type: CONFIG_MAPS,
    namespace: 'kube-system',
    content: random => ({ data: { [random.pick(['a', 'b'])]: String(random.between(0, 2)) } }),
  },
  { type: ROUTE_SLICES, content: random => ({ entries: [entry(random)] }) },
  { type: NODES, content: () => ({ spec: {} }) },
]

/** One step on one side: the objects that this side has seen stand in for versions. */
type Step = (api: KubeApi, seen: KubeObject[]) => Promise<unknown>

function drawStep(random: Random): { readonly what: string; readonly step: Step } {
  const kind = random.pick(KINDS)
  const { type, namespace } = kind
  const name = random.pick(['x', 'y'])
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) }
  const object = {
    apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
    kind: type.kind,
    metadata,
    ...kind.content(random),
  } as KubeObject
  const nth = random.next()
  const versionOf = (seen: readonly KubeObject[]) => {
    const mine = seen.filter(one => one.kind === type.kind && one.metadata.name === name)
    return (
      mine[Math.floor(nth * mine.length)] ?? { ...object, metadata: { ...metadata, uid: 'none', resourceVersion: '1' } }
    )
  }
  const verb = random.pick([
    'create',
    'create',
    'replace',
    'patch',
    'apply',
    'apply',
    'delete',
    'deleteUnchanged',
    'get',
  ])
  const what = `${verb} ${type.plural} ${name}`
  switch (verb) {
    case 'create':
      return { what, step: api => api.create(type, object) }
    case 'replace':
      return { what, step: (api, seen) => api.replace(type, { ...object, metadata: versionOf(seen).metadata }) }
    case 'patch': {
      const podCIDR = `10.9.${random.between(0, 1)}.0/25`
      const content = type === NODES ? { spec: { podCIDR, podCIDRs: [podCIDR] } } : kind.content(random)
      const isGuarded = random.chance(0.5)
      return {
        what: `${what} ${JSON.stringify(content)} ${isGuarded}`,
        step: (api, seen) => {
          const { uid } = versionOf(seen).metadata
          const guard = isGuarded && uid !== undefined ? { metadata: { uid } } : {}
          return api.mergePatch(type, name, { ...guard, ...content }, namespace === undefined ? {} : { namespace })
        },
      }
    }
    case 'apply': {
      const fieldManager = random.pick(['one', 'other'])
      return { what: `${what} by ${fieldManager}`, step: api => api.apply(type, object, { fieldManager, force: true }) }
    }
    case 'delete':
      return { what, step: api => api.delete(type, name, namespace) }
    case 'deleteUnchanged':
      return { what, step: (api, seen) => api.deleteUnchanged(type, versionOf(seen)) }
    default:
      return { what, step: api => api.get(type, name, namespace) }
  }
}

/** What came of a step, without what each server numbers for itself. */
async function outcomeOf(step: Step, api: KubeApi, seen: KubeObject[]): Promise<unknown> {
  try {
    const answer = await step(api, seen)
    if (typeof answer !== 'object' || answer === null) return { answer }
    const object = answer as KubeObject & { data?: object; entries?: object; spec?: object }
    seen.push(object)
    const isSame = seen.slice(0, -1).some(one => one.metadata.resourceVersion === object.metadata.resourceVersion)
    const { data = {}, entries = [], spec = {} } = object
    // a Node is given a taint by admission while it is not ready
    const { podCIDRs = [] } = spec as { podCIDRs?: readonly string[] }
    return { data, entries, podCIDRs, isSame }
  } catch (error) {
    if (error instanceof ApiError) return { refused: error.status }
    throw error
  }
}

for (const seed of [1, 2]) {
  withApi(
    `a simulated API server answers as the real one (script ${seed})`,
    async () => {
      const random = new Random(seed, 'API script')
      const fake = simulated()
      const [seenReal, seenFake]: [KubeObject[], KubeObject[]] = [[], []]
      for (const { type, namespace } of KINDS) for (const name of ['x', 'y']) await real.delete(type, name, namespace)
      for (let number = 0; number < STEPS; number++) {
        const { what, step } = drawStep(random)
        const theirs = await outcomeOf(step, real, seenReal)
        const ours = await outcomeOf(step, fake, seenFake)
        expect({ number, what, outcome: ours }).toEqual({ number, what, outcome: theirs })
      }
    },
    60_000,
  )
}

withApi('speakers and controller share a status by server-side apply as on the real one', async () => {
  const peer = {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name: 'shared' },
    spec: {
      localSpeakers: ['n1'],
      localAsNumber: 65_001,
      peerIP: '172.16.0.1',
      peerAsNumber: 65_100,
      nodeSelector: 'all()',
    },
  } as KubeObject
  const condition = (reason: string) => ({
    type: 'Accepted',
    status: 'True',
    reason,
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  })
  const speaker = (node: string, state: string) => ({ node, state, since: '2026-01-01T00:00:00Z' })
  const script: readonly (readonly [string, object])[] = [
    ['controller', { conditions: [condition('A')], selectedNodes: 1 }],
    ['speaker-n1', { speakers: [speaker('n1', 'Idle')] }],
    ['speaker-n2', { speakers: [speaker('n2', 'Idle')] }],
    ['speaker-n1', { speakers: [speaker('n1', 'Established')] }],
    ['controller', { conditions: [condition('B')], selectedNodes: 2 }],
    ['speaker-n1', {}],
    ['speaker-n2', {}],
  ]
  const statuses = async (api: KubeApi) => {
    await api.create(BGP_PEERS, peer)
    const seen: unknown[] = []
    for (const [fieldManager, status] of script) {
      const object = {
        apiVersion: peer.apiVersion,
        kind: peer.kind,
        metadata: { name: 'shared' },
        status,
      } as KubeObject
      const answer = await api.apply<KubeObject & { status?: { speakers?: unknown[] } }>(BGP_PEERS, object, {
        fieldManager,
        force: true,
        subresource: 'status',
      })
      const { speakers = [], ...rest } = answer.status ?? {}
      seen.push({ ...rest, speakers })
    }
    return seen
  }
  expect(await statuses(simulated())).toEqual(await statuses(real))
})
