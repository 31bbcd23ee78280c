/**
 * Credentials that are asked for: the RAM role of an instance by its metadata service, and a role
 * by the token of a service account (RRSA) of the security token service; from source and compiled,
 * each against the simulated services at their own addresses.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CloudAnswer } from '../../src/cloud/cloud-api.ts'
import { compile } from '../support/build.ts'
import { eventually, run, TestNetwork } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { REGION } from './world.ts'

const NEEDS = ['root', 'ip', 'openssl']
const testServices = testNeeding(...NEEDS)
const folder = mkdtempSync(join(tmpdir(), 'te-credentials-'))
const network = new TestNetwork()
let namespace = ''
let servers: Bun.Subprocess<'pipe', 'pipe', 'inherit'> | undefined
const lines: string[] = []

beforeAll(async () => {
  if (missing(NEEDS).length > 0) return
  namespace = network.namespace('controller')
  network.ip(namespace, 'link set lo up')
  network.ip(namespace, 'addr add 100.100.100.200/32 dev lo')
  const subject = ['-subj', '/CN=sts', '-addext', 'subjectAltName=IP:127.0.0.1']
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files])
  writeFileSync(join(folder, 'token'), 'the first token')
  compile(join(folder, 'door'), ['test/cloud/door-program.ts'])
  servers = Bun.spawn(inside([process.execPath, 'test/cloud/credential-servers.ts', folder]), {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const { stdout } = servers
  void (async () => {
    for await (const chunk of stdout.pipeThrough(new TextDecoderStream()))
      lines.push(...chunk.split('\n').filter(Boolean))
  })()
  await eventually('the services are up', () => lines.includes('ready'), 30)
}, 300_000)

afterAll(async () => {
  servers?.kill('SIGKILL')
  await servers?.exited
  await network.close()
  rmSync(folder, { recursive: true, force: true })
})

function inside(command: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', namespace, ...command]
}

/** What was asked of the services so far. */
async function asked(): Promise<{ metadata: string[]; sts: string[] }> {
  const before = lines.length
  servers?.stdin.write('\n')
  await servers?.stdin.flush()
  await eventually('they tell', () => lines.length > before)
  return JSON.parse(lines[before] ?? '')
}

const DESCRIBE = { action: 'ecs:DescribeNetworkInterfaces', parameters: { RegionId: REGION, MaxResults: '10' } }

async function call(how: 'source' | 'compiled', wish: object): Promise<readonly CloudAnswer[]> {
  const program = how === 'source' ? [process.execPath, 'test/cloud/door-program.ts'] : [join(folder, 'door')]
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') }
  const words = JSON.stringify({ endpoint: '127.0.0.1:8080', calls: [DESCRIBE, DESCRIBE], ...wish })
  const child = Bun.spawn(inside([...program, words]), { env, stdout: 'pipe', stderr: 'pipe' })
  const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()])
  if ((await child.exited) !== 0) throw new Error(errors)
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as CloudAnswer)
}

const OIDC = {
  from: 'oidc',
  roleArn: 'acs:ram::1:role/terway-edge',
  oidcProviderArn: 'acs:ram::1:oidc-provider/c1',
  tokenFile: join(folder, 'token'),
  stsEndpoint: '127.0.0.1:8443',
}

for (const how of ['source', 'compiled'] as const) {
  testServices(
    `${how}: the RAM role of the instance, with a token of the metadata service alone, asked for once`,
    async () => {
      const before = (await asked()).metadata.length
      const answers = await call(how, { credentials: { from: 'ram-role' }, atOnce: 5 })
      expect(answers.filter(({ kind }) => kind === 'ok')).toHaveLength(7)
      const metadata = (await asked()).metadata.slice(before)
      const [service, role] = ['/latest/meta-data/ram/security-credentials/', 'node-role']
      expect(new Set(metadata)).toEqual(new Set(['PUT /latest/api/token', `GET ${service}`, `GET ${service}${role}`]))
      expect(metadata.filter(text => text === `GET ${service}${role}`).length).toBe(1)
    },
    300_000,
  )

  testServices(
    `${how}: a role by the token of a service account, which is read anew; a refused one shows no secret`,
    async () => {
      const before = (await asked()).sts.length
      writeFileSync(OIDC.tokenFile, `a token of ${how}`)
      const answers = await call(how, { credentials: OIDC, atOnce: 5 })
      expect(answers.filter(({ kind }) => kind === 'ok')).toHaveLength(7)
      expect((await asked()).sts.slice(before)).toEqual(['ok'])
      const stale = join(folder, `stale-${how}`)
      writeFileSync(stale, 'a token that has expired')
      const refused = await call(how, { credentials: { ...OIDC, tokenFile: stale } })
      expect(refused.map(({ kind }) => kind)).toEqual(['not-sent', 'not-sent'])
      expect(JSON.stringify(refused)).toContain('AuthenticationFail.OIDCToken.Expired')
      expect(JSON.stringify(refused)).not.toContain('a token that has expired')
      const [missing] = await call(how, { credentials: { ...OIDC, tokenFile: join(folder, 'none') } })
      expect(missing).toMatchObject({ kind: 'not-sent' })
      expect(JSON.stringify(missing)).toContain('ENOENT')
    },
    300_000,
  )
}
