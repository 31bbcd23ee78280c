/**
 * Kubeconfigs: what is supported, what rotates, and a clear line for each thing that can be wrong.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { UserError } from '../../src/lib/errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-kubeconfig-'))
afterAll(() => rmSync(folder, { recursive: true }))

const PEM = btoa('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
let count = 0

function config(change: { cluster?: object; user?: object | null; top?: object } = {}): string {
  const file = join(folder, `config-${count++}`)
  const user = change.user === undefined ? { token: 'abc' } : change.user
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: 'https://192.0.2.1:6443', ...change.cluster } }],
    users: user === null ? [] : [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', ...(user === null ? {} : { user: 'u' }) } }],
    'current-context': 'x',
    ...change.top,
  }
  writeFileSync(file, Bun.YAML.stringify(document))
  return file
}

test('a token, a CA and a name for TLS', async () => {
  const file = config({ cluster: { 'certificate-authority-data': PEM, 'tls-server-name': 'kubernetes' } })
  const kubeconfig = loadKubeconfig(file)
  expect(kubeconfig.server).toBe('https://192.0.2.1:6443')
  expect(await kubeconfig.credentials()).toEqual({
    headers: { Authorization: 'Bearer abc' },
    tls: { ca: atob(PEM), rejectUnauthorized: true, serverName: 'kubernetes' },
  })
})

test('client certificates from data and from files beside the config', async () => {
  writeFileSync(join(folder, 'client.crt'), 'CRT')
  const file = config({ user: { 'client-certificate': 'client.crt', 'client-key-data': PEM } })
  expect((await loadKubeconfig(file).credentials()).tls).toEqual({
    cert: 'CRT',
    key: atob(PEM),
    rejectUnauthorized: true,
  })
})

test('a server without TLS, one without verification, one without a user', async () => {
  const plain = loadKubeconfig(config({ cluster: { server: 'http://127.0.0.1:8080' } }))
  expect(await plain.credentials()).toEqual({ headers: { Authorization: 'Bearer abc' } })
  const lax = loadKubeconfig(config({ cluster: { 'insecure-skip-tls-verify': true } }))
  expect((await lax.credentials()).tls).toEqual({ rejectUnauthorized: false })
  const anonymous = loadKubeconfig(config({ cluster: { 'certificate-authority-data': PEM }, user: null }))
  expect(await anonymous.credentials()).toEqual({ headers: {}, tls: { ca: atob(PEM), rejectUnauthorized: true } })
})

test('a token file is read again when it changes, and wins over a token', async () => {
  writeFileSync(join(folder, 'token'), 'first\n')
  const kubeconfig = loadKubeconfig(config({ user: { token: 'static', tokenFile: 'token' } }))
  expect((await kubeconfig.credentials()).headers.Authorization).toBe('Bearer first')
  writeFileSync(join(folder, 'token'), 'second one\n')
  expect((await kubeconfig.credentials()).headers.Authorization).toBe('Bearer second one')
})

test('a kubeconfig that is replaced is taken over; a broken one is not', async () => {
  const file = config()
  const kubeconfig = loadKubeconfig(file)
  writeFileSync(file, await Bun.file(config({ user: { token: 'renewed' } })).text())
  expect((await kubeconfig.credentials()).headers.Authorization).toBe('Bearer renewed')
  writeFileSync(file, 'apiVersion: [')
  expect((await kubeconfig.credentials()).headers.Authorization).toBe('Bearer renewed')
})

test('an exec plugin gives the token', async () => {
  const answer = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'by-plugin' },
  }
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'echo', args: [JSON.stringify(answer)] }
  expect((await loadKubeconfig(config({ user: { exec } })).credentials()).headers).toEqual({
    Authorization: 'Bearer by-plugin',
  })
})

test('a name and password', async () => {
  const kubeconfig = loadKubeconfig(config({ user: { username: 'me', password: 'pw' } }))
  expect((await kubeconfig.credentials()).headers.Authorization).toBe(`Basic ${btoa('me:pw')}`)
})

function written(text: string): string {
  const file = join(folder, `text-${count++}`)
  writeFileSync(file, text)
  return file
}

test.each<[string, () => string, string]>([
  ['a missing file', () => join(folder, 'nowhere'), 'there is no such file'],
  ['a folder', () => folder, 'cannot be read'],
  ['broken YAML', () => written('clusters: [}'), 'it is not YAML'],
  ['a key that stands twice', () => written('kind: Config\nkind: Config'), 'duplicated mapping key'],
  ['another document', () => written('kind: Pod'), 'it is not a kubeconfig (expected kind: Config, found Pod)'],
  ['a text', () => written('hello'), 'it is not a kubeconfig'],
  ['no current context', () => config({ top: { 'current-context': '' } }), 'it has no current-context'],
  [
    'a context that is not there',
    () => config({ top: { 'current-context': 'y' } }),
    'its current-context "y" is not among',
  ],
  [
    'a cluster that is not there',
    () => config({ top: { clusters: [] } }),
    'context x names the cluster "c", which it does not have',
  ],
  [
    'a user that is not there',
    () => config({ top: { users: [] } }),
    'context x names the user "u", which it does not have',
  ],
  ['no server', () => config({ cluster: { server: '' } }), 'it is not complete: clusters[0].cluster.server is missing'],
  ['a server that is no URL', () => config({ cluster: { server: 'api:6443' } }), 'is not an http(s) URL'],
  ['a missing CA', () => config({ cluster: { 'certificate-authority': 'no-ca.crt' } }), 'its certificate-authority /'],
  [
    'a CA that is no PEM',
    () => config({ cluster: { 'certificate-authority-data': 'AAAA' } }),
    'is not the base64 of a PEM file',
  ],
  [
    'a missing certificate',
    () => config({ user: { 'client-certificate': 'x', 'client-key': 'y' } }),
    'its client-certificate /',
  ],
  ['a missing token file', () => config({ user: { tokenFile: 'no-token' } }), 'its tokenFile /'],
  ['contexts that are no list', () => config({ top: { contexts: {} } }), 'it is malformed: contexts is not a list'],
  ['an entry that is nothing', () => config({ top: { contexts: [null] } }), 'it is malformed: contexts[0] is no map'],
  ['a server that is a number', () => config({ cluster: { server: 7 } }), 'clusters[0].cluster.server is not a text'],
  ['a token that is a map', () => config({ user: { token: {} } }), 'users[0].user.token is not a text'],
  ['a token of two lines', () => config({ user: { token: 'a\nHost: b' } }), 'users[0].user.token is more than a line'],
  ['a name that is a map', () => config({ cluster: { 'tls-server-name': {} } }), 'tls-server-name is not a text'],
  ['a program without a name', () => config({ user: { exec: 7 } }), 'users[0].user.exec names no command'],
  ['a SOCKS proxy', () => config({ cluster: { 'proxy-url': 'socks5://x' } }), 'SOCKS proxies are not supported'],
])('%s is one clear line', (_, file, message) => {
  let caught: unknown
  try {
    loadKubeconfig(file())
  } catch (error) {
    caught = error
  }
  if (!(caught instanceof UserError)) throw new Error(`no UserError: ${String(caught)}`)
  expect(caught.exitStatus).toBe(2)
  expect(caught.message).toContain(message)
  expect(caught.message).not.toContain('\n')
})

test('without a file and outside a pod there is no API server', () => {
  expect(() => loadKubeconfig(undefined)).toThrow('name a kubeconfig with --kubeconfig FILE')
})
