/** Pods whose addresses are not of the node's podCIDRs are named; others are not. */
import { expect, test } from 'bun:test'
import type { AttachmentRecord } from '../../src/cni/attachments.ts'
import { strayPods } from '../../src/cni/stray-pods.ts'

function record(name: string, ...addresses: string[]): AttachmentRecord {
  return {
    containerId: `container-of-${name}`,
    interfaceName: 'eth0',
    attempt: '1',
    network: 'terway-edge',
    addresses,
    hostInterface: 'te0',
    namespacePath: '/run/netns/x',
    pod: { namespace: 'shop', name },
    bootId: 'b',
  }
}

test('a node that got other podCIDRs names the pods that nobody routes to', () => {
  const records = [
    record('old', '10.0.0.5', 'fd00::5'),
    record('new', '10.0.1.5'),
    record('half', '10.0.1.6', 'fd00::6'),
  ]
  const text = strayPods(records, ['10.0.1.0/25', 'fd01::/121'])
  expect(text).toContain("not of this node's pod CIDRs (10.0.1.0/25, fd01::/121)")
  expect(text).toContain('shop/old (10.0.0.5, fd00::5), shop/half (fd00::6); delete them')
  expect(strayPods([record('new', '10.0.1.5')], ['10.0.1.0/25'])).toBeUndefined()
  expect(strayPods(records, [])).toBeUndefined()
  const many = Array.from({ length: 8 }, (_, index) => record(`p${index}`, `10.9.0.${index}`))
  expect(strayPods(many, ['10.0.1.0/25'])).toContain('and 3 more')
  const onInterface = { ...record('eni', '192.168.0.5'), interface: { id: 'eni-1', mac: '00:16:3e:00:00:01' } }
  expect(strayPods([onInterface], ['10.0.1.0/25'])).toBeUndefined()
})
