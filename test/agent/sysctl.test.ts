/**
 * Which kernel settings a node needs and in which order they are written (pure), then written and
 * put back in a real network namespace.
 */
import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  applySettings,
  decideSettings,
  restoreSettings,
  type SysctlNeeds,
  settingsToRead,
} from '../../src/agent/sysctl.ts'
import { TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const V4 = { uplinks: ['eth0'], ipv6: false }
const V6 = { uplinks: ['eth0'], ipv6: true }

function decide(needs: SysctlNeeds, current: Record<string, string>): string[] {
  return decideSettings(needs, new Map(Object.entries(current))).map(({ name, value }) => `${name}=${value}`)
}

describe('settings', () => {
  test('forwarding is switched on', () => {
    expect(decide(V4, { 'net/ipv4/ip_forward': '0', 'net/ipv4/conf/eth0/forwarding': '0' })).toEqual([
      'net/ipv4/ip_forward=1', // which sets that of eth0 as well
    ])
  })

  test('an uplink that was taken out of forwarding is put back', () => {
    expect(decide(V4, { 'net/ipv4/ip_forward': '1', 'net/ipv4/conf/eth0/forwarding': '0' })).toEqual([
      'net/ipv4/conf/eth0/forwarding=1',
    ])
  })

  // The kernel takes the larger of the two.
  test.each([
    ['0', '0', []],
    ['0', '1', ['net/ipv4/conf/eth0/rp_filter=2']],
    ['1', '0', ['net/ipv4/conf/eth0/rp_filter=2']],
    ['1', '1', ['net/ipv4/conf/eth0/rp_filter=2']],
    ['2', '1', []],
    ['1', '2', []],
    ['2', '0', []],
  ])('rp_filter all %s, own %s', (all, own, expected) => {
    expect(decide(V4, { 'net/ipv4/conf/all/rp_filter': all, 'net/ipv4/conf/eth0/rp_filter': own })).toEqual(expected)
  })

  test('router advertisements go on counting: accept_ra comes before forwarding', () => {
    const current = { 'net/ipv6/conf/eth0/accept_ra': '1', 'net/ipv6/conf/all/forwarding': '0' }
    expect(decide(V6, current)).toEqual(['net/ipv6/conf/eth0/accept_ra=2', 'net/ipv6/conf/all/forwarding=1'])
    expect(decide(V6, { ...current, 'net/ipv6/conf/eth0/accept_ra': '0' })).toEqual(['net/ipv6/conf/all/forwarding=1'])
  })

  test('on all interfaces, and those that come later, where we are who has them forward', () => {
    const needs = { ...V6, others: ['wwan0'] }
    const current = Object.fromEntries(
      ['eth0', 'wwan0', 'default'].map(name => [`net/ipv6/conf/${name}/accept_ra`, '1']),
    )
    expect(decide(needs, { ...current, 'net/ipv6/conf/all/forwarding': '0' })).toEqual([
      ...['eth0', 'wwan0', 'default'].map(name => `net/ipv6/conf/${name}/accept_ra=2`),
      'net/ipv6/conf/all/forwarding=1',
    ])
    // somebody else's forwarding: what it cost was their choice
    expect(decide(needs, { ...current, 'net/ipv6/conf/all/forwarding': '1' })).toEqual([
      'net/ipv6/conf/eth0/accept_ra=2',
    ])
  })

  test('IPv6 is left alone where no pod has it, and where the kernel does not', () => {
    expect(decide(V4, { 'net/ipv6/conf/eth0/accept_ra': '1', 'net/ipv6/conf/all/forwarding': '0' })).toEqual([])
    expect(decide(V6, {})).toEqual([])
    expect(settingsToRead(V4).filter(name => name.includes('ipv6'))).toEqual([])
  })
})

testNeeding('root', 'ip')('written once, recorded, and put back unless somebody else changed them', async () => {
  const network = new TestNetwork()
  const stateDir = mkdtempSync(join(tmpdir(), 'te-sysctl-'))
  try {
    const namespace = network.namespace('s')
    network.connect({ namespace, interface: 'e.0' }, { namespace, interface: 'e1' })
    const get = (name: string) => network.exec(namespace, ['cat', `/proc/sys/${name}`]).stdout.trim()
    const set = (name: string, value: string) =>
      network.exec(namespace, ['sh', '-c', `echo ${value} > /proc/sys/${name}`])
    set('net/ipv4/ip_forward', '0')
    set('net/ipv4/conf/all/rp_filter', '0')
    set('net/ipv4/conf/e.0/rp_filter', '1')
    for (const name of ['e.0', 'e1', 'default']) set(`net/ipv6/conf/${name}/accept_ra`, '1')
    const outside = readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8')
    const place = { stateDir, netns: network.path(namespace) }
    const needs = { uplinks: ['e.0'], others: ['e1'], ipv6: true }
    const { written, problems } = applySettings(needs, place)
    expect(problems).toEqual([])
    expect(written.map(({ name }) => name)).toEqual([
      'net/ipv4/ip_forward',
      'net/ipv4/conf/e.0/rp_filter',
      'net/ipv6/conf/e.0/accept_ra',
      'net/ipv6/conf/e1/accept_ra',
      'net/ipv6/conf/default/accept_ra',
      'net/ipv6/conf/all/forwarding',
    ])
    // one whose settings come back to the machine's is put right again, for forwarding is ours
    set('net/ipv6/conf/e1/accept_ra', '1')
    expect(applySettings(needs, place).written).toEqual([{ name: 'net/ipv6/conf/e1/accept_ra', value: '2' }])
    expect(get('net/ipv4/ip_forward')).toBe('1')
    expect(get('net/ipv4/conf/e.0/rp_filter')).toBe('2')
    expect(readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8')).toBe(outside)
    expect(applySettings(needs, place).written).toEqual([])
    set('net/ipv4/conf/e.0/rp_filter', '0')
    expect(restoreSettings(place).map(({ name, value }) => `${name}=${value}`)).toEqual([
      'net/ipv6/conf/all/forwarding=0',
      'net/ipv6/conf/default/accept_ra=1',
      'net/ipv6/conf/e1/accept_ra=1',
      'net/ipv6/conf/e.0/accept_ra=1',
      'net/ipv4/ip_forward=0',
    ])
    expect(get('net/ipv4/ip_forward')).toBe('0')
    expect(get('net/ipv4/conf/e.0/rp_filter')).toBe('0')
    expect(restoreSettings(place)).toEqual([])
  } finally {
    rmSync(stateDir, { recursive: true })
    await network.close()
  }
})

testNeeding('root')(
  'where the disk takes nothing the settings are made all the same, and what is lost is said',
  async () => {
    const network = new TestNetwork()
    const stateDir = mkdtempSync(join(tmpdir(), 'te-sysctl-'))
    expect(Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', stateDir]).exitCode).toBe(0)
    try {
      const namespace = network.namespace('node')
      network.exec(namespace, ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'])
      const { written, problems } = applySettings(
        { uplinks: [], ipv6: false },
        { stateDir, netns: network.path(namespace) },
      )
      expect(written).toEqual([{ name: 'net/ipv4/ip_forward', value: '1' }])
      expect(problems).toHaveLength(1)
      expect(problems[0]).toContain('uninstall will not put them back')
      expect(network.exec(namespace, ['cat', '/proc/sys/net/ipv4/ip_forward']).stdout.trim()).toBe('1')
    } finally {
      Bun.spawnSync(['umount', stateDir])
      rmSync(stateDir, { recursive: true })
      await network.close()
    }
  },
)
