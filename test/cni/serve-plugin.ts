/**
 * The server of the plugin, started by the tests in the namespace of a node. Ends with SIGTERM;
 * says on stderr what became of each request.
 */
import { startCniServer } from '../../src/cni/server.ts'
import { createLog } from '../../src/lib/log.ts'

const [stateDir = ''] = process.argv.slice(2)
const server = startCniServer({ stateDir, log: createLog('debug') })
process.on('SIGTERM', () => {
  server.close()
  process.exit(0)
})
console.log('serving')
setInterval(() => {}, 60_000)
