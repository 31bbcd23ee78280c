/**
 * The proof: from every pod and the VPC host to every other, a real ICMP ping, and a TCP connection
 * whose receiver says which source address it saw. A source that is not the sender's own address
 * means that something on the way translates addresses.
 */
import { createServer, type Server } from 'node:net'
import { type Clock, sleep } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { close } from '../lib/libc.ts'
import { connectIn, listenIn, localEndpoint } from './namespace-socket.ts'
import { attempt, inside, namespacePath } from './run.ts'

export interface Host {
  readonly name: string
  readonly namespace: string
  readonly address: string
}

/** One cell of the matrix. */
export interface Probe {
  readonly from: string
  readonly to: string
  readonly ping: boolean
  /** The source address that the receiver saw; absent when no connection came to be. */
  readonly sourceSeen?: string
  readonly expectedSource: string
  readonly ok: boolean
  /** Why it is not. */
  readonly problem?: string
}

/** Any port that nothing else in a pod listens on. */
const PROBE_PORT = 5201
const CONNECT_MILLISECONDS = 2000

/** Every ordered pair of hosts, at once. */
export async function probeAll(hosts: readonly Host[], clock: Clock): Promise<readonly Probe[]> {
  const witnesses = new Map<string, Witness>()
  try {
    for (const host of hosts) witnesses.set(host.name, await Witness.open(host))
    const pairs = hosts.flatMap(from => hosts.filter(to => to !== from).map(to => [from, to] as const))
    return await Promise.all(pairs.map(([from, to]) => probe(from, to, witnesses.get(to.name), clock)))
  } finally {
    for (const witness of witnesses.values()) witness.close()
  }
}

async function probe(from: Host, to: Host, witness: Witness | undefined, clock: Clock): Promise<Probe> {
  const [ping, seen] = await Promise.all([pingOnce(from, to), sourceSeenBy(witness, from, to, clock)])
  return judge({ from, to, ping, ...seen })
}

interface Evidence {
  readonly from: Host
  readonly to: Host
  readonly ping: boolean
  readonly sourceSeen?: string
  readonly problem?: string
}

/** What a pair's evidence means. Pure. */
export function judge({ from, to, ping, sourceSeen, problem }: Evidence): Probe {
  const wrong = !ping
    ? 'no answer to ping'
    : sourceSeen === undefined
      ? (problem ?? 'no connection')
      : sourceSeen !== from.address
        ? `came from ${sourceSeen}`
        : undefined
  return {
    from: from.name,
    to: to.name,
    ping,
    expectedSource: from.address,
    ok: wrong === undefined,
    ...(sourceSeen === undefined ? {} : { sourceSeen }),
    ...(wrong === undefined ? {} : { problem: wrong }),
  }
}

async function pingOnce(from: Host, to: Host): Promise<boolean> {
  const { status } = await attempt(inside(from.namespace, ['ping', '-n', '-q', '-c', '1', '-W', '2', to.address]))
  return status === 0
}

async function sourceSeenBy(
  witness: Witness | undefined,
  from: Host,
  to: Host,
  clock: Clock,
): Promise<{ sourceSeen: string } | { problem: string }> {
  try {
    const target = { address: to.address, port: PROBE_PORT }
    const fd = await connectIn(namespacePath(from.namespace), target, { clock, milliseconds: CONNECT_MILLISECONDS })
    try {
      const { port } = localEndpoint(fd)
      for (let turn = 0; turn < 100; turn++) {
        const source = witness?.sourceOf(port, from.address)
        if (source !== undefined) return { sourceSeen: source }
        await sleep(clock, 10)
      }
      return { problem: 'the receiver saw no connection' }
    } finally {
      close(fd)
    }
  } catch (error) {
    return { problem: errorText(error) }
  }
}

/** Listens in one host's namespace and remembers who came. */
class Witness {
  readonly #server: Server
  readonly #seen: { readonly address: string; readonly port: number }[] = []

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', socket => {
      this.#seen.push({ address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })
      socket.on('error', () => socket.destroy())
      socket.resume()
    })
  }
  static open(host: Host): Promise<Witness> {
    const server = createServer()
    const witness = new Witness(server)
    const fd = listenIn(namespacePath(host.namespace), host.address, PROBE_PORT)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ fd }, () => resolve(witness))
    })
  }
  /**
   * The source of the connection that left its sender from `port`: one from `address` itself, else
   * any (translated) one.
   */
  sourceOf(port: number, address: string): string | undefined {
    const same = this.#seen.filter(source => source.port === port)
    return (same.find(source => source.address === address) ?? same[0])?.address
  }
  close(): void {
    this.#server.close()
  }
}
