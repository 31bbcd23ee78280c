/**
 * Random scripts for an API server: what the product, people and kubelets ask of one, on few
 * objects, so that they meet. A script names versions by what its player has seen ("the last",
 * "one before"), for no two servers count alike.
 */
import type { ApiRequest } from './api-server.ts'
import type { Random } from './random.ts'

/** Which of the versions that were seen of an object is named; `gone` that of a former object. */
export type Seen = 'none' | 'last' | 'before' | 'gone'

export interface Write {
  readonly kind: 'write'
  readonly path: string
  readonly name: string
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly query?: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly body?: object
  readonly resourceVersion: Seen
  readonly uid: Seen
}

export type Step =
  | Write
  | { readonly kind: 'get'; readonly path: string; readonly name: string }
  /** Begins a list; `watched` is where a watch goes on from at the end. */
  | { readonly kind: 'list'; readonly path: string; readonly limit: number; readonly watched: boolean }
  /** The next page of the list that was begun last, whatever happened since. */
  | { readonly kind: 'page' }

interface Kind {
  readonly apiVersion: string
  readonly kind: string
  readonly path: string
  /** What a person or the product writes there besides metadata. */
  readonly content: (random: Random) => object
  readonly status?: (random: Random) => object
  /** Whether the main resource is replaced and applied: the server has much of its own in Nodes. */
  readonly isPatchedOnly?: true
}

const NETWORK = { apiVersion: 'network.openyurt.io/v1alpha1', path: '/apis/network.openyurt.io/v1alpha1' }

const condition = (random: Random, type: string) => ({
  type,
  status: random.pick(['True', 'False']),
  reason: random.pick(['Ready', 'Lost']),
  message: 'as it was said',
  lastTransitionTime: '2026-01-01T00:00:00Z',
})

const KINDS: readonly Kind[] = [
  {
    apiVersion: NETWORK.apiVersion,
    kind: 'BGPPeer',
    path: `${NETWORK.path}/bgppeers`,
    content: random => ({
      spec: {
        localSpeakers: random.pick([['n-0'], ['n-0', 'n-1'], ['n-1']]),
        localAsNumber: random.pick([65_000, 65_001]),
        peerIP: '172.16.0.254',
        peerAsNumber: 65_100,
        nodeSelector: random.pick(['lan=0', 'lan=1']),
        ...(random.chance(0.4) && { gateway: random.pick(['172.16.0.253', '172.16.0.252']) }),
        ...(random.chance(0.3) && { med: random.between(0, 2) }),
      },
    }),
    status: random => ({
      status: {
        ...(random.chance(0.7) && {
          speakers: [{ node: random.pick(['n-0', 'n-1']), state: random.pick(['Idle', 'Established']) }],
        }),
        ...(random.chance(0.3) && { conditions: [condition(random, random.pick(['Accepted', 'Established']))] }),
        ...(random.chance(0.2) && { selectedNodes: random.pick([['n-0'], ['n-0', 'n-1']]) }),
      },
    }),
  },
  {
    apiVersion: NETWORK.apiVersion,
    kind: 'RouteSlice',
    path: `${NETWORK.path}/routeslices`,
    content: random => ({
      entries: Array.from({ length: random.between(0, 2) }, (_, index) => ({
        node: `n-${index}`,
        addresses: [random.pick(['172.16.0.10', '172.16.0.11'])],
        podCIDRs: [`10.0.${index}.0/25`],
        peers: random.pick([[], ['lan-0']]),
      })),
    }),
  },
  {
    apiVersion: 'v1',
    kind: 'Node',
    path: '/api/v1/nodes',
    content: random => {
      const podCIDR = random.pick(['10.0.0.0/25', '10.0.0.128/25'])
      return { spec: random.pick([{}, { podCIDRs: [podCIDR] }, { podCIDR, podCIDRs: [podCIDR] }]) }
    },
    status: random => ({ status: { conditions: [condition(random, random.pick(['Ready', 'NetworkUnavailable']))] } }),
    isPatchedOnly: true,
  },
  {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    path: '/apis/coordination.k8s.io/v1/namespaces/default/leases',
    content: random => ({
      spec: { holderIdentity: random.pick(['c0', 'c1']), leaseTransitions: random.between(0, 2) },
    }),
  },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    path: '/api/v1/namespaces/default/configmaps',
    content: random => ({ data: Object.fromEntries([[random.pick(['a', 'b', 'c']), random.pick(['1', '2'])]]) }),
  },
]

const MANAGERS = ['one', 'other']

/** A script of `length` steps; its objects have names that no other seed's have. */
export function drawScript(
  random: Random,
  { seed, length }: { readonly seed: number; readonly length: number },
): Step[] {
  const names = [`s${seed}-a`, `s${seed}-b`, `s${seed}-c`]
  return Array.from({ length }, () => drawStep(random, random.pick(KINDS), random.pick(names)))
}

/** Deletes all that a script may have made. */
export function cleaning(seed: number): Step[] {
  return KINDS.flatMap(({ path }) =>
    ['a', 'b', 'c'].map((letter): Step => {
      const name = `s${seed}-${letter}`
      return { kind: 'write', method: 'DELETE', path: `${path}/${name}`, name, resourceVersion: 'none', uid: 'none' }
    }),
  )
}

function drawStep(random: Random, kind: Kind, name: string): Step {
  const { path } = kind
  const dice = random.between(0, 99)
  if (dice < 6) return { kind: 'get', path: `${path}/${name}`, name }
  if (dice < 16) return { kind: 'list', path, limit: random.pick([0, 1, 2]), watched: random.chance(0.3) }
  if (dice < 24) return { kind: 'page' }
  if (dice < 44) return write(random, kind, name, { method: 'POST' })
  if (dice < 58) return write(random, kind, name, { method: 'DELETE' })
  if (dice < 70) return write(random, kind, name, { method: 'PATCH', contentType: 'application/merge-patch+json' })
  if (dice < 82 && kind.isPatchedOnly === undefined) return write(random, kind, name, { method: 'PUT' })
  return write(random, kind, name, { method: 'PATCH', contentType: 'application/apply-patch+yaml' })
}

type How = Pick<Write, 'method' | 'contentType'>

function write(random: Random, kind: Kind, name: string, how: How): Write {
  const { apiVersion, path } = kind
  const isApply = how.contentType?.includes('apply') === true
  const mustBeStatus = kind.isPatchedOnly === true && isApply
  const mayBeStatus = kind.status !== undefined && ['PUT', 'PATCH'].includes(how.method)
  const isStatus = mustBeStatus || (mayBeStatus && random.chance(0.4))
  const content = isStatus ? kind.status?.(random) : kind.content(random)
  const labels = !isStatus && random.chance(0.3) ? { labels: { lan: random.pick(['0', '1']) } } : {}
  const whole = { apiVersion, kind: kind.kind, metadata: { name, ...labels }, ...content }
  const isCreate = how.method === 'POST'
  return {
    kind: 'write',
    ...how,
    name,
    path: isCreate ? path : `${path}/${name}${isStatus ? '/status' : ''}`,
    ...(isApply && { query: { fieldManager: random.pick(MANAGERS), ...(random.chance(0.5) && { force: 'true' }) } }),
    ...(how.method !== 'DELETE' && {
      body: isCreate || isApply || how.method === 'PUT' ? whole : { metadata: labels, ...content },
    }),
    resourceVersion:
      isCreate || (isApply && random.chance(0.8)) ? 'none' : random.pick(['none', 'last', 'last', 'before']),
    uid:
      ['PUT', 'DELETE'].includes(how.method) || (kind.isPatchedOnly === true && !isApply && !isCreate)
        ? random.pick(['none', 'none', 'last', 'gone'])
        : 'none',
  }
}

/** Every version that one player has seen of the objects, as its server counts. */
export class Memory {
  readonly #seen = new Map<string, { readonly uid: string; readonly resourceVersion: string }[]>()

  note(path: string, body: unknown): void {
    const { uid, resourceVersion } = (body as { metadata?: { uid?: string; resourceVersion?: string } }).metadata ?? {}
    if (uid === undefined || resourceVersion === undefined) return
    const versions = this.#seen.get(objectOf(path)) ?? []
    const isNew = versions.at(-1)?.uid !== uid || versions.at(-1)?.resourceVersion !== resourceVersion
    if (isNew) this.#seen.set(objectOf(path), [...versions, { uid, resourceVersion }])
  }

  /** The request that a step is for this player. */
  request(step: Write): ApiRequest {
    const { method, path, name, query, contentType, body } = step
    const at = method === 'POST' ? `${path}/${name}` : path
    const preconditions = {
      ...named('uid', this.#version(at, step.uid)?.uid),
      ...named('resourceVersion', this.#version(at, step.resourceVersion)?.resourceVersion),
    }
    const asked = {
      method,
      path,
      ...(query !== undefined && { query }),
      ...(contentType !== undefined && { contentType }),
    }
    if (method === 'DELETE')
      return Object.keys(preconditions).length === 0
        ? asked
        : { ...asked, body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions } }
    const { metadata } = (body ?? {}) as { metadata?: object }
    return { ...asked, body: { ...body, metadata: { ...metadata, ...preconditions } } }
  }

  #version(path: string, which: Seen) {
    const versions = this.#seen.get(objectOf(path)) ?? []
    const last = versions.at(-1)
    if (which === 'none') return undefined
    if (which === 'last') return last
    if (which === 'before') return versions.at(-2) ?? last
    return versions.findLast(({ uid }) => uid !== last?.uid) ?? last
  }
}

function objectOf(path: string): string {
  return path.replace(/\/status$/, '')
}

function named(name: string, value: string | undefined): object {
  return value === undefined ? {} : { [name]: value }
}
