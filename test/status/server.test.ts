/**
 * The server on real ports of loopback: streams that end, ports that are taken, protection that is
 * missing, client certificates.
 */
import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorText, UserError } from '../../src/lib/errors.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { readStatusCredentials } from '../../src/status/credentials.ts'
import { type StatusServer, type StatusServerOptions, startStatusServer } from '../../src/status/server.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { eventually, run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { controllerSnapshot, SampleSource } from './sample.ts'

const open: StatusServer[] = []
const folders: string[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function start(changes: Partial<StatusServerOptions> = {}) {
  const source = new SampleSource(controllerSnapshot({ version: 'a' }))
  const server = startStatusServer({ ...source, listen: '127.0.0.1:0', log: silentLog, ...changes })
  open.push(server)
  return { server, source }
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'terway-edge-status-'))
  folders.push(path)
  return path
}

function refusal(changes: Partial<StatusServerOptions>): UserError {
  try {
    start(changes)
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  throw new Error('the server started')
}

/** Reads a stream until `until` is in it. */
async function readUntil(
  reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> },
  until: string,
): Promise<string> {
  let text = ''
  while (!text.includes(until)) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`the stream ended: ${text}`)
    text += new TextDecoder().decode(value)
  }
  return text
}

test('port 0 takes a free one, and the page, data and probes answer there', async () => {
  const { server } = start()
  expect(server.port).toBeGreaterThan(0)
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`)
  for (const path of ['/', '/api/v1/snapshot', '/metrics', '/healthz', '/readyz']) {
    const response = await fetch(server.url + path)
    expect([path, response.status]).toEqual([path, 200])
    expect((await response.text()).length).toBeGreaterThan(0)
  }
})

test('the stream follows changes, notices that its reader left, and ends when the server closes', async () => {
  const { server, source } = start()
  const leaver = new AbortController()
  const responses = [
    await fetch(`${server.url}/api/v1/events`),
    await fetch(`${server.url}/api/v1/events`, { signal: leaver.signal }),
  ]
  expect(responses[0]?.headers.get('content-type')).toStartWith('text/event-stream')
  const readers = responses.map(response => {
    if (response.body === null) throw new Error('no body')
    return response.body.getReader()
  })
  for (const reader of readers) expect(await readUntil(reader, '\n\n')).toContain('retry: 2000\n\n')
  source.change({ version: 'b' })
  for (const reader of readers) await readUntil(reader, '"version":"b"')
  leaver.abort()
  const [stays] = readers
  if (stays === undefined) throw new Error('no reader')
  source.change({ version: 'c' })
  await readUntil(stays, '"version":"c"')
  await server.close()
  const rest = await stays.read().catch(() => ({ done: true }))
  expect(rest.done).toBe(true)
  await eventually('nobody listens for changes', () => source.listeners === 0)
  expect(await fetch(`${server.url}/healthz`).catch(() => 'closed')).toBe('closed')
})

test('readers that leave make room for others', async () => {
  const { server, source } = start()
  for (let round = 0; round < 40; round++) {
    const response = await fetch(`${server.url}/api/v1/events`)
    expect([round, response.status]).toEqual([round, 200])
    await response.body?.cancel()
    if (round % 8 === 7) await eventually('the readers left', () => source.listeners === 0)
  }
})

test('one stream too many gets 503', async () => {
  const { server } = start()
  const streams = await Promise.all(Array.from({ length: 33 }, () => fetch(`${server.url}/api/v1/events`)))
  expect(streams.filter(({ status }) => status === 503).length).toBe(1)
  expect(streams.filter(({ status }) => status === 200).length).toBe(32)
  for (const { body } of streams) await body?.cancel()
})

test('a reader that stops reading costs no queue: it gets the newest when it reads on', async () => {
  const clock = new FakeClock()
  const { server, source } = start({ clock })
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  socket.pause()
  await eventually('the stream is open', () => source.listeners === 1)
  const filler = 'x'.repeat(500_000)
  for (let change = 1; change <= 200; change++) {
    source.change({ version: `v${change}-${filler}` })
    await clock.advance(250)
    if (change % 10 === 0) await Bun.sleep(1)
  }
  let text = ''
  socket.setEncoding('latin1').on('data', chunk => {
    text += chunk
  })
  socket.resume()
  await eventually('the newest arrives', () => text.includes('"version":"v200-'))
  expect(text.match(/event: snapshot/g)?.length).toBeLessThan(50)
  socket.destroy()
})

test('a port in use is named, with what to do; exit status 1', () => {
  const { server } = start()
  const error = refusal({ listen: `127.0.0.1:${server.port}` })
  expect(error.exitStatus).toBe(1)
  expect(error.message).toContain(`port ${server.port} is in use`)
  expect(error.message).toContain('--status-listen')
})

test('an address that is not ours is named; exit status 1', () => {
  const error = refusal({ listen: '192.0.2.7:0', token: new Secret('0123456789abcdef') })
  expect([error.exitStatus, error.message.includes('does not have the address 192.0.2.7')]).toEqual([1, true])
})

test('the network gets nothing without a token or client certificates; exit status 2', () => {
  for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.7:9179']) {
    const error = refusal({ listen })
    expect([listen, error.exitStatus, error.message.includes('status.tokenFile')]).toEqual([listen, 2, true])
  }
  const plainTls = refusal({ listen: '0.0.0.0:0', tls: { cert: '', key: new Secret('') } })
  expect(plainTls.exitStatus).toBe(2)
  expect(refusal({ listen: 'nonsense' }).message).toContain('is not ADDR:PORT')
})

test('a wildcard address with a token answers those who have it', async () => {
  const token = '0123456789abcdef'
  const { server } = start({ listen: '0.0.0.0:0', token: new Secret(token) })
  const url = `http://127.0.0.1:${server.port}/api/v1/snapshot`
  expect((await fetch(url)).status).toBe(401)
  expect((await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
})

test('credential files that cannot serve are refused, each by its name', () => {
  const path = folder()
  writeFileSync(`${path}/short`, 'abc\n')
  writeFileSync(`${path}/good`, '  0123456789abcdef0123\n')
  const failure = (read: () => unknown) => {
    try {
      read()
      return 'none'
    } catch (error) {
      return error instanceof UserError ? `${error.exitStatus} ${errorText(error)}` : 'another error'
    }
  }
  expect(failure(() => readStatusCredentials({ tokenFile: `${path}/none` }))).toStartWith(
    '2 status.tokenFile: cannot read',
  )
  expect(failure(() => readStatusCredentials({ tokenFile: `${path}/short` }))).toContain('openssl rand -hex 32')
  expect(
    failure(() => readStatusCredentials({ tls: { certificate: `${path}/none`, key: `${path}/none` } })),
  ).toStartWith('2 status.tls.certificate')
  expect(readStatusCredentials({ tokenFile: `${path}/good` }).token?.reveal()).toBe('0123456789abcdef0123')
})

testNeeding('openssl')('with a client CA only a client that it signed gets in, without any token', async () => {
  const path = folder()
  const openssl = (command: string) => run(['openssl', ...command.split(' ')])
  for (const name of ['server', 'client', 'stranger']) {
    const ca = `${path}/${name}-ca`
    openssl(
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name}-ca -keyout ${ca}.key -out ${ca}.crt`,
    )
    openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name} -addext subjectAltName=IP:127.0.0.1 -keyout ${path}/${name}.key -out ${path}/${name}.csr`,
    )
    openssl(
      `x509 -req -in ${path}/${name}.csr -CA ${ca}.crt -CAkey ${ca}.key -days 2 -copy_extensions copy -out ${path}/${name}.crt`,
    )
  }
  const text = (name: string) => readFileSync(`${path}/${name}`, 'utf8')
  const { tls } = readStatusCredentials({
    tls: { certificate: `${path}/server.crt`, key: `${path}/server.key`, clientCA: `${path}/client-ca.crt` },
  })
  const { server } = start({ tls, listen: '0.0.0.0:0' })
  const ask = async (client?: string) => {
    const own = client === undefined ? {} : { cert: text(`${client}.crt`), key: text(`${client}.key`) }
    const options = { tls: { ca: text('server-ca.crt'), ...own }, keepalive: false }
    return fetch(`https://127.0.0.1:${server.port}/api/v1/snapshot`, options).then(
      response => response.status,
      () => 'refused',
    )
  }
  expect(server.url).toStartWith('https://')
  expect([await ask('client'), await ask('stranger'), await ask()]).toEqual([200, 'refused', 'refused'])
})
