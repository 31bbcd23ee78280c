/** The conversation over a kernel that is one function: requests in, replies out. */
import { expect, test } from 'bun:test'
import { Encoder } from '../../src/netlink/attributes.ts'
import { NLM_F, NLMSG, RTM } from '../../src/netlink/constants.ts'
import { decodeMessages, encodeMessage, type Message, NetlinkError } from '../../src/netlink/message.ts'
import { addRoute } from '../../src/netlink/route.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'

function reply(sequence: number, type: number, body: Uint8Array, flags = 0): Uint8Array {
  const encoder = new Encoder()
  encodeMessage(encoder, { text: '', type, flags, body }, { sequence, ack: false })
  return encoder.bytes()
}

function ack(message: Message, errno = 0): Uint8Array {
  return reply(message.sequence, NLMSG.ERROR, new Encoder().i32(-errno).put(new Uint8Array(16)).bytes(), NLM_F.CAPPED)
}

function route(index: number) {
  return addRoute({ destination: `10.0.${index}.0/24`, protocol: 187, nextHops: [{ gateway: '172.16.0.1' }] })
}

test('each request of a batch has its own outcome, whatever the order of the answers', () => {
  const netlink = new Rtnetlink(requests =>
    decodeMessages(requests)
      .map((message, index) => ack(message, index === 1 ? 101 : 0))
      .reverse(),
  )
  const outcomes = netlink.execute([route(1), route(2), route(3)])
  expect(outcomes.map(({ error }) => error?.code)).toEqual([undefined, 'ENETUNREACH', undefined])
  expect(outcomes[1]?.error?.message).toBe('add route 10.0.2.0/24 via 172.16.0.1: ENETUNREACH: network is unreachable')
})

test('a long batch goes out in several datagrams', () => {
  const sizes: number[] = []
  const netlink = new Rtnetlink(requests => {
    const messages = decodeMessages(requests)
    sizes.push(messages.length)
    return messages.map(message => ack(message))
  })
  const outcomes = netlink.execute(Array.from({ length: 450 }, (_, index) => route(index % 250)))
  expect(outcomes.filter(({ error }) => error === undefined)).toHaveLength(450)
  expect(sizes).toEqual([200, 200, 50])
})

test('answers to former requests are dropped', () => {
  const netlink = new Rtnetlink(requests =>
    decodeMessages(requests).flatMap(message => [
      ack({ ...message, sequence: message.sequence - 1 }, 22),
      ack(message),
    ]),
  )
  expect(() => netlink.run(route(1))).not.toThrow()
  expect(() => netlink.run(route(2))).not.toThrow()
})

test('a dump that other changes interrupted is tried again', () => {
  let dumps = 0
  const netlink = new Rtnetlink(requests => {
    dumps++
    return decodeMessages(requests).flatMap(({ sequence }) => [
      reply(sequence, RTM.NEWROUTE, route(dumps).body, NLM_F.MULTI | (dumps < 3 ? NLM_F.DUMP_INTR : 0)),
      reply(sequence, NLMSG.DONE, new Uint8Array(4), NLM_F.MULTI),
    ])
  })
  expect(netlink.dumpRoutes({ family: 'ipv4' }).map(({ destination }) => destination)).toEqual(['10.0.3.0/24'])
})

test('a table that does not exist has no routes; another refusal is an error', () => {
  const refusing = (errno: number) =>
    new Rtnetlink(requests =>
      decodeMessages(requests).map(({ sequence }) => reply(sequence, NLMSG.DONE, new Encoder().i32(-errno).bytes())),
    )
  expect(refusing(2).dumpRoutes({ table: 4711 })).toEqual([])
  expect(() => refusing(1).dumpRoutes()).toThrow(NetlinkError)
})

test('a kernel that falls silent is an error, not an empty answer', () => {
  expect(() => new Rtnetlink(() => []).dumpLinks()).toThrow('did not end its answer')
})
