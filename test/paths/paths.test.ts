/**
 * Paths measured by packets, in network namespaces. Faults are put in one by one: each is named
 * with its place, and the name goes away with the fault.
 */
import { expect } from 'bun:test'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { Site } from './site.ts'

testNeeding('root', 'ip')(
  'each fault is named with its place, and not after it went',
  async () => {
    await using site = new Site()
    for (const node of ['a1', 'a2', 'b1']) site.start(node)
    const calm = () => site.calm()
    await eventually('packets prove the routes of the switch', calm)
    expect(site.said('a1')?.problems).toEqual([])
    // the probe address is on no interface, so it is never a source by accident
    expect(site.run('a1', 'ip', '-o', 'addr')).not.toContain('10.0.0.0/32')
    expect(site.run('a1', 'ip', 'route', 'show', 'table', 'local', 'proto', '187')).toContain('local 10.0.0.0')

    // the switch loses (or never took) one node's route, while the direct one still carries
    site.ip('sw-a', 'route replace blackhole 10.0.0.128/25')
    await eventually('the missing route is named', () => site.places('a1').includes('switch'))
    expect(site.said('a1')?.verdict.switches[0]).toMatchObject({ status: 'False', missing: ['10.0.0.128/25'] })
    expect(site.places('a1')).not.toContain('neighbour')
    site.ip('sw-a', 'route replace 10.0.0.128/25 via 172.16.0.12')
    await eventually('and found again', calm)

    // a neighbour's process ends: its kernel answers for it, and no path is blamed
    site.stop('a2')
    await eventually('the kernel says that nobody listens', () => site.refusals('a1') >= 3, 60)
    expect(site.places('a1')).toEqual([])
    expect(site.said('a1')?.verdict.switches[0]?.status).toBe('True')
    site.start('a2')
    await eventually('it answers again', () => site.refusals('a1') === 0 && site.calm(), 60)

    // a line with a smaller MTU
    site.ip('sw-a', 'link set line mtu 1400')
    await eventually('packets of full size are missed', () => site.places('a1').includes('packet size'), 60)
    expect(site.places('a1')).toEqual(['packet size'])
    site.ip('sw-a', 'link set line mtu 1500')
    await eventually('and arrive again', calm, 60)

    // a rule and a table of another program
    site.ip('a1', 'route add blackhole default table 77')
    site.ip('a1', 'rule add to 10.0.0.0/8 table 77 priority 1000')
    await eventually('nothing arrives', () => site.places('a1').includes('neighbour'))
    site.ip('a1', 'rule del to 10.0.0.0/8 table 77 priority 1000')
    await eventually('and arrives again', calm, 60)

    // the line is cut
    site.ip('sw-a', 'link set line down')
    await eventually('the other LAN is gone', () => site.places('a1').includes('far LAN'))
    expect(site.said('a1')?.verdict.switches[0]?.status).toBe('True')
    site.ip('sw-a', 'link set line up')
    site.ip('sw-a', 'route replace 10.0.1.0/25 via 192.0.2.2')
    await eventually('and is back', calm, 60)
  },
  480_000,
)
