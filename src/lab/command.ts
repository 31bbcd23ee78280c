/**
 * `terway-edge lab`: the whole system on one machine in network namespaces, with real routers.
 * Subcommands and their options; the work is in the other files of this room. Each subcommand loads
 * only what it needs: the lab's own helper processes (`api`, `relay`) are this command too.
 */
import type { Command } from 'commander'
import { systemClock } from '../lib/clock.ts'
import { createProgram, runProgram } from '../lib/command-line.ts'
import { UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import type { LabState } from './lab-state.ts'
import { DEFAULT_DIRECTORY, decodeOptions } from './plan.ts'
import { labCommandLine } from './run.ts'

interface Subcommand {
  readonly summary: string
  readonly run: (args: readonly string[]) => Promise<number>
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  up: { summary: 'build the lab and show that it works', run: upCommand },
  status: { summary: 'show nodes, sessions, the ping matrix and the status pages', run: statusCommand },
  check: { summary: 'like status; exit status 1 unless everything holds', run: checkCommand },
  exec: { summary: 'run a command on a node, a pod, a switch, the border router or the VPC host', run: execCommand },
  kubectl: { summary: "run kubectl against the lab's API server", run: kubectlCommand },
  down: { summary: 'remove everything that the lab made', run: downCommand },
  api: { summary: "the lab's API server alone, for tests; never for production", run: apiCommand },
  cloud: { summary: 'the simulated cloud of a lab (used by the lab itself)', run: cloudCommand },
  relay: { summary: 'pass TCP connections between namespaces (used by the lab itself)', run: relayCommand },
}

export async function labCommand(args: string[]): Promise<number> {
  const [name = '', ...rest] = args
  const subcommand = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined
  if (subcommand !== undefined) return subcommand.run(rest)
  if (name === '' || name === 'help' || name === '--help' || name === '-h') {
    print(help())
    return name === '' ? 2 : 0
  }
  throw new UserError(`there is no subcommand ${JSON.stringify(name)}; terway-edge lab --help lists them`, {
    exitStatus: 2,
  })
}

function help(): string {
  const width = Math.max(...Object.keys(SUBCOMMANDS).map(name => name.length))
  const lines = Object.entries(SUBCOMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `Usage: terway-edge lab <command> [options]

Two LANs with real switches (BIRD or FRR), a border router and a VPC host in network namespaces of this machine; the controller, the
nodes and their pods as separate processes. With --cloud also a simulated cloud: two nodes of ECS and one of ENS, whose pods sit on
elastic network interfaces. Nothing of the host's network is changed. Needs root.

Commands:
${lines.join('\n')}

Examples:
  terway-edge lab up                          # build it and leave it running
  terway-edge lab up --check                  # build it, check every path, take it down; exit status 0 if all holds
  terway-edge lab up --cloud                  # nodes of the cloud beside those of the LANs
  terway-edge lab up --switch bird,frr        # LAN a with BIRD, LAN b with FRR
  terway-edge lab exec node-1 -- ip route
  terway-edge lab exec switch-a -- tcpdump -ni lan port 179
  terway-edge lab kubectl get bgppeers
  terway-edge lab down
`
}

function withDirectory(program: Command): Command {
  return program.option(
    '--dir <folder>',
    'where the lab keeps its files; labs in different folders do not meet',
    DEFAULT_DIRECTORY,
  )
}

interface Directory {
  readonly dir: string
}

function say(line: string): void {
  process.stderr.write(`lab: ${line}\n`)
}

interface UpFlags extends Directory {
  readonly switch: string
  readonly nodes: string
  readonly ipv6?: true
  readonly cloud?: true
  readonly kubeconfig?: string
  readonly executable?: string
  readonly port: string
  readonly check?: true
  readonly keep?: true
  readonly output?: string
}

function upCommand(args: readonly string[]): Promise<number> {
  const program = withDirectory(
    createProgram(
      'lab up',
      'Builds the lab, waits until it works, shows it, and leaves it running in the background.',
      [
        'terway-edge lab up',
        'terway-edge lab up --cloud',
        'terway-edge lab up --switch frr --check',
        'terway-edge lab up --kubeconfig ~/.kube/config',
      ],
    ),
  )
    .option('--switch <router>', 'bird or frr, or one for each LAN: bird,frr', 'bird')
    .option('--nodes <names>', 'names of the nodes, the first half in LAN a', 'node-1,node-2,node-3,node-4')
    .option('--ipv6', 'dual stack: IPv6 beside IPv4 everywhere')
    .option('--cloud', 'a simulated cloud too: two nodes of ECS and one of ENS, pods on elastic network interfaces')
    .option(
      '--kubeconfig <file>',
      "use this cluster's API server instead of the lab's own; what the lab makes there is removed by lab down",
    )
    .option('--executable <file>', 'the terway-edge to run (default: this one)')
    .option('--port <number>', "port of the controller's status page on 127.0.0.1 (0: a free one)", '0')
    .option('--check', 'exit status 1 unless every session and every path holds; takes the lab down afterwards')
    .option('--keep', 'with --check: leave the lab running')
    .option('-o, --output <format>', OUTPUT, readOutput)
  return runProgram<UpFlags>(program, args, async flags => {
    const lab = decodeOptions(flags)
    const pagePort = port(flags.port)
    const { requireRoot } = await import('./topology.ts')
    requireRoot()
    const { up } = await import('./up.ts')
    const { ownCommand } = await import('./programs.ts')
    const { exclusively } = await import('./folders.ts')
    const { down } = await import('./down.ts')
    const interruption = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())
    return exclusively(lab.directory, async () => {
      const state = await up({
        lab,
        command: ownCommand(flags.executable),
        ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
        pagePort,
        clock: systemClock,
        signal: interruption.signal,
        say,
      })
      await show(state, flags.output)
      const good = tell(state.problems)
      if (flags.check === true && flags.keep !== true) {
        say('taking the lab down')
        for (const message of (await down(lab.directory, systemClock)).messages) say(message)
      } else say(`it is running; remove it with "${labCommandLine('down', lab.directory)}"`)
      return good ? 0 : 1
    })
  })
}

const OUTPUT = 'json; leave it out for tables'

function readOutput(text: string): 'json' {
  if (text === 'json') return text
  throw new UserError(`-o ${text}: there is json; leave it out for tables`, { exitStatus: 2 })
}

function port(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0 && value <= 65_535) return value
  throw new UserError(`--port: ${JSON.stringify(text)} is not a port from 0 to 65535`, { exitStatus: 2 })
}

async function show(state: LabState, output: string | undefined): Promise<void> {
  const { formatState } = await import('./lab-state.ts')
  print(output === 'json' ? `${JSON.stringify(state, null, 2)}\n` : `\n${formatState(state)}\n`)
}

/** Says what does not hold; true when everything does. */
function tell(problems: readonly string[]): boolean {
  for (const problem of problems) say(`FAILED: ${problem}`)
  if (problems.length === 0) say('every session is established and every path works, with no address translated')
  return problems.length === 0
}

interface StatusFlags extends Directory {
  readonly output?: string
}

/** Looks at the lab; 0, or with `strict` 1 when something does not hold. */
function look(program: Command, args: readonly string[], strict: boolean): Promise<number> {
  return runProgram<StatusFlags>(
    withDirectory(program).option('-o, --output <format>', OUTPUT, readOutput),
    args,
    async flags => {
      const { lookAt } = await import('./look.ts')
      const state = await lookAt(flags.dir, systemClock)
      await show(state, flags.output)
      return tell(state.problems) || !strict ? 0 : 1
    },
  )
}

function statusCommand(args: readonly string[]): Promise<number> {
  return look(
    createProgram('lab status', 'Shows the lab: nodes, sessions, routes, the ping matrix, the status pages.', [
      'terway-edge lab status',
      'terway-edge lab status -o json | jq .problems',
    ]),
    args,
    false,
  )
}

function checkCommand(args: readonly string[]): Promise<number> {
  return look(
    createProgram('lab check', 'Shows the lab; exit status 1 unless every session and every path holds.', [
      'terway-edge lab check',
    ]),
    args,
    true,
  )
}

function execCommand(args: readonly string[]): Promise<number> {
  const program = withDirectory(
    createProgram('lab exec', 'Runs a command in the network namespace of a part of the lab.', [
      'terway-edge lab exec node-1 -- ip route show proto 187',
      'terway-edge lab exec pod-node-1 -- ping 192.168.0.10',
      'terway-edge lab exec switch-a -- bash',
    ]),
  )
    .argument('<place>', 'node-1, pod-node-1, switch-a, border, vpc, …')
    .argument('<command...>', 'what to run there')
    .passThroughOptions()
  return runProgram<Directory>(program, args, async ({ dir }, [place = '', ...command]) => {
    const { executeIn } = await import('./look.ts')
    return executeIn(dir, place, command[0] === '--' ? command.slice(1) : command)
  })
}

function kubectlCommand(args: readonly string[]): Promise<number> {
  const program = withDirectory(
    createProgram('lab kubectl', "Runs kubectl against the lab's API server.", [
      'terway-edge lab kubectl get nodes -o wide',
      'terway-edge lab kubectl describe bgppeer lan-a',
    ]),
  )
    .argument('<words...>', "kubectl's own arguments")
    .passThroughOptions()
    .allowUnknownOption()
  return runProgram<Directory>(program, args, async ({ dir }, words) => {
    const { runKubectl } = await import('./look.ts')
    return runKubectl(dir, words)
  })
}

function downCommand(args: readonly string[]): Promise<number> {
  const program = withDirectory(
    createProgram(
      'lab down',
      'Removes everything that the lab made: processes, namespaces, files, and its objects in a real cluster.',
      ['terway-edge lab down'],
    ),
  )
  return runProgram<Directory>(program, args, async ({ dir }) => {
    const { removeLab } = await import('./down.ts')
    const { found, messages } = await removeLab(dir, systemClock)
    for (const message of messages) say(message)
    say(found ? 'removed' : `there is no lab in ${dir}`)
    return messages.length > 0 ? 1 : 0
  })
}

interface ApiFlags {
  readonly listen: string
  readonly state?: string
}

function apiCommand(args: readonly string[]): Promise<number> {
  const program = createProgram(
    'lab api',
    'An API server in memory, as far as this project and kubectl need one. No TLS, no authentication: never for production.',
    ['terway-edge lab api --listen 127.0.0.1:8080'],
  )
    .option('--listen <addr:port>', 'where to listen', '127.0.0.1:8080')
    .option('--state <file>', 'where to keep the objects from one life to the next (default: nowhere)')
  return runProgram<ApiFlags>(program, args, async ({ listen, state }) => {
    const { serveApi } = await import('../apiserver/serve.ts')
    const colon = listen.lastIndexOf(':')
    const server = serveApi({
      hostname: listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
      port: port(listen.slice(colon + 1)),
      clock: systemClock,
      ...(state === undefined ? {} : { stateFile: state }),
    })
    process.stderr.write(`lab api: listening on ${listen.slice(0, colon)}:${server.port}\n`)
    await untilAsked()
    await server.close()
    return 0
  })
}

interface CloudFlags extends Directory {
  readonly ready: string
}

function cloudCommand(args: readonly string[]): Promise<number> {
  const program = withDirectory(
    createProgram('lab cloud', 'The simulated cloud of a lab: OpenAPI, metadata, and the cables of its interfaces.'),
  ).requiredOption('--ready <file>', 'written once it serves')
  return runProgram<CloudFlags>(program, args, async ({ dir, ready }) => {
    const { planOf } = await import('./look.ts')
    const { startCloud } = await import('./cloud-process.ts')
    const { writeFileWhole } = await import('../lib/files.ts')
    const { cloud, vpc } = planOf(dir)
    if (cloud === undefined) throw new UserError(`the lab in ${dir} has no cloud`)
    const running = await startCloud({ plan: cloud, address: vpc.address, clock: systemClock, say })
    writeFileWhole(ready, '')
    await untilAsked()
    await running.close()
    return 0
  })
}

interface RelayFlags {
  readonly routes: string
  readonly ready: string
}

function relayCommand(args: readonly string[]): Promise<number> {
  const program = createProgram('lab relay', 'Passes TCP connections between network namespaces.')
    .requiredOption('--routes <file>', 'what to listen on and where to connect on to, as JSON')
    .requiredOption('--ready <file>', 'where to write the ports it got')
  return runProgram<RelayFlags>(program, args, async ({ routes, ready }) => {
    const { decodeRoutes, startRelay } = await import('./relay.ts')
    const { writeFileWhole } = await import('../lib/files.ts')
    const relay = await startRelay(decodeRoutes(await Bun.file(routes).text()), systemClock)
    writeFileWhole(ready, JSON.stringify(Object.fromEntries(relay.ports)))
    await untilAsked()
    relay.close()
    return 0
  })
}

/** Resolves when the process is asked to end. */
function untilAsked(): Promise<void> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}
