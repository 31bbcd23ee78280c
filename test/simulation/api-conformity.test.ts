/**
 * The simulated API server and the lab's beside a real kube-apiserver: the same random scripts, and
 * after each step the same refusal or the same object, the same pages of lists and the same events
 * of watches. What servers stamp (uids, versions, times) and what the real one alone adds to Nodes
 * is left out.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { readFileSync } from 'node:fs'
import { LabApi } from '../../src/apiserver/lab-api.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { testNeeding } from '../support/requires.ts'
import { cleaning, drawScript, Memory, type Step } from './api-script.ts'
import { type ApiRequest, isRefusal, SimApiServer } from './api-server.ts'
import { Random } from './random.ts'

const withServer = testNeeding('KUBEBUILDER_ASSETS')
const SEEDS = 5
const STEPS = 90
const CRDS = ['bgppeers', 'routeslices', 'eninodes'].map(kind => `config/crd-${kind}.yaml`)
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

interface Answer {
  readonly code: number
  readonly body: unknown
}

/** One server as a player sees it. */
interface Server {
  request(request: ApiRequest): Promise<Answer>
  /**
   * What a watch tells in a second, or in as many (20 at most) as it takes for what is expected of
   * it.
   */
  watch(path: string, resourceVersion: string, expected: number): Promise<readonly unknown[]>
}

let real: TestApiServer
beforeAll(async () => {
  if (process.env.KUBEBUILDER_ASSETS !== undefined) real = await TestApiServer.start()
}, 300_000)
afterAll(async () => {
  await real?.close()
})

/** A server behind HTTP. */
function overHttp(send: (path: string, init: RequestInit) => Promise<Response>): Server {
  const headers = { 'user-agent': 'terway-edge' }
  return {
    async request({ method, path, query = {}, body, contentType = 'application/json' }) {
      const search = new URLSearchParams()
      for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value)
      const answer = await send(`${path}?${search}`, {
        method,
        headers: { ...headers, ...(body !== undefined && { 'content-type': contentType }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { code: answer.status, body: await answer.json() }
    },
    async watch(path, resourceVersion, expected) {
      const search = new URLSearchParams({ watch: 'true', resourceVersion, timeoutSeconds: '20' })
      const answer = await send(`${path}?${search}`, { headers })
      if (!answer.ok || answer.body === null) return [{ type: 'ERROR', object: await answer.json() }]
      return readEvents(answer.body, expected)
    },
  }
}

/** What comes in a second, or until it ends or is as much as expected, if that takes longer. */
async function readEvents(body: ReadableStream<Uint8Array>, expected: number): Promise<readonly unknown[]> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  const lines = () =>
    text
      .split('\n')
      .slice(0, -1)
      .filter(line => line !== '')
  const second = Bun.sleep(1000)
  for (;;) {
    const read = reader.read()
    const part = await (lines().length < expected ? read : Promise.race([read, second]))
    if (part === undefined || part.done) break
    text += decoder.decode(part.value, { stream: true })
  }
  await reader.cancel()
  return lines().map(line => JSON.parse(line))
}

function realServer(): Server {
  const tls = { ca: readFileSync(real.path('certs/apiserver.crt'), 'utf8') }
  const authorization = `Bearer ${real.token()}`
  return overHttp((path, init) =>
    fetch(`${real.url}${path}`, {
      ...init,
      headers: { ...init.headers, authorization },
      tls,
      proxy: '',
    } as RequestInit),
  )
}

function definitions(): readonly object[] {
  return CRDS.map(file => Bun.YAML.parse(readFileSync(file, 'utf8')) as object)
}

async function labServer(): Promise<Server> {
  const lab = new LabApi({ clock: systemClock })
  const server = overHttp((path, init) => lab.fetch(new Request(`http://lab${path}`, init)))
  for (const body of definitions()) await server.request({ method: 'POST', path: DEFINITIONS, body })
  return server
}

function simulatedServer(simulated: SimApiServer): Server {
  for (const body of definitions()) simulated.handle({ method: 'POST', path: DEFINITIONS, body })
  return {
    request: request => {
      const answer = simulated.handle(request)
      return Promise.resolve({ code: answer.code, body: isRefusal(answer) ? { ...answer } : answer.body })
    },
    watch: (path, resourceVersion) => {
      const told: unknown[] = []
      const stop = simulated.watch({ path, query: { resourceVersion } }, (type, object) => told.push({ type, object }))
      if (typeof stop === 'function') stop()
      return Promise.resolve(typeof stop === 'function' ? told : [{ type: 'ERROR', object: stop }])
    },
  }
}

/** The path of a watch, and what it told. */
type Told = readonly unknown[]

/** Plays a script on one server; each step as what it came to. */
class Player {
  readonly #server: Server
  readonly #memory = new Memory()
  readonly #marks: { readonly path: string; readonly resourceVersion: string }[] = []
  #page: { readonly path: string; readonly limit: number; readonly token: string } | undefined

  constructor(server: Server) {
    this.#server = server
  }

  async play(step: Step): Promise<unknown> {
    switch (step.kind) {
      case 'write': {
        const answer = await this.#server.request(this.#memory.request(step))
        if (answer.code < 300)
          this.#memory.note(step.method === 'POST' ? `${step.path}/${step.name}` : step.path, answer.body)
        return comparable(answer, step.path)
      }
      case 'get': {
        const answer = await this.#server.request({ method: 'GET', path: step.path })
        if (answer.code < 300) this.#memory.note(step.path, answer.body)
        return comparable(answer, step.path)
      }
      case 'list': {
        const answer = await this.#list(step.path, step.limit, undefined)
        const { resourceVersion = '' } = metadataOf(answer.body)
        if (step.watched) this.#marks.push({ path: step.path, resourceVersion })
        return comparable(answer, step.path)
      }
      case 'page': {
        const page = this.#page
        if (page === undefined) return 'no list has more'
        return comparable(await this.#list(page.path, page.limit, page.token), page.path)
      }
    }
  }

  /** What watches tell that go on from where the lists ended, as many as another server's. */
  watches(others: readonly Told[] = []): Promise<readonly Told[]> {
    const told = this.#marks.map(async ({ path, resourceVersion }, index): Promise<Told> => {
      const expected = (others[index]?.length ?? 1) - 1
      const events = await this.#server.watch(path, resourceVersion, expected)
      return [path, ...events.map(event => comparableEvent(event as WatchEvent, path))]
    })
    return Promise.all(told)
  }

  async #list(path: string, limit: number, token: string | undefined): Promise<Answer> {
    const query = { ...(limit > 0 && { limit: String(limit) }), ...(token !== undefined && { continue: token }) }
    const answer = await this.#server.request({ method: 'GET', path, query })
    const { continue: next = '' } = metadataOf(answer.body)
    this.#page = next === '' ? undefined : { path, limit, token: next }
    return answer
  }
}

interface Metadata {
  readonly name?: string
  readonly labels?: object
  readonly generation?: number
  readonly resourceVersion?: string
  readonly continue?: string
}

interface WatchEvent {
  readonly type: string
  readonly object: { readonly kind?: string; readonly code?: number; readonly reason?: string }
}

function metadataOf(body: unknown): Metadata {
  return (body as { metadata?: Metadata }).metadata ?? {}
}

/** A refusal by its code and reason, an object by what is no stamp, a list by its objects. */
function comparable({ code, body }: Answer, path: string): unknown {
  const { reason, items, kind, status } = body as Fields & { readonly items?: readonly unknown[] }
  if (code >= 300) return { code, reason }
  if (kind === 'Status') return { code, status }
  if (items === undefined) return { code, object: bare(body, path) }
  return { code, hasMore: (metadataOf(body).continue ?? '') !== '', items: items.map(item => bare(item, path)) }
}

function comparableEvent({ type, object }: WatchEvent, path: string): unknown {
  return type === 'ERROR' ? { type, code: object.code, reason: object.reason } : { type, object: bare(object, path) }
}

type Fields = Readonly<Record<string, unknown>>

function bare(object: unknown, path: string): unknown {
  const { apiVersion: _, kind: __, metadata: ___, ...content } = object as Fields
  const { name, labels = {}, generation } = metadataOf(object)
  if (!path.startsWith('/api/v1/nodes')) return { name, labels, generation, ...content }
  const { spec, status } = content as { spec?: Fields; status?: Fields }
  return withoutNulls({ name, labels, podCIDRs: spec?.podCIDRs, conditions: status?.conditions })
}

/** Go writes the zero of a time as null. */
function withoutNulls(value: object): unknown {
  return JSON.parse(JSON.stringify(value), (_, one: unknown) => one ?? undefined)
}

for (let seed = 1; seed <= SEEDS; seed++) {
  withServer(
    `the simulated API server and the lab's answer as the real one (script ${seed})`,
    async () => {
      const one = new Player(realServer())
      const lab = new Player(await labServer())
      const simulated = new Player(simulatedServer(new SimApiServer(() => 0)))
      const played: string[] = []
      const compare = async (step: Step) => {
        played.push(JSON.stringify(step))
        const theirs = await one.play(step)
        const last = played.slice(-12)
        expect({ last, answer: await lab.play(step) }).toEqual({ last, answer: theirs })
        expect({ last, answer: await simulated.play(step) }).toEqual({ last, answer: theirs })
      }
      try {
        for (const step of drawScript(new Random(seed, 'API script'), { seed, length: STEPS })) await compare(step)
        const simulateds = await simulated.watches()
        const [told, labs] = await Promise.all([one.watches(simulateds), lab.watches(simulateds)])
        expect(labs).toEqual(told)
        expect(simulateds).toEqual(told)
      } finally {
        for (const step of cleaning(seed)) await one.play(step) // for the next script
      }
    },
    300_000,
  )
}
