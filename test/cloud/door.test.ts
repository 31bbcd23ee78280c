/**
 * The door to the cloud against the simulated one over HTTP, from source and compiled as the
 * executable is: the two load its library differently. Signatures are checked by the simulator's
 * own verifier.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CloudAnswer } from '../../src/cloud/cloud-api.ts'
import { classOf, createCredentialSource } from '../../src/cloud/credentials.ts'
import { type Serving, serveCloud } from '../../src/cloudsim/serve.ts'
import type { Fault } from '../../src/cloudsim/types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { compile } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { KEY, REGION, simulator } from './world.ts'

const STS = { id: 'STS.x', secret: 's', securityToken: 'token/+=' }
const POOR = { id: 'LTAI-poor', secret: 's', allowed: new Set(['ecs:DescribeNetworkInterfaces']) }
const folder = mkdtempSync(join(tmpdir(), 'te-door-'))
const sim = simulator(systemClock, { accessKeys: [KEY, STS, POOR] })
let serving: Serving | undefined

beforeAll(async () => {
  serving = await serveCloud(sim, { hostname: '127.0.0.1', port: 0 })
  compile(join(folder, 'door'), ['test/cloud/door-program.ts'])
}, 300_000)

afterAll(async () => {
  await serving?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function run(how: 'source' | 'compiled', wish: object): Promise<readonly CloudAnswer[]> {
  const program = how === 'source' ? [process.execPath, 'test/cloud/door-program.ts'] : [join(folder, 'door')]
  const endpoint = `127.0.0.1:${serving?.port}`
  const keys = { id: KEY.id, secret: KEY.secret }
  const child = Bun.spawn([...program, JSON.stringify({ endpoint, keys, ...wish })], { stdout: 'pipe', stderr: 'pipe' })
  const [text, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(errors)
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as CloudAnswer)
}

const CREATE = {
  action: 'ecs:CreateNetworkInterface',
  parameters: {
    RegionId: REGION,
    VSwitchId: 'vsw-1',
    'SecurityGroupIds.1': 'sg-1',
    'Tag.1.Key': 'creator',
    'Tag.1.Value': "a*b~c'(d)!é/+ &=",
    SecondaryPrivateIpAddressCount: '9',
    SourceDestCheck: 'false',
  },
  token: 'token-1',
}
const DESCRIBE = { action: 'ecs:DescribeNetworkInterfaces', parameters: { RegionId: REGION, MaxResults: '10' } }

for (const how of ['source', 'compiled'] as const) {
  test(`${how}: signs, sends lists and odd characters, and a repeat with the same token makes nothing new`, async () => {
    const before = sim.world.interfaces.size
    const [first, again] = await run(how, { calls: [CREATE, CREATE].map(call => ({ ...call, token: `token-${how}` })) })
    if (first?.kind !== 'ok' || again?.kind !== 'ok') throw new Error(JSON.stringify([first, again]))
    expect(first.body).toEqual(again.body)
    expect(sim.world.interfaces.size).toBe(before + 1)
    const made = [...sim.world.interfaces.values()].at(-1)
    expect(made).toMatchObject({ sourceDestCheck: false, tags: { creator: "a*b~c'(d)!é/+ &=" } })
    expect(made?.ipv4.length).toBe(10)
  })

  test(`${how}: signs lists of more than nine`, async () => {
    const list = Object.fromEntries(
      Array.from({ length: 32 }, (_, at) => [`PrivateIpAddress.${at + 1}`, `10.0.0.${at}`]),
    )
    const parameters = { RegionId: REGION, NetworkInterfaceId: 'eni-none', ...list }
    expect(await run(how, { calls: [{ action: 'ecs:UnassignPrivateIpAddresses', parameters }] })).toMatchObject([
      { kind: 'refused', code: 'InvalidEniId.NotFound' },
    ])
  })

  test(`${how}: a refusal has its code, wrong keys are refused, temporary ones work`, async () => {
    const wrong = { ...CREATE, parameters: { ...CREATE.parameters, VSwitchId: 'vsw-none' }, token: '' }
    expect(await run(how, { calls: [wrong] })).toMatchObject([
      { kind: 'refused', code: 'InvalidVSwitchId.NotFound', httpStatus: 404 },
    ])
    expect(await run(how, { calls: [DESCRIBE], keys: { id: KEY.id, secret: 'other' } })).toMatchObject([
      { kind: 'refused', code: 'SignatureDoesNotMatch' },
    ])
    expect(await run(how, { calls: [DESCRIBE], keys: { id: 'STS.x', secret: 's', token: 'token/+=' } })).toMatchObject([
      { kind: 'ok' },
    ])
    expect(await run(how, { calls: [DESCRIBE, CREATE], keys: { id: 'LTAI-poor', secret: 's' } })).toMatchObject([
      { kind: 'ok' },
      { kind: 'refused', code: 'Forbidden.RAM', httpStatus: 403 },
    ])
  })

  test(`${how}: what is no clear answer is unknown, and is not repeated by itself`, async () => {
    const faults: (Fault | undefined)[] = [
      { kind: 'no-answer', effect: true },
      { kind: 'html', effect: true },
      { kind: 'refuse', code: 'InternalError', httpStatus: 500 },
      { kind: 'refuse', code: 'Throttling.User', httpStatus: 400, retryAfter: 2500 },
      undefined,
    ]
    let next = 0
    sim.fault = () => faults[next++]
    const call = { ...CREATE, token: `same-${how}` }
    const answers = await run(how, { calls: [call, call, call, call, call] })
    sim.fault = () => undefined
    expect(answers).toMatchObject([
      { kind: 'unknown' },
      { kind: 'unknown', reason: 'the answer is not JSON' },
      { kind: 'refused', code: 'InternalError', httpStatus: 500 },
      { kind: 'refused', code: 'Throttling.User', retryAfterSeconds: 3 },
      { kind: 'ok' },
    ])
    expect(next).toBe(5)
    expect(JSON.stringify(answers)).not.toContain(KEY.secret)
    const made = [...sim.world.interfaces.values()].filter(({ tags }) => tags.creator !== undefined)
    expect(new Set(made.map(({ id }) => id)).size).toBe(how === 'source' ? 2 : 4)
  })

  test(`${how}: silence ends in time, nobody there is said not to have been asked`, async () => {
    const server = await new Promise<Server>(resolve => {
      const quiet = createServer(() => {}).listen(0, '127.0.0.1', () => resolve(quiet))
    })
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const [silent] = await run(how, { calls: [DESCRIBE], endpoint: `127.0.0.1:${port}`, timeoutMilliseconds: 300 })
    expect(silent?.kind).toBe('unknown')
    server.close()
    expect((await run(how, { calls: [DESCRIBE], endpoint: '127.0.0.1:1' }))[0]?.kind).toBe('not-sent')
  })
}

test('the class of the library is found however it is exported', () => {
  class Library {}
  expect(classOf<typeof Library>(Library)).toBe(Library)
  expect(classOf<typeof Library>({ default: Library })).toBe(Library)
  expect(() => classOf({})).toThrow('does not export')
})

test('credentials: one question however many ask, at most one a minute, and old ones go on while none are given', async () => {
  const clock = new FakeClock()
  let asked = 0
  let works = true
  const read = async () => {
    asked++
    await Promise.resolve()
    if (!works) throw new Error('away')
    return { accessKeyID: `key-${asked}`, accessKeySecret: new Secret('s'), securityToken: undefined }
  }
  const source = createCredentialSource({ from: 'keys', read }, clock)
  const got = await Promise.all([source.get(), source.get(), source.get()])
  expect(new Set(got.map(({ accessKeyID }) => accessKeyID))).toEqual(new Set(['key-1']))
  await source.get()
  expect(asked).toBe(1)
  works = false
  await clock.advance(61_000)
  expect((await source.get()).accessKeyID).toBe('key-1')
  expect((await source.get()).accessKeyID).toBe('key-1')
  expect(asked).toBe(2)
  works = true
  await clock.advance(61_000)
  expect((await source.get()).accessKeyID).toBe('key-3')
  const never = createCredentialSource({ from: 'keys', read: () => Promise.reject(new Error('none')) }, clock)
  expect(never.get()).rejects.toThrow('none')
})
