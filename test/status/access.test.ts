/**
 * Who may ask what, without a port: the Host header, the token, the method, and what every answer
 * carries.
 */
import { expect, test } from 'bun:test'
import { Secret } from '../../src/lib/secret.ts'
import { type Access, isOurHost } from '../../src/status/access.ts'
import { createStatusApp } from '../../src/status/app.ts'
import { isLoopback, parseListen } from '../../src/status/listen.ts'
import { controllerSnapshot, nodeSnapshot, SampleSource } from './sample.ts'

const LOCAL: Access = { listenAddress: '127.0.0.1' }
const TOKEN = 'correct-horse-battery-staple'
const GUARDED: Access = { listenAddress: '192.0.2.7', token: new Secret(TOKEN) }

function ask(path: string, headers: Record<string, string> = {}, access = LOCAL, snapshot = controllerSnapshot()) {
  const app = createStatusApp({ ...new SampleSource(snapshot), access })
  return app.request(path, { headers: { host: '127.0.0.1:9179', ...headers } })
}

test('the snapshot is JSON, and never kept', async () => {
  const response = await ask('/api/v1/snapshot')
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toStartWith('application/json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual(controllerSnapshot())
})

test('every answer carries the headers that protect the page, refusals and errors too', async () => {
  const app = createStatusApp({
    snapshot: () => {
      throw new Error('a bug with a secret in it')
    },
    onChange: () => () => {},
    access: LOCAL,
  })
  const broken = await app.request('/api/v1/snapshot', { headers: { host: 'localhost' } })
  expect(broken.status).toBe(500)
  expect(await broken.text()).not.toContain('secret')
  const answers = [
    broken,
    await ask('/'),
    await ask('/metrics'),
    await ask('/nothing'),
    await ask('/', { host: 'evil.example' }),
    await ask('/metrics', {}, GUARDED),
  ]
  for (const { headers } of answers) {
    expect(headers.get('content-security-policy')).toStartWith("default-src 'none'; ")
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('content-security-policy')).not.toContain('unsafe')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('access-control-allow-origin')).toBeNull()
  }
})

test('it is read-only: other methods get 405 and are told which there are', async () => {
  const app = createStatusApp({ ...new SampleSource(controllerSnapshot()), access: LOCAL })
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    for (const path of ['/', '/api/v1/snapshot', '/healthz', '/nothing']) {
      const response = await app.request(path, { method, headers: { host: 'localhost' } })
      expect([method, path, response.status, response.headers.get('allow')]).toEqual([method, path, 405, 'GET, HEAD'])
    }
  }
  const head = await app.request('/api/v1/events', { method: 'HEAD', headers: { host: 'localhost' } })
  expect([head.status, await head.text()]).toEqual([200, ''])
})

test('a Host header that does not name us gets 421 and no data', async () => {
  for (const host of [
    'evil.example',
    'evil.example:9179',
    '127.0.0.1.evil.example',
    '192.0.2.9',
    'localhost@evil.example',
  ]) {
    const response = await ask('/api/v1/snapshot', { host })
    expect([host, response.status]).toEqual([host, 421])
    expect(await response.text()).toContain('Host header')
  }
})

test('the names that a Host header may bear', () => {
  const mine: Access = { listenAddress: '192.0.2.7', names: ['Status.example'] }
  for (const host of [
    'localhost',
    'LOCALHOST:80',
    'localhost.',
    'edge.localhost:1',
    '127.0.0.1',
    '127.8.9.1:9',
    '[::1]:9179',
    '[::ffff:127.0.0.1]',
  ]) {
    expect([host, isOurHost(host, LOCAL)]).toEqual([host, true])
  }
  for (const host of ['192.0.2.7', '192.0.2.7:9179', 'status.example:443']) {
    expect([host, isOurHost(host, mine), isOurHost(host, LOCAL)]).toEqual([host, true, false])
  }
  for (const host of [undefined, '', ':9179', '::1', 'localhost:x', '2130706433', '0', 'a b', '[localhost]']) {
    expect([host, isOurHost(host, LOCAL)]).toEqual([host, false])
  }
})

test('on a wildcard address every address is ours, but no name is', () => {
  const all: Access = { listenAddress: '0.0.0.0' }
  expect(['192.0.2.7:9179', '[2001:db8::1]', 'rebound.example'].map(host => isOurHost(host, all))).toEqual([
    true,
    true,
    false,
  ])
})

test('a request that another site started gets no data; the page itself may be linked to', async () => {
  expect((await ask('/api/v1/snapshot', { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  expect((await ask('/metrics', { 'sec-fetch-site': 'same-site' })).status).toBe(403)
  expect((await ask('/api/v1/snapshot', { 'sec-fetch-site': 'same-origin' })).status).toBe(200)
  expect((await ask('/', { 'sec-fetch-site': 'cross-site' })).status).toBe(200)
})

test('where there is a token, data needs it; the page without data and liveness do not', async () => {
  for (const path of ['/api/v1/snapshot', '/api/v1/events', '/metrics']) {
    const without = await ask(path, {}, GUARDED)
    expect([path, without.status, without.headers.get('www-authenticate')]).toEqual([
      path,
      401,
      'Bearer realm="terway-edge"',
    ])
    for (const authorization of [
      `Bearer ${TOKEN}x`,
      'Bearer',
      'Bearer ',
      `Basic ${TOKEN}`,
      TOKEN,
      `Bearer ${TOKEN.slice(1)}`,
      `Bearer ${TOKEN.slice(0, -1)}`,
    ]) {
      expect([authorization, (await ask(path, { authorization }, GUARDED)).status]).toEqual([authorization, 401])
    }
    const right = await ask(path, { authorization: `Bearer ${TOKEN}`, host: '192.0.2.7:9179' }, GUARDED)
    expect([path, right.status]).toEqual([path, 200])
    await right.body?.cancel()
  }
  for (const path of ['/', '/healthz', '/readyz'])
    expect([path, (await ask(path, {}, GUARDED)).status]).toEqual([path, 200])
})

test('liveness needs nothing but the process; readiness says why not, to those who may know', async () => {
  const alive = await ask('/healthz', {}, LOCAL, nodeSnapshot())
  expect([alive.status, await alive.text()]).toEqual([200, 'ok\n'])
  expect((await ask('/readyz')).status).toBe(200)
  const reason = 'the API server has not answered for 5 minutes; the last accepted state is in use'
  const unready = await ask('/readyz', {}, LOCAL, nodeSnapshot())
  expect([unready.status, await unready.text()]).toEqual([503, `not ready\n${reason}\n`])
  const stranger = await ask('/readyz', {}, GUARDED, nodeSnapshot())
  expect([stranger.status, await stranger.text()]).toEqual([503, 'not ready\n'])
  const friend = await ask('/readyz', { authorization: `Bearer ${TOKEN}` }, GUARDED, nodeSnapshot())
  expect(await friend.text()).toContain(reason)
})

test('the page is HTML whose files are all its own', async () => {
  const page = await ask('/')
  expect(page.headers.get('content-type')).toStartWith('text/html')
  const html = await page.text()
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)]
    .map(match => match[1] ?? '')
    .filter(link => !link.startsWith('#'))
  expect(links.length).toBeGreaterThanOrEqual(2)
  for (const link of links) {
    const file = await ask(new URL(link, 'http://127.0.0.1/').pathname)
    expect([link, file.status]).toEqual([link, 200])
    expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(0)
  }
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=/)
})

test('no path reaches a file that is not the page', async () => {
  for (const path of [
    '/../package.json',
    '/%2e%2e/package.json',
    '/main.ts',
    '//etc/passwd',
    '/$bunfs/root/index.html',
  ]) {
    expect([path, (await ask(path)).status]).toEqual([path, 404])
  }
})

test('a listen address is an address and a port', () => {
  expect(parseListen('127.0.0.1:9179')).toEqual({ address: '127.0.0.1', port: 9179 })
  expect(parseListen('[::1]:0')).toEqual({ address: '::1', port: 0 })
  expect(parseListen('localhost:80')).toEqual({ address: '127.0.0.1', port: 80 })
  expect(parseListen(':9179')).toEqual({ address: '127.0.0.1', port: 9179 })
  for (const text of [
    '',
    '9179',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '1.2.3:1',
    '::1:80',
    '[127.0.0.1]:80',
    'host.example:80',
    '127.0.0.1:1x',
  ]) {
    expect([text, parseListen(text)]).toEqual([text, undefined])
  }
  expect(['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1'].map(isLoopback)).toEqual([true, true, true, true])
  expect(['0.0.0.0', '::', '10.0.0.1', '::2', '128.0.0.1'].map(isLoopback)).toEqual([false, false, false, false, false])
})
