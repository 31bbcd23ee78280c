/**
 * Many peers on one speaker at rest: memory, processor time, and whether KEEPALIVEs leave on time,
 * seen from the other side. The peers are one BIRD with an address for each session, at both ends,
 * as it has one session per neighbour's address.
 */
import { eventually, TestNetwork } from '../../../test/support/namespaces.ts'
import { Bird } from './bird.ts'
import { memoryMegabytes, processorSeconds } from './proc.ts'
import { LINK_LENGTH, SENDER, SINK } from './routes.ts'
import { startSpeaker } from './speaker-child.ts'

export interface Watch {
  readonly peers: number
  readonly prefixesEach: number
  readonly secondsWatched: number
}

export interface AtRest extends Watch {
  readonly keepaliveSeconds: number
  readonly megabytes: number
  /** Of one core. */
  readonly processorPercent: number
  readonly keepalives: number
  /**
   * The longest time between two KEEPALIVEs of one session, minus the keepalive time: how late the
   * latest was.
   */
  readonly latestMilliseconds: number
}

/** Short, so that many KEEPALIVEs fall into the time watched. */
const HOLD_SECONDS = 9
const KEEPALIVE_OCTETS = 19
/** Third octet of the speaker's addresses. */
const SOURCES = 240

export async function peersAtRest({ peers, prefixesEach, secondsWatched }: Watch): Promise<AtRest> {
  const network = new TestNetwork()
  let bird: Bird | undefined
  try {
    const [from, to] = [network.namespace('node'), network.namespace('switches')]
    const ends = Array.from({ length: peers }, (_, index) => ({
      address: `10.9.250.${index + 1}`,
      sourceAddress: `10.9.${SOURCES}.${index + 1}`,
    }))
    const withLength = (address: string) => `${address}/${LINK_LENGTH}`
    network.connect(
      { namespace: from, interface: 'eth0', addresses: ends.map(end => withLength(end.sourceAddress)) },
      { namespace: to, interface: 'eth0', addresses: ends.map(end => withLength(end.address)) },
    )
    const switches = await Bird.start(network, to, switchesConfig(ends))
    bird = switches
    const speaker = startSpeaker(from, {
      workload: { prefixes: prefixesEach, nextHops: prefixesEach },
      peers: ends,
      holdTimeSeconds: HOLD_SECONDS,
    })
    await eventually('all sessions are up', async () => (await established(switches)) === peers, 60)
    await Bun.sleep(5000) // rest
    const seen = watchKeepalives(network, to)
    const [processorBefore, from0] = [processorSeconds(speaker.pid), performance.now()]
    await Bun.sleep(secondsWatched * 1000)
    const seconds = (performance.now() - from0) / 1000
    const processor = processorSeconds(speaker.pid) - processorBefore
    const { keepalives, longestSeconds } = await seen()
    if ((await established(switches)) !== peers) throw new Error('a session was lost')
    const keepaliveSeconds = HOLD_SECONDS / 3
    return {
      peers,
      prefixesEach,
      keepaliveSeconds,
      secondsWatched,
      megabytes: memoryMegabytes(speaker.pid, 'VmRSS'),
      processorPercent: (100 * processor) / seconds,
      keepalives,
      latestMilliseconds: (longestSeconds - keepaliveSeconds) * 1000,
    }
  } finally {
    bird?.close()
    await network.close()
  }
}

function switchesConfig(ends: readonly { readonly address: string; readonly sourceAddress: string }[]): string[] {
  const sessions = ends.map(
    ({ address, sourceAddress }, index) =>
      `protocol bgp peer${index} { local ${address} as ${SINK.asNumber}; neighbor ${sourceAddress} as ${SENDER.asNumber}; ` +
      `passive on; hold time ${HOLD_SECONDS}; ipv4 { import all; export none; }; }`,
  )
  return [`router id ${SINK.address};`, 'protocol device {}', ...sessions]
}

async function established(bird: Bird): Promise<number> {
  return ((await bird.ask('show protocols')).match(/Established/g) ?? []).length
}

/**
 * Watches KEEPALIVEs of the speaker. The result ends that and gives how many came, and the longest
 * time between two of one session.
 */
function watchKeepalives(
  network: TestNetwork,
  namespace: string,
): () => Promise<{ readonly keepalives: number; readonly longestSeconds: number }> {
  const filter = `tcp and src net 10.9.${SOURCES}.0/24 and (ip[2:2] - ((ip[0]&0xf)<<2) - ((tcp[12]&0xf0)>>2)) = ${KEEPALIVE_OCTETS}`
  const child = network.spawn(namespace, ['tcpdump', '-i', 'eth0', '-n', '-tt', '-l', '-q', filter])
  return async () => {
    child.kill('SIGINT')
    const lines = (await child.stdout.text()).split('\n')
    const last = new Map<string, number>()
    let [keepalives, longestSeconds] = [0, 0]
    for (const line of lines) {
      const [, time = '', session = ''] = /^([\d.]+) IP (\S+ > \S+):/.exec(line) ?? []
      if (time === '') continue
      keepalives++
      const before = last.get(session)
      if (before !== undefined) longestSeconds = Math.max(longestSeconds, Number(time) - before)
      last.set(session, Number(time))
    }
    return { keepalives, longestSeconds }
  }
}
