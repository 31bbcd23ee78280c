/**
 * The simulated cloud as HTTP servers on real sockets: the OpenAPI, where "took effect, did not
 * answer" cuts the connection, and the metadata service, which knows an instance by the address
 * that asks.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { MetadataService } from './metadata.ts'
import type { CloudSimulator } from './simulator.ts'

export interface Serving {
  readonly hostname: string
  readonly port: number
  close(): Promise<void>
}

/** Status by which `CloudSimulator.fetch` asks for the connection to be cut. */
const CUT = 599

export async function serveCloud(
  simulator: Pick<CloudSimulator, 'fetch'>,
  listen: { hostname: string; port: number },
): Promise<Serving> {
  const server = createServer(async (incoming, outgoing) => {
    const answer = await simulator.fetch(await asRequest(incoming))
    if (answer.status === CUT) {
      incoming.socket.destroy()
      return
    }
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers))
    outgoing.end(await answer.text())
  })
  await new Promise<void>(resolve => server.listen(listen.port, listen.hostname, resolve))
  const { port } = server.address() as AddressInfo
  return { hostname: listen.hostname, port, close: () => closed(server) }
}

/**
 * Serves in the network namespace that the calling thread is in (call it in that which owns
 * 100.100.100.200). `serviceFor` gives the service of the instance with that address; undefined: it
 * is no instance.
 */
export function serveMetadata(
  serviceFor: (address: string) => Pick<MetadataService, 'fetch'> | undefined,
  listen: { hostname: string; port: number },
): Serving {
  const server = Bun.serve({
    ...listen,
    fetch: (request, serving) => {
      const address = serving.requestIP(request)?.address.replace(/^::ffff:/, '') ?? ''
      return serviceFor(address)?.fetch(request) ?? new Response('', { status: 404 })
    },
  })
  return { hostname: listen.hostname, port: server.port ?? 0, close: () => server.stop(true) }
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.closeAllConnections()
    server.close(() => resolve())
  })
}

async function asRequest(incoming: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const headers = Object.entries(incoming.headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as [string, string]] : [],
  )
  const body = Buffer.concat(chunks).toString()
  const method = incoming.method ?? 'GET'
  return new Request(`http://${incoming.headers.host ?? 'cloud'}${incoming.url ?? '/'}`, {
    method,
    headers,
    ...(body === '' ? {} : { body }),
  })
}
