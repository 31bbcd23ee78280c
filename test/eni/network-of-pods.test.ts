/** What the firewall of a node with elastic network interfaces is told of its pods. */
import { expect, test } from 'bun:test'
import { networkOfPods } from '../../src/eni/network-of-pods.ts'
import type { ENIInterface } from '../../src/kube/eni-node.ts'

const eni = (...addresses: readonly string[]) => ({ addresses, releasing: ['10.0.0.9'] }) as unknown as ENIInterface

test('the ranges of the VPC, else the addresses that pods can have; nothing while there are neither', () => {
  const interfaces = [eni('10.0.0.5', 'fd00::5'), eni('10.0.0.6')]
  expect(networkOfPods({ vpcCIDRs: ['10.0.0.0/8'], interfaces })?.podCIDRs).toEqual(['10.0.0.0/8'])
  expect(networkOfPods({ vpcCIDRs: [], interfaces })).toEqual({
    podCIDRs: ['10.0.0.5/32', 'fd00::5/128', '10.0.0.6/32'],
    clusterPodCIDRs: [],
    controllers: [],
    nodeAddresses: [],
  })
  expect(networkOfPods({ vpcCIDRs: [], interfaces: [eni()] })).toBeUndefined()
  expect(networkOfPods({ vpcCIDRs: [], interfaces: undefined })).toBeUndefined()
})
