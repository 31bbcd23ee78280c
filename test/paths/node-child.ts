/**
 * A node that only measures paths, in the network namespace that it is started in: the view is its
 * first argument, its name the second. Prints its report, a line of JSON, twice a second.
 */
import { systemClock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { startProber } from '../../src/paths/prober.ts'
import { standOfNode } from '../../src/paths/stand.ts'

const [viewText = '', self = ''] = process.argv.slice(2)
const view = JSON.parse(viewText)
const prober = startProber({
  clock: systemClock,
  log: createLog('warn'),
  stand: () => standOfNode({ self, view, controllers: [], protocol: 187, bySwitch: true, prepares: true }),
  mtu: () => 1500,
  port: 9179,
  budget: { lanPacketsPerMinute: 120, farPacketsPerMinute: 60 },
})
setInterval(() => process.stdout.write(`${JSON.stringify(prober.report)}\n`), 500)
