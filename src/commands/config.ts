/**
 * `terway-edge config`: the effective configuration, as YAML that may be used as the file itself.
 */
import { type ConfigFlags, loadConfig } from '../config/load.ts'
import { UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { addNodeOptions, createProgram, runProgram } from './program.ts'

export function configCommand(args: string[]): Promise<number> {
  const program = addNodeOptions(
    createProgram(
      'config',
      'Prints the effective configuration: the file, overridden by flags, completed with defaults.',
      ['terway-edge config', 'terway-edge config --config ./site.yaml --node shop-7', 'terway-edge config -o json'],
    ),
  ).option(
    '-o, --output <format>',
    'yaml or json',
    text => {
      if (text === 'yaml' || text === 'json') return text
      throw new UserError(`-o ${text}: there is yaml and json`, { exitStatus: 2 })
    },
    'yaml',
  )
  return runProgram<ConfigFlags & { output: string }>(program, args, async options => {
    const config = loadConfig(options)
    print(
      options.output === 'json' ? `${JSON.stringify(config, null, 2)}\n` : `${Bun.YAML.stringify(config, null, 2)}\n`,
    )
    return 0
  })
}
