/**
 * The process around the lab's API server: listens, and keeps the state in a file when asked to.
 *
 * No TLS and no authentication: it listens inside the lab, or on loopback for tests.
 */
import type { Clock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { Loop } from '../lib/loop.ts'
import { LabApi } from './lab-api.ts'
import { decodeImage } from './store.ts'

export interface ApiServer {
  readonly port: number
  readonly api: LabApi
  close(): Promise<void>
}

export interface ServeOptions {
  readonly hostname: string
  /** 0 takes a free one. */
  readonly port: number
  readonly clock: Clock
  /** Where the objects are kept from one life to the next; absent: nowhere. */
  readonly stateFile?: string
}

/** Starts to serve. Throws when the address cannot be had. */
export function serveApi({ hostname, port, clock, stateFile }: ServeOptions): ApiServer {
  const text = stateFile === undefined ? undefined : readFileIfPresent(stateFile)
  const image = text === undefined ? undefined : decodeImage(text)
  const api = new LabApi({ clock, ...(image === undefined ? {} : { image }) })
  const server = listen(hostname, port, api)
  const saving = stateFile === undefined ? undefined : keepState(api, stateFile, clock)
  return {
    port: server.port ?? port,
    api,
    async close() {
      await server.stop(true)
      await saving?.()
    },
  }
}

function listen(hostname: string, port: number, api: LabApi): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname,
      port,
      idleTimeout: 0, // watches are silent for long
      fetch: request => api.fetch(request),
    })
  } catch (error) {
    throw new UserError(`cannot listen on ${hostname} port ${port}`, { cause: error })
  }
}

/**
 * Writes the objects to `file` soon after each change. Returns how to write the last of them and
 * stop.
 */
function keepState(api: LabApi, file: string, clock: Clock): () => Promise<void> {
  const save = () => writeFileWhole(file, JSON.stringify(api.store.image()))
  const loop = new Loop({ clock, run: save, onError: () => {}, settleMilliseconds: 200 })
  const unsubscribe = api.store.subscribe(() => loop.wake())
  return async () => {
    unsubscribe()
    await loop.close()
    save()
  }
}
