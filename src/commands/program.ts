/** Options that fill the configuration, shared by the subcommands that have one. */
import { type Command, Option } from 'commander'
import { LOG_LEVELS } from '../lib/log-level.ts'

export { createProgram, runProgram } from '../lib/command-line.ts'

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
    .addOption(logLevelOption())
}

export function logLevelOption(): Option {
  return new Option('--log-level <level>', 'how much is logged (default: info)').choices(LOG_LEVELS)
}

/** `addConfigOptions`, and the node's name. */
export function addNodeOptions(program: Command): Command {
  return addConfigOptions(program).option(
    '--node <name>',
    "this node's name in Kubernetes (default: the host's name in lower case)",
  )
}
