/**
 * `terway-edge cni-server`: the CNI plugin's work from a process that is warm, for a runtime that
 * starts many pods at once. A service of its own, for it needs the right to enter pods' namespaces,
 * which a process that reads what a switch sends had better not have. It speaks to nobody but the
 * plugin, and keeps nothing: without it, each call of the plugin does the work itself.
 */
import { startCniServer } from '../cni/server.ts'
import { type ConfigFlags, loadConfig } from '../config/load.ts'
import { requireCapabilities } from '../host/capabilities.ts'
import { notifyService } from '../host/notify.ts'
import { endSoon, untilSignal } from '../host/signals.ts'
import { feedWatchdog } from '../host/watchdog.ts'
import { systemClock } from '../lib/clock.ts'
import { createLog } from '../lib/log.ts'
import { createProgram, logLevelOption, runProgram } from './program.ts'

export function cniServerCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'cni-server',
    'Does the work of the CNI plugin, which asks it where it runs: pods start some milliseconds sooner. Without it each call of the plugin does its work itself.',
    ['terway-edge cni-server --config /etc/terway-edge/config.yaml'],
  )
    .option('--config <file>', 'the configuration file (default: /etc/terway-edge/config.yaml if it is there)')
    .option('--state <dir>', 'where the addresses of pods are kept (default: /var/lib/terway-edge)')
    .addOption(logLevelOption())
  return runProgram<ConfigFlags>(program, args, async flags => {
    const config = loadConfig(flags)
    const log = createLog(config.logLevel).child({ room: 'cni' })
    requireCapabilities(['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'])
    const server = startCniServer({ stateDir: config.state, log })
    log.info({}, 'serving the CNI plugin')
    const stopFeeding = feedWatchdog({ clock: systemClock, log })
    notifyService('READY=1', log)
    const signal = await untilSignal()
    log.info({ reason: signal }, 'stopping; the plugin goes on by itself')
    stopFeeding()
    server.close()
    endSoon(log)
    return 0
  })
}
