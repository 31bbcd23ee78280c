/**
 * Messages of rtnetlink: vectors written out octet by octet, and what is written read again. What
 * the kernel makes of them: kernel.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import { toHex } from '../../src/lib/bytes.ts'
import { addAddress, decodeAddress } from '../../src/netlink/address.ts'
import { Encoder } from '../../src/netlink/attributes.ts'
import { NLM_F, NLMSG, RTA, RTM } from '../../src/netlink/constants.ts'
import { listensTo } from '../../src/netlink/ipsec.ts'
import { addVeth, decodeLink, hardwareAddressBytes, setLink } from '../../src/netlink/link.ts'
import { decodeError, decodeMessages, encodeMessage, NetlinkFormatError } from '../../src/netlink/message.ts'
import { addProxy, decodeNeighbour } from '../../src/netlink/neighbour.ts'
import {
  addRoute,
  decodeRoute,
  deleteRoute,
  dumpRoutesRequest,
  lookupRequest,
  type RouteSpec,
  replaceRoute,
} from '../../src/netlink/route.ts'
import { addRule, decodeRule } from '../../src/netlink/rule.ts'

describe('routes', () => {
  // What `ip route add 10.0.1.0/25 via 172.16.0.12 proto 187` sends (strace), its attributes in our
  // order.
  test('vector: an IPv4 route via a gateway', () => {
    const { body, type, flags, text } = addRoute({
      destination: '10.0.1.0/25',
      protocol: 187,
      nextHops: [{ gateway: '172.16.0.12' }],
    })
    expect(type).toBe(RTM.NEWROUTE)
    expect(flags).toBe(NLM_F.CREATE | NLM_F.EXCL)
    expect(text).toBe('add route 10.0.1.0/25 via 172.16.0.12')
    expect(toHex(body)).toBe(
      ['02190000', 'febb0001', '00000000', '08000f00', 'fe000000', '08000100', '0a000100', '08000500', 'ac10000c'].join(
        '',
      ),
    )
  })

  // The same for `ip route add 10.0.2.0/24 via inet6 fd00::2 proto 187`: struct rtvia is AF_INET6
  // and the address.
  test('vector: an IPv4 route via an IPv6 gateway', () => {
    const { body, text } = addRoute({ destination: '10.0.2.0/24', protocol: 187, nextHops: [{ gateway: 'fd00::2' }] })
    expect(text).toBe('add route 10.0.2.0/24 via fd00::2')
    const via = ['16001200', '0a00', 'fd000000000000000000000000000002', '0000']
    expect(toHex(body)).toBe(
      ['02180000', 'febb0001', '00000000', '08000f00', 'fe000000', '08000100', '0a000200', ...via].join(''),
    )
  })

  const vectors: [string, RouteSpec, string][] = [
    ['one gateway', { destination: '10.0.1.0/25', protocol: 187, nextHops: [{ gateway: '172.16.0.12' }] }, 'ipv4'],
    [
      'IPv6, on-link gateway, source',
      {
        destination: 'fd00:1::/64',
        protocol: 187,
        priority: 1024,
        preferredSource: 'fd00::1',
        nextHops: [{ gateway: 'fe80::1', interface: 3, onlink: true }],
      },
      'ipv6',
    ],
    ['an interface', { destination: '10.0.1.5/32', protocol: 187, scope: 253, nextHops: [{ interface: 9 }] }, 'ipv4'],
    ['unreachable', { destination: '10.0.1.0/25', protocol: 187, type: 'unreachable', nextHops: [] }, 'ipv4'],
    ['a large table', { destination: '0.0.0.0/0', protocol: 187, table: 1000, nextHops: [{ interface: 2 }] }, 'ipv4'],
    [
      'several gateways',
      {
        destination: '10.0.0.0/8',
        protocol: 187,
        nextHops: [
          { gateway: '172.16.0.1', interface: 2 },
          { gateway: '172.16.1.1', interface: 3, weight: 4 },
        ],
      },
      'ipv4',
    ],
    [
      'an IPv6 gateway of an IPv4 route',
      { destination: '10.0.2.0/24', protocol: 187, nextHops: [{ gateway: 'fe80::2', interface: 2 }] },
      'ipv4',
    ],
    [
      'gateways of both families and a device',
      {
        destination: '10.0.2.0/24',
        protocol: 187,
        nextHops: [
          { gateway: 'fe80::2', interface: 2 },
          { gateway: '172.16.0.1', interface: 2 },
          { interface: 3, weight: 2 },
        ],
      },
      'ipv4',
    ],
  ]
  test.each(vectors)('round trip: %s', (_name, spec, family) => {
    const route = decodeRoute(replaceRoute(spec).body)
    expect(route).toMatchObject({ ...spec, family })
  })

  test('a deletion says only what must match', () => {
    const { body } = deleteRoute({ destination: '10.0.1.0/25', protocol: 187 })
    expect(toHex(body.subarray(0, 8))).toBe('02190000febbff00')
  })

  test('a dump names protocol and table in the header and attributes the kernel checks', () => {
    const { body, flags } = dumpRoutesRequest('ipv6', { protocol: 187, table: 254 })
    expect(flags).toBe(NLM_F.DUMP)
    expect(toHex(body)).toBe(['0a000000', '00bb0000', '00000000', '08000f00', 'fe000000'].join(''))
  })

  test('a lookup asks for one address', () => {
    expect(toHex(lookupRequest('10.0.0.1').body)).toBe(
      ['02200000', '00000000', '00100000', '08000100', '0a000001'].join(''),
    )
  })

  test('other families are not routes, and a short body is refused', () => {
    const body = addRoute({ destination: '10.0.0.0/8', protocol: 187, nextHops: [] }).body
    body[0] = 7
    expect(decodeRoute(body)).toBeUndefined()
    expect(() => decodeRoute(body.subarray(0, 5))).toThrow(NetlinkFormatError)
  })

  test('a malformed attribute is refused with its type', () => {
    const encoder = new Encoder().u8(2, 8, 0, 0, 254, 187, 0, 1).u32(0).bytesAttribute(RTA.OIF, new Uint8Array(2))
    expect(() => decodeRoute(encoder.bytes())).toThrow('attribute 4 has a value of 2 bytes')
  })
})

describe('links', () => {
  test('the peer of a veth stands in the data of the kind, with a header of its own', () => {
    const { body } = addVeth({ name: 'h', mtu: 1400, peer: { name: 'p', mtu: 1400, namespaceFd: 9 } })
    const hex = toHex(body)
    const peer = `${'00'.repeat(16)}06000300${'70000000'}08000400${'78050000'}08001c0009000000`
    expect(hex).toContain(peer)
    expect(hex).toContain(toHex(new TextEncoder().encode('veth\0')))
  })

  test('round trip of what a link says of itself', () => {
    const link = decodeLink(
      addVeth({ name: 'h', mtu: 9000, up: true, address: '02:00:5e:10:00:00', master: 4, peer: { name: 'p' } }).body,
    )
    expect(link).toMatchObject({
      name: 'h',
      kind: 'veth',
      mtu: 9000,
      up: true,
      address: '02:00:5e:10:00:00',
      master: 4,
    })
  })

  test('a change leaves the up flag alone unless asked', () => {
    expect(toHex(setLink(5, { mtu: 1500 }).body.subarray(8, 16))).toBe('0000000000000000')
    expect(toHex(setLink(5, { up: false }).body.subarray(8, 16))).toBe('0000000001000000')
    expect(setLink('eth0', { up: false }).text).toBe('set up false of link eth0')
  })

  test('renaming takes an index', () => {
    expect(() => setLink('a', { name: 'b' })).toThrow('by its index')
  })

  test('a hardware address that is none', () => {
    expect(() => hardwareAddressBytes('02:00:5e')).not.toThrow()
    expect(() => hardwareAddressBytes('eth0')).toThrow('not a hardware address')
  })
})

test('addresses: round trip, both families', () => {
  for (const [family, address, prefixLength] of [
    ['ipv4', '10.0.0.1', 24],
    ['ipv6', 'fd00::1', 64],
  ] as const) {
    const spec = { address, prefixLength, interface: 3, flags: 2 }
    expect(decodeAddress(addAddress(spec).body)).toEqual({ family, ...spec, scope: 0 })
  }
})

test('neighbours: a proxy entry', () => {
  const { body } = addProxy({ address: '169.254.1.1', interface: 4 })
  expect(decodeNeighbour(body)).toMatchObject({ address: '169.254.1.1', interface: 4, state: 0, flags: 8 })
})

test('rules: round trip', () => {
  const rule = {
    family: 'ipv4',
    priority: 100,
    table: 1000,
    protocol: 187,
    source: '10.0.0.0/8',
    inputInterface: 'eth1',
    mark: 1,
    markMask: 255,
  } as const
  expect(decodeRule(addRule(rule).body)).toEqual(rule)
})

describe('messages', () => {
  const request = { text: 'x', type: 26, flags: 0, body: Uint8Array.of(1, 2, 3, 4, 5) }

  test('a header with the length without padding, and the next message at a boundary', () => {
    const encoder = new Encoder(8)
    encodeMessage(encoder, request, { sequence: 7, ack: true })
    encodeMessage(encoder, request, { sequence: 8, ack: false })
    const bytes = encoder.bytes()
    expect(toHex(bytes.subarray(0, 16))).toBe('150000001a0005000700000000000000')
    const messages = decodeMessages(bytes)
    expect(messages.map(({ sequence, flags, body }) => [sequence, flags, body.length])).toEqual([
      [7, 5, 5],
      [8, 1, 5],
    ])
  })

  test('a message longer than its datagram is refused', () => {
    const encoder = new Encoder()
    encodeMessage(encoder, request, { sequence: 7, ack: true })
    expect(() => decodeMessages(encoder.bytes().subarray(0, 20))).toThrow(NetlinkFormatError)
  })

  test('an error with extended text and offset, capped or with the whole request', () => {
    for (const capped of [true, false]) {
      const encoder = new Encoder().i32(-22)
      encoder
        .u32(capped ? 999 : 20)
        .u16(24)
        .u16(5)
        .u32(1)
        .u32(0)
      if (!capped) encoder.u32(0)
      encoder.textAttribute(1, 'Nexthop has invalid gateway').u32Attribute(2, 36)
      const flags = NLM_F.ACK_TLVS | (capped ? NLM_F.CAPPED : 0)
      const reply = decodeError({ type: NLMSG.ERROR, flags, sequence: 1, port: 0, body: encoder.bytes() })
      expect(reply).toEqual({ errno: 22, extendedAck: 'Nexthop has invalid gateway', offset: 36 })
    }
  })
})

test('which netlink protocols the kernel listens to', () => {
  const sockets =
    'sk               Eth Pid        Groups\n0000000053088835 0   0          00000000\n00000000403243e1 6   1234       00000000\n'
  expect([0, 6, 12].map(protocol => listensTo(protocol, sockets))).toEqual([true, false, false])
  expect(listensTo(6, sockets.replace('1234', '0   '))).toBe(true)
})
