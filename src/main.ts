/**
 * The one executable: picks the subcommand and loads only what that one needs. Called with
 * CNI_COMMAND set and no subcommand it is the CNI plugin. Decides nothing but that, and the exit
 * status.
 */
import { errorText, UserError } from './lib/errors.ts'
import { print, stdoutFailure } from './lib/stdout.ts'

type Run = (args: string[]) => Promise<number>

interface Entry {
  readonly summary: string
  readonly load: () => Promise<Run>
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  controller: {
    summary: 'allocate pod CIDRs, evaluate BGPPeers, publish RouteSlices',
    load: async () => (await import('./commands/controller.ts')).controllerCommand,
  },
  node: {
    summary: 'agent and speaker in one process: what the service runs',
    load: async () => (await import('./commands/node.ts')).nodeCommand,
  },
  agent: { summary: 'the route agent alone', load: async () => (await import('./commands/node.ts')).agentCommand },
  speaker: { summary: 'the BGP speaker alone', load: async () => (await import('./commands/node.ts')).speakerCommand },
  cni: {
    summary: 'the CNI plugin, run by the container runtime',
    load: async () => (await import('./cni/command.ts')).cniCommand,
  },
  'cni-server': {
    summary: "does the plugin's work from a process that is warm: what the service terway-edge-cni runs",
    load: async () => (await import('./commands/cni-server.ts')).cniServerCommand,
  },
  status: {
    summary: 'what the local process does',
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  peers: { summary: 'BGP sessions', load: async () => (await import('./commands/peers.ts')).peersCommand },
  routes: {
    summary: 'routes wanted and present',
    load: async () => (await import('./commands/routes.ts')).routesCommand,
  },
  events: {
    summary: 'what happened lately',
    load: async () => (await import('./commands/events.ts')).eventsCommand,
  },
  nodes: { summary: 'nodes and their pod CIDRs', load: async () => (await import('./commands/nodes.ts')).nodesCommand },
  doctor: {
    summary: 'check this node, say what is wrong and how to mend it',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  'switch-config': {
    summary: "the switch's side of a BGPPeer, in its vendor's words",
    load: async () => (await import('./commands/switch-config.ts')).switchConfigCommand,
  },
  check: {
    summary: 'send packets over every kind of path now, and say which arrive',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  plan: {
    summary: 'check the network of a site before anything is installed, and the routes of its devices',
    load: async () => (await import('./commands/plan.ts')).planCommand,
  },
  install: {
    summary: 'install on this machine: executable, service, configuration, CNI',
    load: async () => (await import('./commands/install.ts')).installCommand,
  },
  uninstall: {
    summary: 'remove what install and the agent made',
    load: async () => (await import('./commands/uninstall.ts')).uninstallCommand,
  },
  upgrade: {
    summary: 'go to another version, and back by itself if it does not do its job',
    load: async () => (await import('./commands/upgrade.ts')).upgradeCommand,
  },
  rollback: {
    summary: 'go back to the version before the last upgrade',
    load: async () => (await import('./commands/upgrade.ts')).rollbackCommand,
  },
  drain: {
    summary: "withdraw this node's announcements and close its sessions",
    load: async () => (await import('./commands/drain.ts')).drainCommand,
  },
  confirm: {
    summary: 'let removals go that are held as a likely mistake',
    load: async () => (await import('./commands/confirm.ts')).confirmCommand,
  },
  manifests: {
    summary: 'CRDs, RBAC and the controller as YAML',
    load: async () => (await import('./commands/manifests.ts')).manifestsCommand,
  },
  kubeconfig: {
    summary: 'a least-privilege kubeconfig for a node',
    load: async () => (await import('./commands/kubeconfig.ts')).kubeconfigCommand,
  },
  config: {
    summary: 'print the effective configuration',
    load: async () => (await import('./commands/config.ts')).configCommand,
  },
  bgp: { summary: 'decode BGP messages', load: async () => (await import('./commands/bgp.ts')).bgpCommand },
  lab: {
    summary: 'the whole system on this machine, in network namespaces',
    load: async () => (await import('./lab/command.ts')).labCommand,
  },
  completion: {
    summary: 'print the completion of commands and options for bash, zsh or fish',
    load: async () => {
      const { completionCommand } = await import('./commands/completion.ts')
      return words => completionCommand(words, COMMANDS)
    },
  },
  version: { summary: 'print the version', load: async () => (await import('./commands/version.ts')).versionCommand },
}

function usage(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length))
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `terway-edge: an underlay pod network for Kubernetes edge sites

Usage: terway-edge COMMAND [OPTIONS]

Commands:
${lines.join('\n')}

terway-edge COMMAND --help says more about each.
`
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args[0] === 'help' && args.length > 1 ? [...args.slice(1), '--help'] : args
  if (name === undefined && process.env.CNI_COMMAND !== undefined) {
    const status = await (await import('./cni/command.ts')).cniCommand([])
    // a runtime waits: not even for a socket to close
    return process.exit(await withStdout('cni', status))
  }
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    print(usage())
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v' || name === '-V') {
    return (await import('./commands/version.ts')).versionCommand(rest)
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry === undefined) {
    const what = name.startsWith('-') ? 'option' : 'command'
    process.stderr.write(`terway-edge: there is no ${what} ${JSON.stringify(name)}; terway-edge --help lists them\n`)
    return 2
  }
  const run = await entry.load()
  return run(rest)
}

/**
 * Waits until all of the output is written; an output that could not be (a full disk) is told, and
 * is no success.
 */
async function withStdout(command: string, status: number): Promise<number> {
  const failure = await stdoutFailure()
  if (failure === undefined) return status
  process.stderr.write(`${programName(command)}: cannot write to stdout: ${errorText(failure)}\n`)
  return status === 0 ? 1 : status
}

/** Prints an error for a person; a stack trace only for what is a bug of ours. */
function report(command: string, error: unknown): number {
  const prefix = programName(command)
  if (error instanceof UserError) {
    process.stderr.write(`${prefix}: ${errorText(error)}\n`)
    return error.exitStatus
  }
  const stack = error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : ''
  process.stderr.write(`${prefix}: unexpected error, please report it: ${errorText(error)}${stack}\n`)
  return 1
}

function programName(command: string): string {
  return command === '' ? 'terway-edge' : `terway-edge ${command}`
}

const args = process.argv.slice(2)
const command = args[0] ?? ''
process.exitCode = await withStdout(command, await main(args).catch(error => report(command, error)))
