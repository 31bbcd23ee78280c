/**
 * The status interface of a process that has more important things to do: a port that cannot be had
 * (another process listens there, the address is not there yet) is a problem that is told, and
 * tried again until it can be had. What the configuration may not ask for is refused at once.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { admissibleListen, type StatusServer, type StatusServerOptions, startStatusServer } from './server.ts'

export interface KeptStatusServer {
  /** Where it listens; undefined while it cannot. */
  readonly url: string | undefined
  /** Why it cannot. */
  readonly problems: readonly string[]
  close(): Promise<void>
}

const BACKOFF = { initialMilliseconds: 1000, maximumMilliseconds: 30_000 }

/** Listens, or tries until it can. Throws a UserError of status 2 where it must not listen. */
export function keepStatusServer(
  options: StatusServerOptions & { readonly clock: Clock; readonly log: Log },
  onServed: (url: string) => void,
): KeptStatusServer {
  admissibleListen(options)
  const { clock, log } = options
  let server: StatusServer | undefined
  let problem: string | undefined
  const attempt = () => {
    if (server !== undefined) return
    server = startStatusServer(options)
    problem = undefined
    onServed(server.url)
  }
  const failed = (error: unknown) => {
    const text = errorText(error)
    if (text !== problem) log.error({ detail: text }, 'no status interface; everything else goes on')
    problem = text
  }
  const loop = new Loop({ clock, run: attempt, onError: failed, backoff: BACKOFF })
  try {
    attempt()
  } catch (error) {
    failed(error)
    loop.wake()
  }
  return {
    get url() {
      return server?.url
    },
    get problems() {
      return problem === undefined ? [] : [problem]
    },
    async close() {
      await loop.close()
      await server?.close()
    },
  }
}
