/**
 * Caches against a server that misbehaves on purpose: what a real one does only on bad days. The
 * clock is real, the pauses are short.
 */
import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KubeApi } from '../../src/kube/api.ts'
import type { CacheTimes } from '../../src/kube/cache.ts'
import { createKubeApi } from '../../src/kube/client.ts'
import type { Kubeconfig } from '../../src/kube/kubeconfig.ts'
import { BGP_PEERS, NODES } from '../../src/kube/resources.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { eventually, run } from '../support/namespaces.ts'

type Answer = (request: { url: URL; watch: boolean; nth: number }) => Response

let closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers) close()
  closers = []
})

/** A server that answers the nth list and the nth watch as told. */
function fakeServer(lists: Answer, watches: Answer) {
  const counts = { list: 0, watch: 0 }
  const versions: (string | null)[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch(request) {
      const url = new URL(request.url)
      const watch = url.searchParams.get('watch') === 'true'
      if (watch) versions.push(url.searchParams.get('resourceVersion'))
      const nth = watch ? counts.watch++ : counts.list++
      return (watch ? watches : lists)({ url, watch, nth })
    },
  })
  closers.push(() => void server.stop(true))
  return { url: `http://127.0.0.1:${server.port}`, counts, versions }
}

function connect(server: string, times: Partial<CacheTimes> = {}): KubeApi {
  const kubeconfig: Kubeconfig = {
    server,
    origin: 'the test',
    credentials: async () => ({ headers: {} }),
    refresh() {},
  }
  const backoff = { initialMilliseconds: 10, maximumMilliseconds: 50 }
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog, cacheTimes: { backoff, ...times } })
  closers.unshift(() => api.close())
  return api
}

const peer = (name: string, version: string) => ({
  apiVersion: 'network.openyurt.io/v1alpha1',
  kind: 'BGPPeer',
  metadata: { name, resourceVersion: version },
})
const list = (version: string, ...names: string[]) =>
  Response.json({
    kind: 'BGPPeerList',
    metadata: { resourceVersion: version },
    items: names.map(name => peer(name, version)),
  })
const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`

/** A watch that says `text` and then stays open without a word, or ends. */
function stream(text: string, end: 'open' | 'ends'): Response {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text))
        if (end === 'ends') controller.close()
      },
    }),
  )
}
const quiet = () => stream('\n', 'open')

test('410 in the stream: lists again, and tells only of differences', async () => {
  const gone = line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' })
  const server = fakeServer(
    ({ nth }) => (nth === 0 ? list('5', 'a', 'b') : list('9', 'b', 'c')),
    ({ nth }) => (nth === 0 ? stream(gone, 'open') : quiet()),
  )
  const cache = connect(server.url).cache(BGP_PEERS)
  const sizes: number[] = []
  cache.onChange(() => sizes.push(cache.objects.size))
  await eventually('relisted', () => cache.objects.has('c'))
  expect([...cache.objects.keys()]).toEqual(['b', 'c'])
  expect(sizes).toEqual([2, 2])
  await eventually('watching from the new list', () => server.versions.length === 2)
  expect(server.versions).toEqual(['5', '9'])
})

test('410 as the answer: lists again', async () => {
  const status = { kind: 'Status', code: 410, reason: 'Gone', message: 'gone' }
  const server = fakeServer(
    ({ nth }) => list(String(nth), 'a'),
    ({ nth }) => (nth === 0 ? Response.json(status, { status: 410 }) : quiet()),
  )
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('a second list', () => server.counts.list === 2)
  expect(cache.objects.size).toBe(1)
})

test('a watch that ends goes on from the newest version it saw, bookmarks included', async () => {
  const texts = [
    line('ADDED', peer('b', '6')),
    line('BOOKMARK', { metadata: { resourceVersion: '8' } }),
    line('DELETED', peer('a', '9')),
  ]
  const server = fakeServer(
    () => list('5', 'a'),
    ({ nth }) => (nth < texts.length ? stream(texts[nth] ?? '', 'ends') : quiet()),
  )
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('four watches', () => server.versions.length === 4)
  expect(server.versions).toEqual(['5', '6', '8', '9'])
  expect([...cache.objects.keys()]).toEqual(['b'])
  expect(server.counts.list).toBe(1)
})

test.each([
  ['not JSON', 'nonsense\n'],
  ['half an object', `${line('ADDED', peer('x', '6')).slice(0, 20)}\n`],
  ['an unknown type', line('SURPRISE', peer('x', '6'))],
  ['an object without a name', line('ADDED', { kind: 'BGPPeer', metadata: {} })],
  ['an error that is not 410', line('ERROR', { kind: 'Status', code: 500, message: 'etcd is away' })],
])('a watch that sends %s is not believed: lists again', async (_, text) => {
  const server = fakeServer(
    ({ nth }) => list(String(nth), 'a', ...(nth > 0 ? ['b'] : [])),
    ({ nth }) => (nth === 0 ? stream(text, 'open') : quiet()),
  )
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('relisted', () => cache.objects.has('b'))
  expect(cache.objects.has('a')).toBe(true)
  await eventually('no problem is left', () => cache.problem === undefined)
})

test('an event cut into single bytes is one event', async () => {
  const bytes = new TextEncoder().encode(line('ADDED', { ...peer('b', '6'), note: 'Zürich ✓' }))
  const server = fakeServer(
    () => list('5', 'a'),
    () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            for (const byte of bytes) {
              controller.enqueue(Uint8Array.of(byte))
              await Bun.sleep(0)
            }
          },
        }),
      ),
  )
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('it came in', () => cache.objects.has('b'))
  expect(cache.objects.get('b')).toMatchObject({ note: 'Zürich ✓' })
})

test('a silent watch is taken for dead and begun anew after one small question, without a problem', async () => {
  const limits: (string | null)[] = []
  const server = fakeServer(({ url }) => {
    limits.push(url.searchParams.get('limit'))
    return list('5', 'a')
  }, quiet)
  const cache = connect(server.url, { idleMilliseconds: 30 }).cache(BGP_PEERS)
  await eventually('a third watch', () => server.counts.watch >= 3)
  expect(limits.slice(0, 3)).toEqual(['500', '1', '1'])
  expect(cache.problem).toBeUndefined()
})

test('a server with a restored backup is behind: it would tell nothing, and is listed anew', async () => {
  const server = fakeServer(({ nth }) => (nth === 0 ? list('500', 'a', 'b') : list('40', 'a')), quiet)
  const cache = connect(server.url, { idleMilliseconds: 30 }).cache(BGP_PEERS)
  await eventually('listed anew', () => cache.objects.size === 1)
  expect(cache.problem).toBeUndefined()
  expect(server.versions[0]).toBe('500')
  await eventually('watched from there', () => server.versions.includes('40'))
  expect(server.versions.slice(1)).not.toContain('500')
})

/** A byte of something endless now and then. */
const drip = () =>
  new Response(
    new ReadableStream({
      async pull(controller) {
        await Bun.sleep(5)
        controller.enqueue(new TextEncoder().encode('{'))
      },
    }),
    { headers: { 'content-type': 'application/json' } },
  )

test('a server that sends a byte now and then is out of reach', async () => {
  const server = fakeServer(({ nth }) => (nth === 0 ? list('5', 'a') : drip()), drip)
  const cache = connect(server.url, { idleMilliseconds: 50, answerMilliseconds: 50 }).cache(BGP_PEERS)
  await eventually('told', () => cache.problem?.includes('timed out'))
  const { lastContact } = cache
  await eventually('tried again', () => server.counts.list >= 4)
  expect(cache.problem).toContain('timed out')
  expect(cache.lastContact).toBe(lastContact)
  expect(cache.objects.size).toBe(1)
})

test.each([200, 404])(
  'the page of a captive portal (HTTP status %p) is no contact, and no word of the kind',
  async status => {
    const portal = () =>
      new Response('<html>log in</html>', { status, headers: { 'content-type': 'text/html; charset=utf-8' } })
    const server = fakeServer(
      ({ nth }) => (nth === 0 ? list('5', 'a') : portal()),
      () => portal(),
    )
    const cache = connect(server.url).cache(BGP_PEERS)
    await eventually('told', () => cache.problem?.includes('captive portal'))
    expect([cache.kindUnknown, cache.objects.size]).toEqual([false, 1])
  },
)

test('a CA file that holds the intermediate alone is enough, as it is for Go', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'te-ca-'))
  closers.push(() => rmSync(folder, { recursive: true }))
  const path = (name: string) => join(folder, name)
  const openssl = (...words: string[]) => run(['openssl', ...words])
  const key = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', path(`${name}.key`)]
  const sign = (name: string, by: string, extension: string) => {
    writeFileSync(path(`${name}.ext`), extension)
    openssl('req', ...key(name), '-out', path(`${name}.csr`), '-subj', `/CN=${name}`)
    const ca = [
      '-CA',
      path(`${by}.crt`),
      '-CAkey',
      path(`${by}.key`),
      '-CAcreateserial',
      '-extfile',
      path(`${name}.ext`),
    ]
    openssl('x509', '-req', '-in', path(`${name}.csr`), ...ca, '-out', path(`${name}.crt`))
  }
  openssl('req', '-x509', ...key('root'), '-out', path('root.crt'), '-subj', '/CN=root')
  sign('middle', 'root', 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign')
  sign('server', 'middle', 'subjectAltName=IP:127.0.0.1')
  const read = (name: string) => readFileSync(path(name), 'utf8')
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    tls: { cert: read('server.crt'), key: read('server.key') },
    fetch: () => list('5', 'a'),
  })
  closers.push(() => void server.stop(true))
  const listed = (ca: string) => {
    const kubeconfig = {
      server: `https://127.0.0.1:${server.port}`,
      origin: 'the test',
      credentials: async () => ({ headers: {}, tls: { ca, rejectUnauthorized: true } }),
      refresh() {},
    }
    const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
    closers.unshift(() => api.close())
    return api.list(BGP_PEERS)
  }
  expect(await listed(read('middle.crt'))).toHaveLength(1)
  sign('other', 'root', 'basicConstraints=critical,CA:TRUE')
  expect(listed(read('other.crt'))).rejects.toThrow('not signed by the CA')
})

test('a watch that never answers is a problem', async () => {
  const server = fakeServer(
    () => list('5', 'a'),
    () => new Promise<Response>(() => {}) as never,
  )
  const cache = connect(server.url, { answerMilliseconds: 30 }).cache(BGP_PEERS)
  await eventually('told', () => cache.problem === `the API server ${server.url} does not answer: timed out`)
  expect(cache.objects.size).toBe(1)
})

test.each([
  ['an empty object', () => Response.json({})],
  ['a list of nonsense', () => Response.json({ metadata: {}, items: [7] })],
  ['a page of HTML', () => new Response('<html>captive portal</html>')],
  ['an error', () => Response.json({ kind: 'Status', code: 500, message: 'etcd is away' }, { status: 500 })],
])('a relist that answers with %s empties nothing', async (_, answer) => {
  const gone = line('ERROR', { code: 410 })
  const server = fakeServer(
    ({ nth }) => (nth === 0 ? list('5', 'a') : answer()),
    () => stream(gone, 'open'),
  )
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('tried again and again', () => server.counts.list >= 4)
  expect(cache.synced).toBe(true)
  expect([...cache.objects.keys()]).toEqual(['a'])
  expect(cache.problem).toBeDefined()
})

test('an expired continue token begins the list again', async () => {
  const answers = [
    () =>
      Response.json({ metadata: { resourceVersion: '5', continue: 'more' }, items: [{ metadata: { name: 'old' } }] }),
    () => Response.json({ kind: 'Status', code: 410, reason: 'Expired', message: 'expired' }, { status: 410 }),
    () => Response.json({ metadata: { resourceVersion: '6', continue: 'more' }, items: [{ metadata: { name: 'a' } }] }),
    () => Response.json({ metadata: { resourceVersion: '6' }, items: [{ metadata: { name: 'b' } }] }),
  ]
  const server = fakeServer(({ nth }) => answers[nth]?.() ?? list('7'), quiet)
  const cache = connect(server.url).cache(NODES)
  await eventually('synced', () => cache.synced)
  expect([...cache.objects.keys()]).toEqual(['a', 'b'])
})

test('a server that hangs up at once is not asked in a tight loop', async () => {
  const server = fakeServer(
    () => list('5', 'a'),
    () => stream('', 'ends'),
  )
  const cache = connect(server.url, { backoff: { initialMilliseconds: 50, maximumMilliseconds: 60_000 } }).cache(
    BGP_PEERS,
  )
  await eventually('a few watches', () => server.counts.watch >= 3)
  await Bun.sleep(100)
  expect(server.counts.watch).toBeLessThan(6)
  cache.close()
})

test('closing is quiet: no listener is called and nothing is asked any more', async () => {
  const server = fakeServer(() => list('5', 'a'), quiet)
  const api = connect(server.url)
  const cache = api.cache(BGP_PEERS)
  await eventually('watching', () => server.counts.watch === 1)
  let calls = 0
  cache.onChange(() => calls++)
  api.close()
  await Bun.sleep(50)
  expect([calls, cache.problem, server.counts]).toEqual([0, undefined, { list: 1, watch: 1 }])
})

test('refresh lists anew though the watch is silent, and resolves with that list', async () => {
  const server = fakeServer(({ nth }) => (nth === 0 ? list('1', 'a') : list('5', 'a', 'b')), quiet)
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('watching', () => server.counts.watch === 1)
  await Promise.all([cache.refresh(), cache.refresh()])
  expect([...cache.objects.keys()]).toEqual(['a', 'b'])
  await eventually('watching from there', () => server.versions.at(-1) === '5')
  expect(server.counts.list).toBe(2)
})

test('refresh since a time lists only where no list began later; the first list waits until it may begin', async () => {
  const { promise: begin, resolve } = Promise.withResolvers<void>()
  const server = fakeServer(() => list('1', 'a'), quiet)
  const cache = connect(server.url).cache(BGP_PEERS, { begin })
  const early = systemClock.monotonic()
  await Bun.sleep(20)
  expect(server.counts.list).toBe(0)
  resolve()
  await Promise.all([cache.refresh(early), eventually('watching', () => server.counts.watch === 1)])
  await cache.refresh(early)
  expect([cache.synced, server.counts.list]).toEqual([true, 1])
  await cache.refresh(systemClock.monotonic())
  expect(server.counts.list).toBe(2)
})

test('refresh waits for a list that succeeds, or for close', async () => {
  const server = fakeServer(({ nth }) => {
    if (nth === 0 || nth === 3) return list('1', 'a')
    return new Response('broken', { status: 500 })
  }, quiet)
  const cache = connect(server.url).cache(BGP_PEERS)
  await eventually('watching', () => server.counts.watch === 1)
  await cache.refresh()
  expect([server.counts.list, cache.problem]).toEqual([4, undefined])
  const never = cache.refresh()
  await eventually('another failure', () => server.counts.list > 5)
  cache.close()
  await never
  await cache.refresh()
})

test('who refuses a connection was reached; who says nothing was not', async () => {
  const closed = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const address = `http://127.0.0.1:${closed.port}`
  await closed.stop(true)
  await connect(address).reach(1000)
  const silent = Bun.listen({ port: 0, hostname: '127.0.0.1', socket: { data() {} } })
  closers.push(() => silent.stop(true))
  await expect(connect(`http://127.0.0.1:${silent.port}`).reach(100)).rejects.toThrow('timed out')
})
