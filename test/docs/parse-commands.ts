/**
 * Run as a program: takes lists of words on stdin (JSON) and gives each to the argument parser of
 * its subcommand, whose action is left out. Prints, for each, what the parser said against it.
 */
import { Command } from 'commander'

type Run = (args: string[]) => Promise<number>

const action = Command.prototype.action
Command.prototype.action = function (this: Command) {
  return action.call(this, () => {})
}

/** `switchConfigCommand` is that of `switch-config`. */
async function subcommands(): Promise<ReadonlyMap<string, Run>> {
  const found = new Map<string, Run>()
  const files = [...new Bun.Glob('commands/*.ts').scanSync('src'), 'lab/command.ts', 'cni/command.ts']
  for (const file of files.filter(name => !name.endsWith('.d.ts'))) {
    const exports: Record<string, unknown> = await import(`../../src/${file}`)
    for (const [name, value] of Object.entries(exports)) {
      const word = /^(\w+)Command$/.exec(name)?.[1]
      if (word === undefined || typeof value !== 'function') continue
      found.set(
        word.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`),
        args => value(args),
      )
    }
  }
  return found
}

const all = await subcommands()
const answers: string[] = []
const { write } = process.stderr
for (const [name = '', ...words] of (await Bun.stdin.json()) as readonly string[][]) {
  let said = ''
  process.stderr.write = text => {
    said += String(text)
    return true
  }
  const status = await (all.get(name)?.(words) ?? Promise.reject(new Error(`there is no subcommand ${name}`))).catch(
    error => {
      said += error instanceof Error ? error.message : String(error)
      return 2
    },
  )
  process.stderr.write = write
  answers.push(status === 0 ? '' : said.trim() || `status ${status}`)
}
process.stdout.write(`\n${JSON.stringify(answers)}`)
