/**
 * The process that `countingPackets` starts in a namespace: `bun packet-sender.ts ADDRESS` says
 * `sending`, sends an ICMP echo request about each millisecond until SIGINT, waits for answers that
 * are under way, and says last how many it sent and how many of them had an answer, as JSON. Its
 * socket is the kernel's ping socket (net/ipv4/ping.c), which gets the answers to its own requests
 * alone. A request that the kernel refuses to send is one that was lost.
 */
import { writeFileSync } from 'node:fs'
import { AF } from '../../src/lib/address-family.ts'
import { SystemError } from '../../src/lib/errno.ts'
import { addressBytes } from '../../src/lib/ip.ts'
import { POLL, poll, receive, SOCK, sendTo, socket } from '../../src/lib/libc.ts'
import { socketAddress } from '../../src/lib/socket-address.ts'

/** An answer that comes later than this after the last request is none, ms. */
const PATIENCE_MILLISECONDS = 2000
const HEADER_BYTES = 8

const target = process.argv[2] ?? ''
const ipv6 = addressBytes(target).length === 16
const [family, protocol, echoRequest] = ipv6 ? [AF.INET6, 58, 128] : [AF.INET, 1, 8]

// which groups may open ping sockets; a new namespace allows none
writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 2147483647')
const fd = socket(family, SOCK.DGRAM | SOCK.NONBLOCK, protocol)
const destination = socketAddress(target, 0)
const request = new Uint8Array(HEADER_BYTES + 4)
const view = new DataView(request.buffer)
const answer = new Uint8Array(2048)
const answers = new DataView(answer.buffer)
/** By number of the request: whether it had an answer. */
const answered: boolean[] = []
let received = 0

function ask(): void {
  view.setUint8(0, echoRequest)
  view.setUint16(6, answered.length & 0xffff)
  view.setUint32(HEADER_BYTES, answered.length)
  answered.push(false)
  try {
    sendTo(fd, request, destination)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
  }
}

function hear(): void {
  while ((poll(fd, POLL.IN) & POLL.IN) !== 0) {
    if (receive(fd, answer) < request.length) continue
    const number = answers.getUint32(HEADER_BYTES)
    if (answered[number] !== false) continue
    answered[number] = true
    received++
  }
}

/** A turn of the event loop costs as much as many packets: it comes after so many. */
const AT_ONCE = 50

/** Nobody counts any more when who started it is gone. */
const starter = process.ppid
let isOver = false
process.once('SIGINT', () => {
  isOver = true
})
process.stdout.write('sending\n')
while (!isOver && process.ppid === starter) {
  for (let count = 0; count < AT_ONCE; count++) {
    ask()
    Bun.sleepSync(1)
    hear()
  }
  await Bun.sleep(0)
}
const end = performance.now() + PATIENCE_MILLISECONDS
while (received < answered.length && performance.now() < end) {
  Bun.sleepSync(1)
  hear()
}
process.stdout.write(`${JSON.stringify({ sent: answered.length, lost: answered.length - received })}\n`)
