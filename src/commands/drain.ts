/**
 * `terway-edge drain`: takes this node's sessions out of service before work on it: every
 * announcement is sent again with GRACEFUL_SHUTDOWN (RFC 8326) so that the device moves to another
 * speaker's, withdrawn some seconds later, then the sessions are closed with Cease.
 *
 * The routes of this node stay, so its pods keep their way out while the LAN's other speakers
 * announce them. The work is done by the process that serves; this one asks it to and waits.
 */
import { type ConfigFlags, loadConfig } from '../config/load.ts'
import { askToDrain, drainTimeoutSeconds } from '../host/drain.ts'
import { systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'

export function drainCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'drain',
    'Withdraws what this node announces and closes its BGP sessions with Cease. Restarting the service takes it back.',
    ['terway-edge drain', 'systemctl restart terway-edge   # and it speaks again'],
  )
    .option('--config <file>', 'the configuration file of the service')
    .option('--state <dir>', 'the state folder of the service (default: /var/lib/terway-edge)')
    .option(
      '--timeout <seconds>',
      'how long to wait for it (default: bgp.drainSeconds of the configuration and 15)',
      readSeconds,
    )
  return runProgram<ConfigFlags & { timeout?: number }>(program, args, async options => {
    const config = loadConfig(options)
    const { state, status } = config
    await askToDrain(state, systemClock, options.timeout ?? drainTimeoutSeconds(config))
    print(`drained: nothing is announced from here; see terway-edge peers --address http://${status.listen}\n`)
    return 0
  })
}

function readSeconds(text: string): number {
  const seconds = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(seconds) && seconds > 0) return seconds
  throw new UserError(`--timeout ${text}: write a number of seconds, such as 30`, { exitStatus: 2 })
}
