/** The server of the plugin, started by the tests in the namespace of a node. Ends with SIGTERM. */
import { startCniServer } from '../../src/cni/server.ts'
import { silentLog } from '../../src/lib/log.ts'

const [stateDir = ''] = process.argv.slice(2)
const server = startCniServer({ stateDir, log: silentLog })
process.on('SIGTERM', () => {
  server.close()
  process.exit(0)
})
console.log('serving')
setInterval(() => {}, 60_000)
