/**
 * Asks a LAN by ARP who has some addresses, for `doctor` alone: a packet socket for a second. What
 * the answers mean is decided in `duplicates.ts`. Needs CAP_NET_RAW. IPv6 is not asked: there the
 * kernel looks for duplicates itself (RFC 4862).
 */

import { AF } from '../lib/address-family.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { ERRNO, SystemError } from '../lib/errno.ts'
import { bind, close, receive, SOCK, sendTo, socket } from '../lib/libc.ts'
import { type ArpQuestion, arpSocketAddress, decodeArpSender, ETH_P_ARP, encodeArpRequest } from './arp.ts'

/** As many probes as RFC 5227 has (PROBE_NUM), closer together. */
const PROBES = 3
const INTERVAL_MILLISECONDS = 300

/** The hardware addresses that say they have an address. Throws `SystemError`. */
export async function askByArp(
  clock: Clock,
  interfaceIndex: number,
  questions: readonly ArpQuestion[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const answers = new Map<string, Set<string>>(questions.map(({ target }) => [target, new Set()]))
  if (questions.length === 0) return answers
  const fd = socket(AF.PACKET, SOCK.DGRAM | SOCK.NONBLOCK, networkOrder(ETH_P_ARP))
  try {
    const link = arpSocketAddress(interfaceIndex)
    bind(fd, link)
    for (let probe = 0; probe < PROBES; probe++) {
      for (const question of questions) sendTo(fd, encodeArpRequest(question), link)
      await sleep(clock, INTERVAL_MILLISECONDS)
      for (const { address, hardwareAddress } of drain(fd)) answers.get(address)?.add(hardwareAddress)
    }
    return answers
  } finally {
    close(fd)
  }
}

function networkOrder(number: number): number {
  return ((number & 0xff) << 8) | (number >> 8)
}

function* drain(fd: number) {
  const buffer = new Uint8Array(128)
  for (;;) {
    try {
      const sender = decodeArpSender(buffer.subarray(0, receive(fd, buffer)))
      if (sender !== undefined) yield sender
    } catch (error) {
      if (error instanceof SystemError && error.errno === ERRNO.EAGAIN) return
      throw error
    }
  }
}
