/**
 * What every subcommand shares: options that fill the configuration, and the way from an error to an exit status. 0 done, 1 failed, 2
 * wrong usage or configuration. Decides nothing else.
 */
import { Command, CommanderError } from 'commander'
import type { ConfigFlags } from '../config.ts'

/** A subcommand with our manner of help: examples last, errors as one line. */
export function createProgram(name: string, description: string, examples: readonly string[] = []): Command {
  const program = new Command(`terway-edge ${name}`).description(description).exitOverride().showSuggestionAfterError()
  program.configureOutput({
    outputError: (text, write) => write(`terway-edge ${name}: ${text.replace(/^error: /, '')}`),
  })
  if (examples.length > 0)
    program.addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}`).join('\n')}`)
  return program
}

/** Adds the options that override the configuration file. */
export function addConfigOptions(program: Command): Command {
  return program
    .option('--config <file>', 'the configuration file (default: /etc/terway-edge/config.yaml if it is there)')
    .option('--kubeconfig <file>', 'how to reach the API server (default: in-cluster)')
    .option('--state <dir>', 'where to keep the last good state (default: /var/lib/terway-edge)')
    .option(
      '--status-listen <addr:port>',
      'where the status page listens (default: 127.0.0.1:9179; port 0: a free one)',
    )
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
}

/** `addConfigOptions`, and the node's name. */
export function addNodeOptions(program: Command): Command {
  return addConfigOptions(program).option(
    '--node <name>',
    "this node's name in Kubernetes (default: the host's name in lower case)",
  )
}

/** Parses `args` and runs `action`; its number is the exit status. */
export async function runProgram<T extends object = ConfigFlags>(
  program: Command,
  args: readonly string[],
  action: (options: T, operands: readonly string[]) => Promise<number>,
): Promise<number> {
  let status = 0
  program.action(async () => {
    status = await action(program.opts<T>(), program.args)
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
}
