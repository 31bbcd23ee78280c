/**
 * The admission policies of config/admission.yaml, their CEL evaluated by an implementation of its
 * own: servers that have them are newer than the one that tests run.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { Environment } from '@marcbachmann/cel-js'
import { parseYamlDocuments } from '../../src/lib/yaml.ts'
import { nodeUser } from '../support/node-user.ts'

interface Policy {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly matchConditions: readonly { readonly expression: string }[]
    readonly variables?: readonly { readonly name: string; readonly expression: string }[]
    readonly validations: readonly { readonly expression: string; readonly message: string }[]
  }
}

const policies = parseYamlDocuments(readFileSync('config/admission.yaml', 'utf8'), 'admission.yaml') as Policy[]

class Allowed {
  readonly secrets: readonly string[]
  readonly name: string
  constructor(secrets: readonly string[], name = '') {
    this.secrets = secrets
    this.name = name
  }
}

/** The messages of what a policy refuses. */
function refusals(
  policy: string,
  request: { user: string; groups?: string[]; object: object; oldObject?: object; secrets?: string[] },
) {
  const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
    .registerType('Allowed', { ctor: Allowed, fields: {} })
    .registerFunction('Allowed.group(string): Allowed', (self: Allowed) => self)
    .registerFunction('Allowed.resource(string): Allowed', (self: Allowed) => self)
    .registerFunction('Allowed.namespace(string): Allowed', (self: Allowed) => self)
    .registerFunction('Allowed.name(string): Allowed', (self: Allowed, name: string) => new Allowed(self.secrets, name))
    .registerFunction('Allowed.check(string): Allowed', (self: Allowed) => self)
    .registerFunction('Allowed.allowed(): bool', (self: Allowed) => self.secrets.includes(self.name))
  const { spec } =
    policies.find(({ kind, metadata }) => kind === 'ValidatingAdmissionPolicy' && metadata.name === policy) ?? fail()
  const variables: Record<string, unknown> = {}
  const context = {
    object: request.object,
    oldObject: request.oldObject ?? null,
    request: {
      userInfo: { username: request.user, groups: request.groups ?? ['system:serviceaccounts:terway-edge-nodes'] },
    },
    authorizer: new Allowed(request.secrets ?? []),
    variables,
  }
  const holds = (expression: string) => environment.evaluate(expression, context) === true
  if (!spec.matchConditions.every(({ expression }) => holds(expression))) return 'not asked'
  for (const { name, expression } of spec.variables ?? []) variables[name] = environment.evaluate(expression, context)
  return spec.validations.filter(({ expression }) => !holds(expression)).map(({ message }) => message)
}

function fail(): never {
  throw new Error('no such policy')
}

const entry = (node: string, state = 'Established') => ({ node, state })
const peer = (speakers: object[], rest: object = {}) => ({ status: { speakers, sessions: '1/2', ...rest } })

test('a node writes its own entry of the status, and nothing else', () => {
  const write = (object: object, oldObject: object = peer([entry('a'), entry('b')])) =>
    refusals('terway-edge-node-status', { user: nodeUser('a'), object, oldObject })
  expect(write(peer([entry('a', 'Idle'), entry('b')]))).toEqual([])
  expect(write(peer([entry('b')]))).toEqual([])
  expect(write(peer([entry('a'), entry('b')]), { spec: {} })).toEqual([
    'a node writes its own entry of status.speakers, not that of another',
    "sessions and prefixes are the controller's",
  ])
  expect(write(peer([entry('a')]))).toEqual(['a node writes its own entry of status.speakers, not that of another'])
  expect(write(peer([entry('a'), entry('b', 'Idle')]))).toHaveLength(1)
  expect(write(peer([entry('a'), entry('b'), entry('c')]))).toHaveLength(1)
  expect(write(peer([entry('a'), entry('b')], { conditions: [{ type: 'Accepted' }] }))).toEqual([
    "the conditions are the controller's",
  ])
  expect(write(peer([entry('a'), entry('b')], { selectedNodes: ['x'] }))).toHaveLength(1)
  expect(write(peer([entry('a'), entry('b')], { prefixes: 7 }))).toHaveLength(1)
  expect(
    refusals('terway-edge-node-status', { user: 'x', groups: ['system:masters'], object: {}, oldObject: {} }),
  ).toBe('not asked')
})

test('a node tells of BGPPeers and of itself, in its own name', () => {
  const event = (kind: string, name: string, host = 'a') => ({ involvedObject: { kind, name }, source: { host } })
  const write = (object: object, oldObject?: object) =>
    refusals('terway-edge-node-events', { user: nodeUser('a'), object, ...(oldObject && { oldObject }) })
  expect(write(event('BGPPeer', 'lan'))).toEqual([])
  expect(write(event('Node', 'a'), event('Node', 'a'))).toEqual([])
  expect(write(event('Node', 'b'))).toEqual(['a node tells of BGPPeers and of itself, not of another node'])
  expect(write(event('Pod', 'a'))).toHaveLength(1)
  expect(write(event('BGPPeer', 'lan', 'b'))).toEqual(['an Event of a node names it as its source'])
  expect(write(event('BGPPeer', 'lan'), event('BGPPeer', 'lan', 'b'))).toHaveLength(1)
  expect(write({ regarding: { kind: 'BGPPeer' } })).not.toEqual([])
})

test('who aims a password at a device may read it', () => {
  const spec = (peerIP: string, name = 'bgp-secret') => ({
    spec: { peerIP, authPassword: { secretKeyRef: { name, key: 'password' } } },
  })
  const write = (object: object, oldObject?: object, secrets: string[] = []) =>
    refusals('terway-edge-password', { user: 'dev', object, secrets, ...(oldObject && { oldObject }) })
  expect(write(spec('172.16.0.1'), undefined, ['bgp-secret'])).toEqual([])
  expect(write(spec('198.51.100.1'), undefined, ['another'])).toHaveLength(1)
  expect(write(spec('198.51.100.1'), spec('172.16.0.1'))).toHaveLength(1)
  expect(write(spec('172.16.0.1', 'other'), spec('172.16.0.1'))).toHaveLength(1)
  expect(write(spec('172.16.0.1'), spec('172.16.0.1'))).toBe('not asked')
  expect(write({ spec: { peerIP: '198.51.100.1' } })).toBe('not asked')
})
