/**
 * The thread in which BFD runs, so that a main thread that is busy for seconds (a large list, a
 * garbage collection) ends no session. An entry point of its own: the build names it beside
 * main.ts. Loads nothing but this room and the light parts of lib.
 */
import { parentPort } from 'node:worker_threads'
import { assertNever } from '../lib/assert.ts'
import { systemClock } from '../lib/clock.ts'
import { BfdEngine } from './engine.ts'
import { createUdpTransport } from './transport.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

let engine: BfdEngine | undefined

function tell(message: FromWorker): void {
  parentPort?.postMessage(message)
}

function start(networkNamespace: string | undefined): BfdEngine {
  return new BfdEngine({
    clock: systemClock,
    transport: events =>
      createUdpTransport({
        clock: systemClock,
        ...events,
        ...(networkNamespace === undefined ? {} : { networkNamespace }),
      }),
    emit: event => tell({ kind: 'event', event }),
    changed: views => tell({ kind: 'views', views }),
    log: { note: (level, fields, phrase) => tell({ kind: 'log', level, fields, phrase }) },
  })
}

parentPort?.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'start':
      engine = start(message.networkNamespace)
      break
    case 'sessions':
      engine?.setSessions(message.sessions)
      break
    case 'resume':
      engine?.resume(message.sessions)
      break
    case 'suspend':
      void engine?.suspend(message.seconds).then(sessions => tell({ kind: 'suspended', sessions }))
      break
    case 'close':
      void engine?.close().then(() => tell({ kind: 'closed' }))
      break
    default:
      assertNever(message)
  }
})
