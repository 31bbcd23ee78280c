/**
 * The lab's API server as a process of its own, for measurements: `bun lab-server.ts PORT`. Prints
 * a line when it serves.
 */
import { serveApi } from '../../../src/apiserver/serve.ts'
import { systemClock } from '../../../src/lib/clock.ts'

const { port } = serveApi({ hostname: '0.0.0.0', port: Number(process.argv[2] ?? 0), clock: systemClock })
console.log(port)
