/**
 * Starts the lab's routers (BIRD or FRR, each in its namespace with files of its own, beside any
 * that the machine runs) and asks them about their sessions and routes.
 *
 * Does not write configurations (router-config.ts) and does not understand answers
 * (router-state.ts).
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, sleep } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { writeFileWhole } from '../lib/files.ts'
import { inFolder } from './folders.ts'
import type { LabPlan, RouterKind, SwitchPlan } from './plan.ts'
import { isAlive, type ProcessPlan, startProcess } from './processes.ts'
import type { LabBook } from './record.ts'
import { birdBorderConfig, birdSwitchConfig, frrSwitchConfig } from './router-config.ts'
import {
  type KernelRoute,
  parseBirdSessions,
  parseFrrSessions,
  parseKernelRoutes,
  type RouterSession,
} from './router-state.ts'
import { findProgram, inside, run } from './run.ts'

interface RouterPlan {
  readonly name: string
  readonly namespace: string
  readonly router: RouterKind
  readonly config: string
}

/** The programs that routers of these kinds need. */
export function routerPrograms(kinds: readonly RouterKind[]): readonly string[] {
  return ['bird', 'birdc', ...(kinds.includes('frr') ? ['zebra', 'bgpd', 'vtysh'] : [])]
}

/** Starts both switches and the border router. */
export async function startRouters(plan: LabPlan, book: LabBook, clock: Clock): Promise<void> {
  const switches = plan.lans.map((lan): RouterPlan => {
    const { name, namespace, router } = lan.switch
    return {
      name,
      namespace,
      router,
      config: router === 'bird' ? birdSwitchConfig(plan, lan) : frrSwitchConfig(plan, lan),
    }
  })
  const { name, namespace } = plan.border
  for (const router of [...switches, { name, namespace, router: 'bird', config: birdBorderConfig(plan) } as const]) {
    await startRouter(router, book, clock)
  }
}

function folderOf(directory: string, name: string): string {
  return inFolder(directory, 'routers', name)
}

async function startRouter(router: RouterPlan, book: LabBook, clock: Clock): Promise<void> {
  const folder = folderOf(book.record.options.directory, router.name)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const configFile = join(folder, `${router.router}.conf`)
  writeFileWhole(configFile, router.config, { mode: 0o644 })
  // its daemons insist on being this user
  if (router.router === 'frr') await run(['chown', 'frr:frr', folder])
  writeShell(router.router, folder)
  for (const { process: plan, socket } of daemons(router, folder, configFile)) {
    const started = startProcess(book, plan)
    const deadline = clock.monotonic() + 10_000
    while (!existsSync(socket)) {
      if (!isAlive(started) || clock.monotonic() > deadline) {
        throw new UserError(`${plan.name} did not start; its log is ${started.logFile}`)
      }
      await sleep(clock, 50)
    }
  }
}

/**
 * `birdc` or `vtysh` that finds its daemon's socket: for `lab exec switch-a -- birdc show route`.
 */
function writeShell(kind: RouterKind, folder: string): void {
  const [name, option] = kind === 'bird' ? ['birdc', `-s "${folder}/bird.ctl"`] : ['vtysh', `--vty_socket "${folder}"`]
  writeFileWhole(join(shellFolder(folder), name), `#!/bin/sh\nexec ${findProgram(name) ?? name} ${option} "$@"\n`, {
    mode: 0o755,
  })
}

function shellFolder(folder: string): string {
  return join(folder, 'bin')
}

/**
 * The folder of the shells of the router `name`, to be looked at before PATH. Of a part that is no
 * router there is none.
 */
export function routerShellFolder(directory: string, name: string): string {
  return shellFolder(folderOf(directory, name))
}

interface Daemon {
  readonly process: ProcessPlan
  /** Exists once it runs. */
  readonly socket: string
}

function daemons({ name, namespace, router }: RouterPlan, folder: string, configFile: string): readonly Daemon[] {
  if (router === 'bird') {
    const socket = join(folder, 'bird.ctl')
    const command = ['bird', '-f', '-c', configFile, '-s', socket, '-P', join(folder, 'bird.pid')]
    return [{ process: { name, namespace, command }, socket }]
  }
  const managed = findProgram('mgmtd') !== undefined
  const programs = [...(managed ? ['mgmtd'] : []), 'zebra', 'bgpd']
  return programs.map(program => {
    const command = frrCommand(program, folder, configFile)
    return {
      process: { name: `${name}-${program}`, namespace, command: managed ? withOwnFolders(folder, command) : command },
      socket: join(folder, `${program}.vty`),
    }
  })
}

/**
 * FRR 10 has a management daemon, which keeps its sockets in /run/frr and reads the files in
 * /etc/frr whatever else it is told, and the others look for it there. For each daemon of the lab
 * the one is the switch's folder and the other is empty: it meets neither another switch nor the
 * machine's FRR. A /run/frr that was not there stays, empty.
 */
function withOwnFolders(folder: string, command: readonly string[]): readonly string[] {
  const script = `mkdir -p /run/frr && mount --bind "$0" /run/frr &&
    { [ ! -d /etc/frr ] || mount -t tmpfs none /etc/frr; } && exec "$@"`
  return ['unshare', '--mount', 'sh', '-c', script, folder, ...command]
}

/**
 * A daemon of FRR that shares nothing with those of another switch. Only bgpd has a configuration;
 * the management daemon does not know the option for one.
 */
function frrCommand(program: string, folder: string, configFile: string): readonly string[] {
  const options = {
    ...(program === 'mgmtd' ? {} : { '--config_file': program === 'bgpd' ? configFile : '/dev/null' }),
    '--pid_file': join(folder, `${program}.pid`),
    '--socket': join(folder, 'zserv.api'),
    '--vty_socket': folder,
    '--vty_port': '0',
    '--log': 'stdout',
  }
  return [findProgram(program) ?? program, ...Object.entries(options).flat()]
}

/** The sessions of a switch as it says itself. Throws when it does not answer. */
export async function switchSessions(directory: string, device: SwitchPlan): Promise<readonly RouterSession[]> {
  const folder = folderOf(directory, device.name)
  if (device.router === 'bird') {
    return parseBirdSessions(await run(['birdc', '-s', join(folder, 'bird.ctl'), 'show', 'protocols', 'all']))
  }
  return parseFrrSessions(await run(['vtysh', '--vty_socket', folder, '-c', 'show bgp summary json']))
}

/** The routes in the kernel of a switch: what it really forwards by. */
export async function switchRoutes(device: SwitchPlan): Promise<readonly KernelRoute[]> {
  const families = device.address6 === undefined ? ['-4'] : ['-4', '-6']
  const tables = families.map(family => run(inside(device.namespace, ['ip', '-j', family, 'route', 'show'])))
  return (await Promise.all(tables)).flatMap(parseKernelRoutes)
}
