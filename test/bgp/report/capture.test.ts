/**
 * Captures: file formats, link and IP headers, and TCP streams put together from whatever order the
 * segments came in.
 */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { type CapturedPacket, CaptureFile } from '../../../src/bgp/report/capture-file.ts'
import { segmentOf } from '../../../src/bgp/report/capture-packet.ts'
import { CaptureReport } from '../../../src/bgp/report/capture-report.ts'
import { reportContext } from '../../../src/bgp/report/report-options.ts'
import { bytes, chance, message, NLRI, update } from '../codec/support.ts'

const DEFAULTS = reportContext({ as2: false, ibgp: false, families: ['ipv4', 'ipv6'], extendedMessages: false })
const KEEPALIVE = message(4, '')
const BIRD = readFileSync('test/vectors/bird-2.0.12.pcap')

const u16 = (value: number) => (value & 0xffff).toString(16).padStart(4, '0')
const u32 = (value: number) => (value >>> 0).toString(16).padStart(8, '0')
const text = (value: Uint8Array) => Buffer.from(value).toString('hex')

interface Sent {
  /** What it says it has got. */
  readonly ack?: number
  readonly sequence: number
  readonly payload?: Uint8Array
  readonly syn?: boolean
  readonly reverse?: boolean
  readonly port?: number
}

/** A TCP segment in IPv4. */
function ipv4({
  sequence,
  ack,
  payload = new Uint8Array(0),
  syn = false,
  reverse = false,
  port = 179,
}: Sent): Uint8Array {
  const ports = reverse ? `${u16(port)} 9c40` : `9c40 ${u16(port)}`
  const addresses = reverse ? 'c0000202 c0000201' : 'c0000201 c0000202'
  const tcp = `${ports} ${u32(sequence)} ${u32(ack ?? 0)} 50 ${syn ? '02' : ack === undefined ? '08' : '18'} ffff 0000 0000 ${text(payload)}`
  return bytes(`45 00 ${u16(20 + bytes(tcp).length)} 0000 4000 40 06 0000 ${addresses} ${tcp}`)
}

function pcap(packets: readonly Uint8Array[], linkType = 101): Uint8Array {
  const records = packets.map(
    (packet, index) => `${u32(1000 + index)} 00000000 ${u32(packet.length)} ${u32(packet.length)} ${text(packet)}`,
  )
  return bytes(`a1b2c3d4 0002 0004 00000000 00000000 00040000 ${u32(linkType)} ${records.join('')}`)
}

/** In pieces of a size that cuts every structure somewhere. */
function readAll(file: Uint8Array, size = 7777) {
  const capture = new CaptureReport(DEFAULTS)
  const found = []
  for (let start = 0; start < file.length; start += size)
    found.push(...capture.push(file.subarray(start, start + size)))
  const { reports: last, ...rest } = capture.end()
  return { reports: [...found, ...last], ...rest }
}
const reports = (file: Uint8Array) => readAll(file).reports
const types = (file: Uint8Array) => reports(file).map(({ type, outcome }) => `${type} ${outcome}`)

describe('a capture of two BIRDs', () => {
  const all = reports(BIRD)
  test('has the session from OPEN to shutdown', () => {
    expect(all.map(({ type }) => type).slice(0, 5)).toEqual(['OPEN', 'OPEN', 'KEEPALIVE', 'KEEPALIVE', 'UPDATE'])
    expect(all.at(-1)).toMatchObject({ type: 'NOTIFICATION', shutdownCommunication: 'maintenance été' })
    expect(all[0]).toMatchObject({ from: '192.0.2.2:55095', to: '192.0.2.1:179', asNumber: 70000 })
  })
  test('every message is good', () => expect(all.filter(({ outcome }) => outcome !== 'ok')).toEqual([]))
  test('has the routes', () => {
    const nlri = all.flatMap(one => (Array.isArray(one.nlri) ? one.nlri : []))
    expect([...new Set(nlri)].sort()).toEqual(['198.51.100.0/25', '198.51.100.128/26', '203.0.113.0/24'])
  })
})

describe('file formats', () => {
  const packet = ipv4({ sequence: 1, payload: KEEPALIVE })
  const one = (file: Uint8Array, size = 1): CapturedPacket[] => {
    const reader = new CaptureFile()
    const packets = []
    for (let start = 0; start < file.length; start += size)
      packets.push(...reader.push(file.subarray(start, start + size)))
    for (const whole of [new CaptureFile().push(file)]) expect(whole).toEqual(packets)
    return packets.map(found => ({ ...found, bytes: Uint8Array.from(found.bytes) }))
  }
  test('pcap, big-endian', () =>
    expect(one(pcap([packet]))).toEqual([{ time: 1_000_000, linkType: 101, bytes: packet }]))
  test('pcap, little-endian with nanoseconds', () => {
    const file = bytes(
      `4d3cb2a1 0200 0400 00000000 00000000 00000400 65000000 01000000 00ca9a3b ${'3b000000'.repeat(2)} ${text(packet)}`,
    )
    expect(one(file)).toEqual([{ time: 2000, linkType: 101, bytes: packet }])
  })
  test('pcapng, both byte orders', () => {
    const padded = `${text(packet)}00`
    const block = (type: string, body: string) => {
      const length = u32(12 + bytes(body).length)
      return `${type} ${length} ${body} ${length}`
    }
    const section = block('0a0d0d0a', '1a2b3c4d 0001 0000 ffffffffffffffff')
    const nanoseconds = block('00000001', '0065 0000 00000000 0009 0001 09000000 0000 0000')
    const enhanced = block(
      '00000006',
      `00000000 00000000 3b9aca00 ${u32(packet.length)} ${u32(packet.length)} ${padded}`,
    )
    const simple = block('00000003', `${u32(packet.length)} ${padded}`)
    const other = block('00000005', '00000000')
    const big = `${section} ${nanoseconds} ${other} ${enhanced} ${simple}`
    expect(one(bytes(big))).toEqual([
      { time: 1000, linkType: 101, bytes: packet },
      { linkType: 101, bytes: packet },
    ])
    // The words turned round, the packet left alone, is the same file of a little-endian machine.
    const little = `0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000
      01000000 14000000 6500 0000 00000000 14000000
      06000000 5c000000 00000000 00000000 40420f00 3b000000 3b000000 ${padded} 5c000000`
    expect(one(bytes(little))).toEqual([{ time: 1000, linkType: 101, bytes: packet }])
  })
  test('a cut file gives what is whole', () => {
    const file = pcap([packet, packet])
    expect(one(file.subarray(0, file.length - 1)).length).toBe(1)
    expect(readAll(file.subarray(0, file.length - 1)).notes).toEqual(['it ends within a packet'])
  })
  test('a length that no packet has ends it', () => {
    const damaged = bytes(`${text(pcap([packet]))} 000003e8 00000000 7fffffff 7fffffff ${text(packet)}`)
    expect(one(damaged).length).toBe(1)
    expect(readAll(damaged).notes).toEqual(['it is damaged; what comes behind is not read'])
  })
  test('anything else is none', () => {
    for (const length of [0, 10, 100]) {
      expect(readAll(new Uint8Array(length))).toEqual({
        reports: [],
        isCapture: false,
        notes: ['it is neither pcap nor pcapng'],
      })
    }
  })
})

describe('packets', () => {
  const inner = ipv4({ sequence: 1, payload: KEEPALIVE })
  const tcp6 = `${text(inner.subarray(20))}`
  const ipv4Of = (protocol: string, rest: string) =>
    `45 00 ${u16(20 + bytes(rest).length)} 0000 4000 40 ${protocol} 0000 c6336401 c6336402 ${rest}`
  const ipv6 = (next: string, rest: string) =>
    `60000000 ${u16(bytes(rest).length)} ${next} 40 20010db8000000000000000000000001 20010db8000000000000000000000002 ${rest}`
  const CASES: readonly [string, number, string, string | undefined][] = [
    ['raw IPv4', 101, text(inner), '192.0.2.1:40000'],
    ['Ethernet', 1, `${'00'.repeat(12)} 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['Ethernet with padding', 1, `${'00'.repeat(12)} 0800 ${text(inner)} 000000`, '192.0.2.1:40000'],
    ['two VLAN tags', 1, `${'00'.repeat(12)} 88a8 0001 8100 0002 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['Linux cooked', 113, `${'00'.repeat(14)} 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['Linux cooked 2', 276, `0800 ${'00'.repeat(18)} ${text(inner)}`, '192.0.2.1:40000'],
    ['BSD loopback', 0, `02000000 ${text(inner)}`, '192.0.2.1:40000'],
    ['IPv6', 101, ipv6('06', tcp6), '[2001:db8::1]:40000'],
    ['IPv6 with options', 101, ipv6('00', `3c 00 000000000000 06 00 000000000000 ${tcp6}`), '[2001:db8::1]:40000'],
    ['ARP', 1, `${'00'.repeat(12)} 0806 ${'00'.repeat(28)}`, undefined],
    ['UDP', 101, text(inner).replace('400640'.slice(0, 4), '4011'), undefined],
    ['a fragment', 101, text(inner).replace('00004000', '00002000'), 'unread: IP fragments'],
    ['a fragment of UDP', 101, text(inner).replace('0000400040', '0000200040').replace('4006', '4011'), undefined],
    ['an unknown link', 999, text(inner), 'unread: link type 999'],
    ['raw IP of BSD', 12, text(inner), '192.0.2.1:40000'],
    ['an old outer VLAN tag', 1, `${'00'.repeat(12)} 9100 0001 8100 0002 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['Linux cooked 2 with a VLAN tag', 276, `8100 ${'00'.repeat(18)} 0007 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['PPP', 9, `0021 ${text(inner)}`, '192.0.2.1:40000'],
    ['PPP in HDLC', 50, `ff03 0021 ${text(inner)}`, '192.0.2.1:40000'],
    ['PPP with its direction', 204, `01 ff03 0021 ${text(inner)}`, '192.0.2.1:40000'],
    ['PPP that controls the link', 9, 'c021 0101 0004', undefined],
    ['PPP that is compressed', 9, '00fd 0101', 'unread: PPP protocol 0x00fd'],
    ['PPPoE', 1, `${'00'.repeat(12)} 8864 1100 0001 0036 0021 ${text(inner)}`, '192.0.2.1:40000'],
    ['Cisco HDLC', 104, `0f00 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['Juniper Ethernet', 178, `4d4743 80 0002 0000 ${'00'.repeat(12)} 0800 ${text(inner)}`, '192.0.2.1:40000'],
    ['Juniper without Ethernet', 178, `4d4743 02 02000000 ${text(inner)}`, '192.0.2.1:40000'],
    ['MPLS', 1, `${'00'.repeat(12)} 8847 00010040 00020140 ${text(inner)}`, '192.0.2.1:40000'],
    ['MPLS of Ethernet', 1, `${'00'.repeat(12)} 8847 00020140 00000000`, 'unread: MPLS that holds no IP'],
    ['another EtherType', 1, `${'00'.repeat(12)} 88e5 0000`, 'unread: EtherType 0x88e5'],
    ['GRE', 101, ipv4Of('2f', `0000 0800 ${text(inner)}`), '192.0.2.1:40000'],
    [
      'GRE with a key and a checksum',
      101,
      ipv4Of('2f', `a000 0800 00000000 00000001 ${text(inner)}`),
      '192.0.2.1:40000',
    ],
    ['GRE of PPTP', 101, ipv4Of('2f', '3001 880b 0000'), 'unread: GRE of another version'],
    ['IP in IP', 101, ipv4Of('04', text(inner)), '192.0.2.1:40000'],
    ['IPv4 in IPv6', 101, ipv6('04', text(inner)), '192.0.2.1:40000'],
    ['IPsec', 101, ipv4Of('32', '00000001 00000001'), 'unread: IPsec'],
    ['an IPv6 packet with a fragment header', 101, ipv6('2c', `06 00 0000 00000001 ${tcp6}`), '[2001:db8::1]:40000'],
    ['an IPv6 fragment', 101, ipv6('2c', `06 00 0001 00000001 ${tcp6}`), 'unread: IP fragments'],
    [
      'nine tunnels',
      101,
      Array.from({ length: 9 }).reduce<string>(all => ipv4Of('04', all), text(inner)),
      'unread: tunnels in tunnels',
    ],
    ['nothing', 101, '', undefined],
  ]
  for (const [what, linkType, octets, from] of CASES) {
    test(what, () => {
      const found = segmentOf({ linkType, bytes: bytes(octets) })
      if (found === undefined) expect(from).toBeUndefined()
      else if ('unread' in found) expect(`unread: ${found.unread}`).toBe(from as string)
      else {
        expect(found.from).toBe(from as string)
        expect(text(found.payload)).toBe(text(KEEPALIVE))
      }
    })
  }
})

describe('streams', () => {
  const start = 0xfffffff0 // the sequence numbers wrap
  const stream = Buffer.concat([
    message(1, '04 fdf2 005a 0a000001 00'),
    KEEPALIVE,
    update({ withdrawn: NLRI }),
    KEEPALIVE,
  ])
  const whole = ['OPEN ok', 'KEEPALIVE ok', 'UPDATE ok', 'KEEPALIVE ok']
  const syn = ipv4({ sequence: start, syn: true })
  const part = (from: number, to: number) => ipv4({ sequence: start + 1 + from, payload: stream.subarray(from, to) })

  test('in order', () => expect(types(pcap([syn, part(0, 40), part(40, 200)]))).toEqual(whole))
  test('out of order', () => expect(types(pcap([syn, part(60, 200), part(30, 60), part(0, 30)]))).toEqual(whole))
  test('sent again, and overlapping', () => {
    expect(types(pcap([syn, part(0, 40), part(0, 40), part(20, 70), part(10, 30), part(60, 200)]))).toEqual(whole)
  })
  test('without the first packets: from the next marker on', () => {
    expect(types(pcap([part(10, 50), part(50, 200)]))).toEqual(whole.slice(1))
  })
  test('with a hole: said, and from the next marker on', () => {
    expect(types(pcap([syn, part(0, 35), part(40, 200)]))).toEqual([
      'OPEN ok',
      'null undefined',
      'UPDATE ok',
      'KEEPALIVE ok',
    ])
  })
  test('a broken message is reported once, the stream goes on', () => {
    const bad = Buffer.concat([KEEPALIVE, bytes(`${'ff'.repeat(16)} 0005 02`)])
    const first = ipv4({ sequence: start + 1, payload: bad })
    const next = ipv4({ sequence: start + 1 + bad.length, payload: KEEPALIVE })
    expect(types(pcap([syn, first, next]))).toEqual(['KEEPALIVE ok', 'null session-reset', 'KEEPALIVE ok'])
    // also when the next message came with it
    const both = ipv4({ sequence: start + 1, payload: Buffer.concat([bad, KEEPALIVE]) })
    const [, second, third] = reports(pcap([syn, both]))
    expect(second).toMatchObject({
      type: null,
      octets: `${'ff'.repeat(16)}000502`,
      notificationText: expect.any(String),
    })
    expect(third).toMatchObject({ type: 'KEEPALIVE', outcome: 'ok' })
  })
  test('octets that the other side has got and the capture has not are a gap there and then', () => {
    const acked = ipv4({ sequence: 1, ack: start + 1 + 60, reverse: true })
    const file = pcap([syn, part(0, 35), part(40, 60), acked, part(60, 200)])
    const found = reports(file)
    expect(found.map(({ type, time }) => `${type} ${time}`)).toEqual([
      'OPEN 1970-01-01T00:16:41.000Z',
      'null 1970-01-01T00:16:42.000Z',
      'UPDATE 1970-01-01T00:16:44.000Z',
      'KEEPALIVE 1970-01-01T00:16:44.000Z',
    ])
  })
  test('a segment keeps its time when an earlier one is missing for good', () => {
    const found = reports(pcap([syn, part(29, 48), part(48, 200), ipv4({ sequence: start, syn: true, port: 1179 })]))
    expect(found.map(({ type, time }) => `${type} ${time}`)).toEqual([
      'null 1970-01-01T00:16:41.000Z',
      'KEEPALIVE 1970-01-01T00:16:41.000Z',
      'UPDATE 1970-01-01T00:16:42.000Z',
      'KEEPALIVE 1970-01-01T00:16:42.000Z',
    ])
  })
  test('a FIN is no octet that is missing', () => {
    const acked = ipv4({ sequence: 1, ack: start + 1 + stream.length + 1, reverse: true })
    expect(types(pcap([syn, part(0, 200), acked]))).toEqual(whole)
  })
  test('a SYN that is sent again changes nothing', () => {
    expect(types(pcap([syn, syn, part(0, 200)]))).toEqual(whole)
  })
  test('what is not read is counted by what it is', () => {
    const file = bytes(`${text(pcap([bytes('ff'), bytes('ff')], 9999))}`)
    expect(readAll(file).notes).toEqual(['2 packets of link type 9999 not read'])
  })
  test('a new connection of the same ports starts anew', () => {
    const again = ipv4({ sequence: 5, syn: true })
    const rest = ipv4({ sequence: 6, payload: KEEPALIVE })
    expect(types(pcap([syn, part(0, 35), again, rest]))).toEqual(['OPEN ok', 'KEEPALIVE ok'])
  })
  test('another port is BGP when it begins like it', () => {
    expect(types(pcap([ipv4({ sequence: 1, payload: KEEPALIVE, port: 1790 })]))).toEqual(['KEEPALIVE ok'])
    expect(types(pcap([ipv4({ sequence: 1, payload: bytes('474554'), port: 80 })]))).toEqual([])
  })
  test('the OPENs of a connection decide how its UPDATEs are read', () => {
    const open = (capabilities: string) => {
      const length = bytes(capabilities).length
      return message(
        1,
        `04 fdf2 005a 0a000001 ${(length + 2).toString(16).padStart(2, '0')} 02 ${length.toString(16).padStart(2, '0')} ${capabilities}`,
      )
    }
    const wide = open('4104 0000fdf2')
    const narrow = open('0200')
    const twoOctets = update({ attributes: '400101 00 400204 0201 fde9 400304 c0000201 400504 00000064', nlri: NLRI })
    const session = (peer: Uint8Array) =>
      types(
        pcap([
          ipv4({ sequence: 1, payload: wide }),
          ipv4({ sequence: 1, payload: peer, reverse: true }),
          ipv4({ sequence: 1 + wide.length, payload: twoOctets }),
        ]),
      )
    expect(session(narrow)).toEqual(['OPEN ok', 'OPEN ok', 'UPDATE ok'])
    expect(session(wide)).toEqual(['OPEN ok', 'OPEN ok', 'UPDATE treat-as-withdraw'])
  })
})

test('mutated captures never throw', () => {
  const below = chance(99)
  for (let round = 0; round < 1500; round++) {
    const file = new Uint8Array(BIRD)
    for (let change = 1 + below(20); change > 0; change--) file[below(file.length)] = below(256)
    const cut = file.subarray(0, below(10) === 0 ? below(file.length) : file.length)
    for (const report of readAll(cut).reports) expect(typeof JSON.stringify(report)).toBe('string')
  }
})
