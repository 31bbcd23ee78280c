/**
 * A node that only measures paths, in the network namespace that it is started in: the view is its
 * first argument, its name the second. Prints its report, a line of JSON, twice a second.
 */
import { systemClock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { startProber } from '../../src/paths/prober.ts'

const [viewText = '', self = ''] = process.argv.slice(2)
const view = JSON.parse(viewText)
const prober = startProber({
  clock: systemClock,
  log: createLog('warn'),
  self,
  view: () => view,
  mtu: () => 1500,
  protocol: 187,
  port: 9179,
  budget: { lanPacketsPerMinute: 120, farPacketsPerMinute: 60 },
  bySwitch: true,
})
setInterval(() => process.stdout.write(`${JSON.stringify(prober.report)}\n`), 500)
