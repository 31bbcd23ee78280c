/**
 * Which changes of the kernel are of pods alone. With a real kernel: what the kernel tells of a pod
 * that starts and ends.
 */
import { expect, test } from 'bun:test'
import { PodLinks } from '../../src/agent/pod-links.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { addAddress } from '../../src/netlink/address.ts'
import { setLink } from '../../src/netlink/link.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import type { Link, Route } from '../../src/netlink/types.ts'
import { type NamedChange, Watch } from '../../src/netlink/watch.ts'
import { CniNode } from '../cni/cni-node.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

function link(index: number, name: string, kind = 'veth'): Link {
  return { index, name, kind, mtu: 1500, up: true, carrier: true, loopback: false, address: '' }
}

function route(destination: string, via: number[], table = 254): NamedChange {
  const nextHops = via.map(index => ({ interface: index }))
  const whole: Route = {
    family: destination.includes(':') ? 'ipv6' : 'ipv4',
    destination,
    table,
    protocol: 3,
    scope: 0,
    type: 'unicast',
    priority: 0,
    nextHops,
    flags: 0,
  }
  return { kind: 'route', route: whole, isGone: false }
}

test('links, addresses, settings and routes of pods, and no others', () => {
  const links = new PodLinks()
  links.see([link(2, 'eth0', ''), link(7, 'te0123456789a'), link(8, 'team0', 'team')])
  const isOf = (change: NamedChange) => links.isOfPod(change)
  expect([2, 7, 8].map(index => isOf({ kind: 'address', interface: index }))).toEqual([false, true, false])
  // 9 is not there yet: it will be told of
  expect([-1, -2, 2, 7, 9].map(index => isOf({ kind: 'netconf', interface: index }))).toEqual([
    false,
    false,
    false,
    true,
    true,
  ])
  expect(isOf({ kind: 'address', interface: 9 })).toBe(false)
  expect(isOf({ kind: 'link', link: link(9, 'te0123456789b'), isGone: false })).toBe(true)
  expect(isOf({ kind: 'address', interface: 9 })).toBe(true)
  expect(isOf({ kind: 'link', link: link(9, 'renamed'), isGone: false })).toBe(false)
  expect(isOf({ kind: 'address', interface: 9 })).toBe(false)
  expect(isOf(route('10.0.1.1/32', [7]))).toBe(true)
  expect(isOf(route('10.0.1.0/25', [2]))).toBe(false)
  expect(isOf(route('10.0.1.0/25', [7, 2]))).toBe(false)
  expect(isOf(route('10.0.1.0/25', []))).toBe(false)
  expect(isOf(route('fe80::1/128', [1], 255))).toBe(true)
  expect(isOf(route('fd00::1/128', [1], 255))).toBe(false)
  expect(isOf({ kind: 'link', link: link(7, 'te0123456789a'), isGone: true })).toBe(true)
  expect(isOf({ kind: 'address', interface: 7 })).toBe(false)
})

testNeeding('root', 'ip')('a pod that starts and ends wakes nobody, an address of the node does', async () => {
  const node = new CniNode(['10.0.1.0/25', 'fd00:1::/64'])
  const netns = node.network.path(node.namespace)
  const netlink = Rtnetlink.open({ netns })
  const links = new PodLinks()
  links.see(netlink.dumpLinks())
  const woken: string[] = []
  let told = 0
  const watch = await Watch.open({
    clock: systemClock,
    netns,
    kinds: ['link', 'address', 'route', 'rule', 'netconf'],
    onChange: kinds => woken.push([...kinds].join()),
    onNamed: change => {
      told++
      return links.isOfPod(change)
    },
    onLost: () => woken.push('lost'),
  })
  try {
    const pod = node.pod('a')
    expect(await node.add('a', pod.path)).toMatchObject({ status: 0 })
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })).toMatchObject({ status: 0 })
    await eventually('the kernel has told of it', () => told > 10)
    // what comes after it is told after it
    netlink.run(addAddress({ address: '192.0.2.12', prefixLength: 32, interface: 1 }))
    await eventually('the kernel has told of the address and its route', () =>
      ['address', 'route'].every(kind => woken.join().includes(kind)),
    )
    expect(new Set(woken.flatMap(kinds => kinds.split(',')))).toEqual(new Set(['address', 'route']))
    netlink.run(setLink(1, { up: false }))
    await eventually('the kernel has told of the link', () => woken.join().includes('link'))
  } finally {
    watch.close()
    netlink.close()
    await node.close()
  }
})
