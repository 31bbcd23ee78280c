/**
 * Passes TCP connections between network namespaces: the person at the host reaches the status
 * pages and the API server inside the lab, and the lab reaches the API server of a real cluster
 * that only the host can reach. Bytes only: TLS goes through unread.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../lib/clock.ts'
import { errorText, UserError } from '../lib/errors.ts'
import { connectIn, type Endpoint, listenIn } from './namespace-socket.ts'

/**
 * Where to listen and where to connect on to; `namespace` is a path such as /run/netns/x, absent:
 * the relay's own.
 */
export interface RelayRoute {
  readonly name: string
  readonly listen: Endpoint & { readonly namespace?: string }
  readonly dial: Endpoint & { readonly namespace?: string }
}

export interface Relay {
  /** The port of each route, by name: the one asked for, or the one that was free. */
  readonly ports: ReadonlyMap<string, number>
  close(): void
}

const DIAL_MILLISECONDS = 10_000

export async function startRelay(routes: readonly RelayRoute[], clock: Clock): Promise<Relay> {
  const servers: Server[] = []
  const ports = new Map<string, number>()
  for (const route of routes) {
    const server = createServer(near => {
      near.on('error', () => near.destroy())
      near.pause()
      passOn(near, route, clock).catch(() => near.destroy())
    })
    await listening(server, route)
    servers.push(server)
    const address = server.address()
    ports.set(
      route.name,
      typeof address === 'object' && address !== null && address.port > 0 ? address.port : route.listen.port,
    )
  }
  return {
    ports,
    close() {
      for (const server of servers) server.close()
    },
  }
}

function listening(server: Server, { listen }: RelayRoute): Promise<void> {
  return new Promise((resolve, reject) => {
    const { address, port, namespace } = listen
    server.once('error', error =>
      reject(new UserError(`cannot listen on ${address} port ${port}: ${errorText(error)}`)),
    )
    if (namespace === undefined) server.listen(port, address, resolve)
    else server.listen({ fd: listenIn(namespace, address, port) }, resolve)
  })
}

/** The far side of a connection, as much of it as a relay needs. */
class FarSide {
  #queue: Uint8Array[] = []
  #socket: Bun.Socket<undefined> | undefined
  #ending = false
  readonly #near: Socket

  constructor(near: Socket) {
    this.#near = near
  }
  get handlers(): Bun.SocketHandler<undefined> {
    const near = this.#near
    return {
      data: (socket, bytes) => {
        if (!near.write(Uint8Array.from(bytes))) {
          socket.pause()
          near.once('drain', () => socket.resume())
        }
      },
      drain: () => this.#flush(),
      close: () => void near.end(),
      error: () => void near.destroy(),
    }
  }
  attach(socket: Bun.Socket<undefined>): void {
    this.#socket = socket
    this.#flush()
  }
  write(bytes: Uint8Array): void {
    this.#queue.push(bytes)
    this.#flush()
  }
  end(): void {
    this.#ending = true
    this.#flush()
  }
  #flush(): void {
    const socket = this.#socket
    if (socket === undefined) return
    for (let bytes = this.#queue[0]; bytes !== undefined; bytes = this.#queue[0]) {
      const taken = Math.max(0, socket.write(bytes))
      if (taken < bytes.length) {
        this.#queue[0] = bytes.subarray(taken)
        this.#near.pause()
        return
      }
      this.#queue.shift()
    }
    if (this.#ending) socket.end()
    else this.#near.resume()
  }
}

async function passOn(near: Socket, { dial }: RelayRoute, clock: Clock): Promise<void> {
  const far = new FarSide(near)
  near.on('data', bytes => far.write(typeof bytes === 'string' ? Buffer.from(bytes) : bytes))
  near.on('close', () => far.end())
  const socket = await dialFrom(dial, far.handlers, clock)
  far.attach(socket)
}

async function dialFrom(
  dial: RelayRoute['dial'],
  handlers: Bun.SocketHandler<undefined>,
  clock: Clock,
): Promise<Bun.Socket<undefined>> {
  if (dial.namespace === undefined) {
    return Bun.connect({ hostname: dial.address, port: dial.port, socket: handlers })
  }
  const fd = await connectIn(dial.namespace, dial, { clock, milliseconds: DIAL_MILLISECONDS })
  // Bun's types do not know yet that it takes over a descriptor.
  return Bun.connect({ fd, socket: handlers } as unknown as Bun.TCPSocketConnectOptions<undefined>)
}

/** The routes in a relay's file, which the lab writes and the relay process reads. */
export function decodeRoutes(text: string): readonly RelayRoute[] {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) throw new UserError('the file of a relay holds a list of routes', { exitStatus: 2 })
  return value as readonly RelayRoute[] // written by the lab alone, in its own folder
}
