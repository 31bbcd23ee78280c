/**
 * `terway-edge upgrade` and `rollback`: another version in the place of the installed one, watched
 * until the node does with it what it did before. Puts the parts together; host/upgrade.ts does it.
 */
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { carryOut } from '../host/carry-out.ts'
import { installableExecutable } from '../host/executable.ts'
import { PREVIOUS_EXECUTABLE, ROLE_FILES, type Role, UNITS, unitName } from '../host/installed-files.ts'
import { lookAt } from '../host/look.ts'
import { giveBackSteps, pathsToHandOver } from '../host/service-user.ts'
import { systemctlStep } from '../host/steps.ts'
import { formerExecutable, installedRoles, upgrade } from '../host/upgrade.ts'
import { systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import { print } from '../lib/stdout.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { askSnapshot } from '../status/ask.ts'
import { requireRoot } from './install.ts'
import { createProgram, runProgram } from './program.ts'

interface Options {
  readonly patience: number
  readonly back?: boolean
}

export function upgradeCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'upgrade',
    'Installs another version over the one that is installed, and takes the former back when a session or a route does not return. Pods, routes and announcements stay meanwhile. The former executable is kept for rollback.',
    ['./terway-edge-0.2.0 upgrade   # to this executable', 'terway-edge upgrade ./terway-edge-0.2.0 --patience 180'],
  )
    .argument('[file]', 'the executable of the version to go to (default: this one)')
    .option('--no-back', 'do not take the former version back by itself')
  return runProgram<Options>(addPatience(program), args, async ({ patience, back = true }, [file]) => {
    requireRoot('/', 'upgrade')
    await upgrade({ to: file ?? installableExecutable().from, goBack: back, ...parts(patience) })
    return 0
  })
}

export function rollbackCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'rollback',
    `Goes back to the version before the last upgrade (${PREVIOUS_EXECUTABLE}); called again, forth.`,
    ['terway-edge rollback'],
  )
  return runProgram<Options>(addPatience(program), args, async ({ patience }) => {
    requireRoot('/', 'rollback')
    const to = formerExecutable()
    if (to === undefined) {
      throw new UserError(`there is no ${PREVIOUS_EXECUTABLE}: nothing was upgraded here yet`, { exitStatus: 2 })
    }
    await upgrade({ to, goBack: false, ...parts(patience) })
    return 0
  })
}

function addPatience(program: ReturnType<typeof createProgram>) {
  return program.option(
    '--patience <seconds>',
    'how long sessions and routes may take to be back',
    text => {
      if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
      throw new UserError(`--patience ${text}: write a number of seconds from 1 to 9999`, { exitStatus: 2 })
    },
    90,
  )
}

function parts(patienceSeconds: number) {
  const ask = new Map(installedRoles().flatMap(role => askerOf(role)))
  const say = (line: string) => print(`${line}\n`)
  return { patienceSeconds, ask, clock: systemClock, say, giveBack }
}

async function giveBack(): Promise<void> {
  const config = configOf('node')
  const seen = lookAt('/', pathsToHandOver(config), [])
  const steps = giveBackSteps(config, seen)
  if (steps.length === 0) return
  const stop = UNITS.map(path => systemctlStep('stop', unitName(path)))
  await carryOut([...stop, ...steps], { root: '/', say: () => {} })
}

function configOf(role: Role): Config {
  const file = ROLE_FILES[role].config
  return parseConfig(readFileIfPresent(file) ?? '', file)
}

/**
 * How to ask the process of a role, by what its configuration says of its status interface; with
 * TLS it may want a certificate of who asks.
 */
function askerOf(role: Role): [Role, () => Promise<Snapshot | undefined>][] {
  const { listen, tokenFile, tls } = configOf(role).status
  if (tls !== undefined) return []
  const address = `http://${listen.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:')}`
  const options = { address, ...(tokenFile !== undefined && { tokenFile }) }
  return [[role, () => askSnapshot(options).catch(() => undefined)]]
}
