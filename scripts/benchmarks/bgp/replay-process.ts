/**
 * The limit: writes UPDATEs that were encoded beforehand to a session, and does nothing else. The
 * bytes are those that our speaker sends, over a socket of the same kind.
 *
 * Arguments: the file with the bytes.
 */
import { readFileSync } from 'node:fs'
import { encodeMessage, INITIAL_CONTEXT } from '../../../src/bgp/codec/message.ts'
import { MessageFramer } from '../../../src/bgp/codec/message-framer.ts'
import { createTransport } from '../../../src/bgp/tcp/transport.ts'
import { isConnection } from '../../../src/bgp/tcp/transport-types.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { HOLD_SECONDS, SENDER, SINK } from './routes.ts'

const KEEPALIVE_TYPE = 4
const updates = readFileSync(process.argv[2] ?? '')

createTransport({ clock: systemClock }).connect(
  { address: SINK.address, port: 179, ttl: 1, timeoutMilliseconds: 5000 },
  connection => {
    if (!isConnection(connection)) throw new Error(connection.detail)
    const framer = new MessageFramer()
    let sent = false
    connection.attach({
      data(bytes) {
        for (const message of framer.push(bytes).messages) {
          if (message[18] !== KEEPALIVE_TYPE || sent) continue
          sent = true
          connection.write(updates)
        }
      },
      drained() {},
      ended: problem => {
        throw new Error(problem.detail)
      },
    })
    const open = encodeMessage(
      {
        type: 'OPEN',
        version: 4,
        asNumber: SENDER.asNumber,
        holdTime: HOLD_SECONDS,
        bgpIdentifier: SENDER.address,
        capabilities: [
          { kind: 'multiprotocol', afi: 1, safi: 1 },
          { kind: 'four-octet-as', asNumber: SENDER.asNumber },
        ],
      },
      INITIAL_CONTEXT,
    )
    connection.write(open)
    connection.write(encodeMessage({ type: 'KEEPALIVE' }, INITIAL_CONTEXT))
  },
)
setInterval(() => {}, 60_000)
