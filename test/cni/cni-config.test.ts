/**
 * What the node agent writes into the CNI folder is what the plugin reads, as a runtime passes it
 * on.
 */
import { expect, test } from 'bun:test'
import { cniConfigText } from '../../src/agent/cni-config.ts'
import { decodeRequest } from '../../src/cni/decode.ts'
import type { Json } from './cni-node.ts'

const ADD = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0' }

test.each([
  { podCIDRs: ['10.0.1.0/25', 'fd00:1::/64'], mtu: 1450, stateDir: '/var/lib/other' },
  { podCIDRs: ['10.0.1.0/25'], stateDir: '/var/lib/terway-edge' },
])('%j', config => {
  const list: Json = JSON.parse(cniConfigText(config))
  const plugin: Json = list.plugins[0]
  // CNI 1.1.0 section 3: name and version of the list go to each plugin
  const { request } = decodeRequest(ADD, JSON.stringify({ ...plugin, name: list.name, cniVersion: list.cniVersion }))
  expect(request).toMatchObject({ command: 'ADD', config: { ...config, type: 'terway-edge' } })
  if (!('config' in request)) throw new Error('it was refused')
  expect(request.config.mtu).toBe(config.mtu)
})
