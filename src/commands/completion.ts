/**
 * `terway-edge completion SHELL`: asks every subcommand for its argument parser, and prints a
 * script that completes what the parser takes.
 */
import { Argument, type Command } from 'commander'
import { DESCRIBE, Described } from '../lib/command-line.ts'
import { print } from '../lib/stdout.ts'
import {
  type CommandShape,
  completionScript,
  type OperandShape,
  type OptionShape,
  SHELLS,
  type Shell,
} from './completion-scripts.ts'
import { createProgram, runProgram } from './program.ts'

/** As main.ts has them. */
export type CommandTable = Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<(args: string[]) => Promise<number>> }>
>

/** They have no parser: one is not for people, one has no options to speak of. */
const WITHOUT_PARSER: readonly string[] = ['cni', 'version', 'completion']

export function completionCommand(args: string[], table: CommandTable): Promise<number> {
  const program = createProgram('completion', 'Prints the completion of commands and options for a shell.', [
    'source <(terway-edge completion bash)',
    'terway-edge completion bash > /etc/bash_completion.d/terway-edge',
    'terway-edge completion zsh > /usr/share/zsh/site-functions/_terway-edge',
    'terway-edge completion fish > ~/.config/fish/completions/terway-edge.fish',
  ]).addArgument(new Argument('<shell>').choices(SHELLS))
  return runProgram(program, args, async (_, [shell]) => {
    const chosen: Shell = SHELLS.find(name => name === shell) ?? 'bash'
    print(completionScript(chosen, await shapesOf(table)))
    return 0
  })
}

async function shapesOf(table: CommandTable): Promise<CommandShape[]> {
  const shapes: CommandShape[] = []
  for (const [name, { summary, load }] of Object.entries(table)) {
    const parser = WITHOUT_PARSER.includes(name) ? undefined : await parserOf(load)
    const options = (parser?.options ?? []).map(optionShape)
    const help: OptionShape = { long: '--help', short: '-h', description: 'more about it', value: 'none', choices: [] }
    const operands = name === 'completion' ? [{ choices: SHELLS, names: 'nothing' } as const] : operandsOf(name, parser)
    shapes.push({ name, summary, options: [...options, help], operands })
  }
  return shapes
}

async function parserOf(load: CommandTable[string]['load']): Promise<Command | undefined> {
  try {
    await (await load())([DESCRIBE])
  } catch (error) {
    if (error instanceof Described) return error.program
  }
  return undefined
}

function optionShape({ long, short, description, flags, argChoices }: Command['options'][number]): OptionShape {
  const placeholder = /[<[](.+?)[>\]]/.exec(flags)?.[1]
  const value =
    placeholder === undefined ? 'none' : /file/.test(placeholder) ? 'file' : /dir/.test(placeholder) ? 'folder' : 'text'
  return {
    long: long ?? short ?? '',
    ...(long !== undefined && short !== undefined && { short }),
    description,
    value,
    choices: argChoices ?? [],
  }
}

/** Commands whose first operand is a BGPPeer of the local process. */
const OF_PEERS: readonly string[] = ['peers', 'switch-config']

function operandsOf(command: string, parser: Command | undefined): OperandShape[] {
  const subcommands = (parser?.commands ?? []).map(command => command.name())
  if (subcommands.length > 0) return [{ choices: subcommands, names: 'nothing' }]
  return (parser?.registeredArguments ?? []).map((argument, index) => ({
    choices: argument.argChoices ?? [],
    names: index === 0 && OF_PEERS.includes(command) ? 'bgp-peers' : /file/.test(argument.name()) ? 'files' : 'nothing',
  }))
}
