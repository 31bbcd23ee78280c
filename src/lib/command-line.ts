/**
 * What every subcommand shares: our manner of help, and the way from an error of usage to an exit
 * status: 0 done, 1 failed, 2 wrong usage or configuration. A command that judges (`doctor`,
 * `plan`) adds 3, problems found. Decides nothing else.
 */
import { Command, CommanderError } from 'commander'
import { print } from './stdout.ts'

/** A subcommand with our manner of help: examples last, errors as one line. */
export function createProgram(name: string, description: string, examples: readonly string[] = []): Command {
  const program = new Command(`terway-edge ${name}`).description(description).exitOverride().showSuggestionAfterError()
  program.configureOutput({
    writeOut: print,
    outputError: (text, write) => write(`terway-edge ${name}: ${text.replace(/^error: /, '')}`),
  })
  if (examples.length > 0)
    program.addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}`).join('\n')}`)
  return program
}

/** In the place of arguments: throws `Described` with the parser, and runs nothing. */
export const DESCRIBE = '--describe-the-argument-parser'

export class Described extends Error {
  override readonly name = 'Described'
  readonly program: Command
  constructor(program: Command) {
    super('the argument parser was asked for')
    this.program = program
  }
}

/** Parses `args` and runs `action`; its number is the exit status. */
export async function runProgram<T extends object>(
  program: Command,
  args: readonly string[],
  action: (options: T, operands: readonly string[]) => Promise<number>,
): Promise<number> {
  if (args[0] === DESCRIBE) throw new Described(program)
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
