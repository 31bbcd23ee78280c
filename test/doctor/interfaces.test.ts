/**
 * `doctor` on a node whose pods sit on elastic network interfaces: the judgement, and a real node
 * of a VPC that somebody meddled with.
 */
import { afterEach, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InterfaceFacts } from '../../src/doctor/facts.ts'
import { managerOf } from '../../src/doctor/interface-managers.ts'
import { interfaceChecks } from '../../src/doctor/interfaces.ts'
import type { Check } from '../../src/doctor/verdicts.ts'
import { CloudNetwork } from '../eni/cloud-network.ts'
import { eniNodeOf } from '../eni/node-process.ts'
import { testNeeding } from '../support/requires.ts'

const WELL: InterfaceFacts = {
  mode: 'eni-ecs',
  addresses: 12,
  inUse: 3,
  waiting: 0,
  interfaces: [{ id: 'eni-1', mac: '00:16:3e:00:00:01', link: 'eth1' }],
  configured: [],
  managed: [],
  changes: [],
  nft: true,
  marked: true,
}

function bad(facts: Partial<InterfaceFacts>): string[] {
  return interfaceChecks({ ...WELL, ...facts })
    .filter(({ result }) => result !== 'ok')
    .map(({ name, result, detail }) => `${name}: ${result}: ${detail}`)
}

test('what is wrong is named, and nothing where all is well', () => {
  expect(bad({})).toEqual([])
  expect(bad({ waiting: 2 })).toEqual(['addresses of interfaces: warning: mode eni-ecs: 3 of 12 in use, 2 pods wait'])
  expect(bad({ shortage: 'VSwitchFull: vsw-1 has no free address' })[0]).toContain('vsw-1 has no free address')
  expect(bad({ interfaces: [{ id: 'eni-1', mac: '00:16:3e:00:00:01' }] })[0]).toContain('not among the links')
  expect(bad({ configured: [{ link: 'eth1', address: '192.168.32.10/19', by: 'NetworkManager' }] })[0]).toContain(
    'eth1 was given 192.168.32.10/19 by NetworkManager',
  )
  expect(bad({ changes: ['the rule 512: from all lookup 512 is missing'] })[0]).toContain('policy routes: problem')
  expect(bad({ managed: [{ link: 'eth1', by: 'dhclient' }] })).toEqual([
    'who configures interfaces: warning: dhclient looks after eth1',
  ])
  expect(bad({ marked: false })[0]).toContain('terway-edge-eni is missing')
})

test('who looks after an interface is read from what each program keeps', () => {
  const by = (files: Readonly<Record<string, string>>) => managerOf({ index: 3, name: 'eth1' }, path => files[path])
  const link = '/run/systemd/netif/links/3'
  expect(by({})).toBeUndefined()
  expect(by({ [link]: 'ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-eth1.network\n' })).toBe(
    'systemd-networkd (/run/systemd/network/10-netplan-eth1.network, of netplan)',
  )
  expect(by({ [link]: 'ADMIN_STATE=unmanaged\nNETWORK_FILE=/etc/systemd/network/05-terway-edge-eni.network\n' })).toBe(
    undefined,
  )
  expect(by({ '/run/NetworkManager/devices/3': '[device]\nconnection-uuid=1\n' })).toBe('NetworkManager')
  expect(by({ '/run/NetworkManager/devices/3': '[device]\nmanaged=false\n' })).toBeUndefined()
  expect(by({ '/run/dhclient-eth1.pid': '9' })).toBe('dhclient')
  const ifupdown = { '/run/network/ifstate': 'lo=lo\neth1=eth1\n' }
  expect(by(ifupdown)).toBe('ifupdown')
  expect(by({ ...ifupdown, '/etc/network/interfaces.d/50-cloud-init': 'auto eth0 eth1\niface eth1 inet dhcp\n' })).toBe(
    'ifupdown (/etc/network/interfaces.d/50-cloud-init, of cloud-init)',
  )
})

let cloud: CloudNetwork | undefined
afterEach(async () => {
  await cloud?.close()
  cloud = undefined
})

testNeeding('root', 'ip', 'nft')(
  'a real node: pods attached, an address on an interface, a rule that is gone',
  async () => {
    cloud = new CloudNetwork()
    const { node1: node, network } = cloud
    const { metadata, spec, status } = eniNodeOf(node)
    writeFileSync(join(node.stateDir, 'eni-node.json'), JSON.stringify({ metadata, spec, status }))
    node.writePool()
    const pod = await node.startPod('a')
    network.ip(node.namespace, 'addr add 192.168.32.99/19 dev eth1')
    network.ip(node.namespace, `rule del from ${pod.address} pref 2048`)
    node.detach(1)
    const words = ['doctor', '-o', 'json', '--state', node.stateDir, '--node', node.name]
    const said = network.exec(node.namespace, [process.execPath, 'src/main.ts', ...words], { mayFail: true })
    expect(said.status).toBe(3)
    const checks: Check[] = JSON.parse(said.stdout).checks
    const detail = (name: string) => checks.find(check => check.name === name)?.detail
    expect(detail('addresses of interfaces')).toBe('mode eni-ecs: 2 of 6 in use')
    expect(detail('interfaces')).toContain('eni-node-1-2 (00:16:3e:00:01:02) is not among the links')
    expect(detail('who configures interfaces')).toContain('eth1 was given 192.168.32.99/19 by somebody')
    expect(detail('policy routes')).toContain(`the rule 2048: from ${pod.address}/32 lookup`)
    expect(detail('NodePorts of local pods')).toContain('terway-edge-eni is missing')
    expect(detail('pod CIDRs')).toBeUndefined() // it has none, and needs none
  },
  300_000,
)
