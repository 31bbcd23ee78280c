/** What is kept of an ENINode tells whether somebody else has written the controller's part. */
import { expect, test } from 'bun:test'
import { type ControllerPart, digestOf, seenENINode } from '../../src/eni/seen-eni-node.ts'
import type { ENINodeObject } from '../../src/kube/eni-node.ts'

const spec = {
  platform: 'ecs',
  instanceID: 'i-1',
  regionID: 'cn-hangzhou',
  ipFamilies: ['IPv4'],
  limits: { interfaces: 3, addressesPerInterface: 15 },
}
const part = {
  interfaces: [
    {
      id: 'eni-1',
      mac: '00:16:3e:00:00:01',
      vSwitchID: '',
      state: 'InUse',
      gateways: ['192.168.63.253'],
      addresses: ['192.168.32.10', 'fd00::1'],
      releasing: [],
    },
  ],
  operations: [
    {
      action: 'AssignPrivateIpAddresses',
      parameters: { RegionId: 'r', A: '1' },
      token: '',
      since: '2026-01-01T00:00:00Z',
    },
  ],
  conditions: [
    { type: 'CloudAccess', status: 'True', reason: 'Ok', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ],
} satisfies ControllerPart

/** As an API server gives it back: fields in another order, empty texts and lists left out. */
function stored(status: object): ENINodeObject {
  const metadata = { name: 'node-1', uid: 'u-1', resourceVersion: '7', labels: { some: 'label' } }
  return { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'ENINode', metadata, spec, status }
}
const [eni] = part.interfaces
const [operation] = part.operations
const asStored = {
  conditions: [{ ...part.conditions[0], message: undefined, lastTransitionTime: '2026-02-02T00:00:00Z' }],
  interfaces: [{ ...eni, vSwitchID: undefined, releasing: undefined, addresses: ['192.168.32.10', 'FD00:0::1'] }],
  operations: [{ ...operation, token: undefined, parameters: { A: '1', RegionId: 'r' } }],
}

test('what was written is known again, whatever the API server makes of its spelling', () => {
  const seen = seenENINode(stored({ ...asStored, node: { inUse: 3 } }))
  expect(seen.status.digest).toBe(digestOf(part))
  expect(seen.status).toMatchObject({ interfaceIDs: ['eni-1'], node: { inUse: 3, waiting: 0 } })
  expect(seen.metadata).toEqual({ name: 'node-1', uid: 'u-1', resourceVersion: '7' })
  expect(JSON.stringify(seen)).not.toContain('192.168.32.10')
})

test.each<[string, object]>([
  ['an address more', { interfaces: [{ ...eni, addresses: [...(eni?.addresses ?? []), '192.168.32.11'] }] }],
  ['an address that leaves', { interfaces: [{ ...eni, releasing: ['192.168.32.10'] }] }],
  ['another state', { interfaces: [{ ...eni, state: 'Detaching' }] }],
  ['another gateway', { interfaces: [{ ...eni, gateways: ['192.168.63.252'] }] }],
  ['an interface less', { interfaces: [] }],
  ['another parameter', { operations: [{ ...operation, parameters: { RegionId: 'r', A: '2' } }] }],
  ['a record less', { operations: [] }],
  ['another condition', { conditions: [{ ...part.conditions[0], status: 'False' }] }],
])('%s is seen', (_what, changed) => {
  expect(seenENINode(stored({ ...asStored, ...changed })).status.digest).not.toBe(digestOf(part))
})

test('an object of no use has no spec, and names nothing', () => {
  const { spec: none, status } = seenENINode({ ...stored({}), spec: { platform: 'moon' } })
  expect([none, status.interfaceIDs]).toEqual([undefined, []])
})
