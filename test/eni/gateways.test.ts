/**
 * Which gateway an interface has: the metadata service's word, the controller's, the primary's; and
 * what is kept of it without that service.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewaySource } from '../../src/eni/gateway-source.ts'
import { gatewayByMask, gatewayDifferences, withGateways } from '../../src/eni/gateways.ts'
import { poolOf } from '../../src/eni/report.ts'
import type { ENINode } from '../../src/kube/eni-node.ts'
import { silentLog } from '../../src/lib/log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { NUMBERS } from './cloud-network.ts'

const MAC = '00:16:3e:00:00:01'

function node(gateways: readonly string[], addresses = ['172.20.1.12']): ENINode {
  return {
    name: 'ens-1',
    uid: 'uid-1',
    spec: {
      platform: 'ens',
      instanceID: 'i-1',
      instanceType: '',
      regionID: 'ens-1',
      zoneID: 'ens-1',
      vSwitchIDs: [],
      securityGroupIDs: [],
      ipFamilies: ['IPv4'],
      limits: { interfaces: 3, addressesPerInterface: 25 },
      pool: { minIdle: 0, maxIdle: 5, warmUp: 0 },
    },
    status: {
      interfaces: [{ id: 'eni-1', mac: MAC, vSwitchID: 'vsw-1', state: 'InUse', gateways, addresses, releasing: [] }],
      operations: [],
      node: undefined,
      conditions: [],
    },
  }
}

const gatewaysOf = (given: ENINode) => given.status.interfaces[0]?.gateways
const PRIMARY = [{ gateway: '172.20.1.250', onLink: ['172.20.1.0/24'] }]

test('the metadata service wins, then the controller, then the primary interface of the same network', () => {
  const said = new Map([[MAC, ['172.20.1.254']]])
  expect(gatewaysOf(withGateways(node(['172.20.1.253']), said, PRIMARY))).toEqual(['172.20.1.254'])
  expect(gatewaysOf(withGateways(node(['172.20.1.253']), new Map(), PRIMARY))).toEqual(['172.20.1.253'])
  expect(gatewaysOf(withGateways(node([]), new Map(), PRIMARY))).toEqual(['172.20.1.250'])
  expect(gatewaysOf(withGateways(node([], ['172.20.2.12']), new Map(), PRIMARY))).toEqual([])
  const unchanged = node(['172.20.1.253'])
  expect(withGateways(unchanged, new Map(), PRIMARY)).toBe(unchanged)
})

test('a family that the metadata service does not name keeps what the controller wrote', () => {
  const dual = node(['192.168.63.253', 'fd00:32::fffd'], ['192.168.32.10', 'fd00:32::10'])
  const said = new Map([[MAC, ['192.168.63.1']]])
  expect(gatewaysOf(withGateways(dual, said, []))).toEqual(['192.168.63.1', 'fd00:32::fffd'])
  expect(gatewayDifferences(dual, said)).toEqual([
    'interface eni-1 leaves by the gateway 192.168.63.1, as the metadata service says, not by 192.168.63.253',
  ])
  expect(gatewayDifferences(dual, new Map([[MAC, ['192.168.63.253']]]))).toEqual([])
})

test('no pod gets an address of an interface whose gateway nobody knows, and it is said', () => {
  const pool = poolOf(node([]), NUMBERS)
  expect(pool.interfaces).toEqual([])
  expect(pool.shortage).toContain('the gateway of interface eni-1 is not known')
  expect(poolOf(node(['172.20.1.253']), NUMBERS).interfaces).toHaveLength(1)
})

test('the third address from the end of a subnet that is known by its mask', () => {
  expect(gatewayByMask('172.20.1.12', '255.255.255.0')).toBe('172.20.1.253')
  expect(gatewayByMask('10.8.3.9', '255.255.252.0')).toBe('10.8.3.253')
  expect(gatewayByMask('192.168.1.2', '255.255.255.252')).toBe('192.168.1.1')
  for (const mask of ['255.0.255.0', '255.255.255.255', '255.255.255.254', 'x', ''])
    expect(gatewayByMask('172.20.1.12', mask)).toBeUndefined()
  expect(gatewayByMask('fd00::1', '255.255.255.0')).toBeUndefined()
})

const folder = mkdtempSync(join(tmpdir(), 'te-gateways-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('it is asked once for each interface, again while it is silent, and kept over a restart', async () => {
  const clock = new FakeClock()
  const asked: string[] = []
  let answers = false
  const start = (file: string) =>
    new GatewaySource({
      clock,
      log: silentLog,
      file: join(folder, file),
      ask: async mac => {
        asked.push(mac)
        if (!answers) throw new Error('nobody there')
        return ['172.20.1.254']
      },
      onChange: () => {},
    })
  const source = start('gateways.json')
  source.want(node([]))
  await clock.advance(1_000)
  expect([asked.length, source.said.size]).toEqual([1, 0])
  answers = true
  await clock.advance(60_000)
  expect(source.said.get(MAC)).toEqual(['172.20.1.254'])
  const before = asked.length
  source.want(node([]))
  await clock.advance(3_600_000)
  expect(asked.length).toBe(before)
  source.close()

  answers = false
  const next = start('gateways.json')
  expect(next.said.get(MAC)).toEqual(['172.20.1.254'])
  next.close()
  writeFileSync(join(folder, 'damaged.json'), '{"00:16')
  const damaged = start('damaged.json')
  expect(damaged.said.size).toBe(0)
  damaged.close()
})
