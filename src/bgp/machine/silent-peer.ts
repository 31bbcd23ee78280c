/**
 * Finds out why a peer is silent when a password is set. The kernel drops every segment that is not
 * signed with our key (RFC 2385), the reset of a port where nothing listens among them, so a
 * stopped daemon looks like a wrong password: no answer. After such a silence one connection
 * without the password is tried; nothing is sent on it, and what becomes of it tells the two apart.
 * Pure.
 */
import type { Connection, Endpoint, Transport, TransportProblem } from '../tcp/transport-types.ts'
import { isConnection } from '../tcp/transport-types.ts'

/** Enough for a SYN and one repetition. */
const ASK_MILLISECONDS = 2_000

/**
 * `transport`, with the timeouts of connections that have a password explained where that can be
 * done.
 */
export function explainSilence(transport: Transport): Transport {
  return {
    listen: (options, accepted) => transport.listen(options, accepted),
    connect(to, done) {
      let cancel = transport.connect(to, result => {
        if (isConnection(result) || result.kind !== 'timed-out' || to.password === undefined) return done(result)
        cancel = transport.connect(withoutPassword(to), answer => done(explained(result, answer)))
      })
      return () => cancel()
    },
  }
}

function withoutPassword({ password: _, ...to }: Endpoint): Endpoint {
  return { ...to, timeoutMilliseconds: ASK_MILLISECONDS }
}

/** `silence`, or what the connection without a password says that is more to the point. */
function explained(silence: TransportProblem, answer: Connection | TransportProblem): TransportProblem {
  if (!isConnection(answer)) return answer.kind === 'timed-out' ? silence : answer
  answer.abort()
  const detail = 'it takes connections without a password and none with ours: is this node configured there, with it?'
  return { kind: 'closed', detail }
}
