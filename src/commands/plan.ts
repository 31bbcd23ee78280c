/**
 * `terway-edge plan`: reads network.yaml (or a running cluster) and prints what is wrong with it,
 * what it holds, the routes of every device; `plan init` writes a first one, `plan suggest` finds
 * free ranges. What to say is decided in src/planner. Exit status 0: no problems; 3: problems were
 * found; 2: wrong usage or a file that cannot be read.
 */
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { UserError } from '../lib/errors.ts'
import { writeFileWhole } from '../lib/files.ts'
import type { Family } from '../lib/ip.ts'
import { print } from '../lib/stdout.ts'
import { formatTable } from '../lib/table.ts'
import { departures, networkOfCluster } from '../planner/cluster.ts'
import { type Answers, answersOf, networkTemplate, QUESTIONS, type Question } from '../planner/init.ts'
import type { Network } from '../planner/network.ts'
import { hasProblems, type Plan, planOf } from '../planner/plan.ts'
import { planMarkdown, planText } from '../planner/plan-text.ts'
import { freeRanges, lengthOf, SUGGESTIONS } from '../planner/suggest.ts'
import { readNetworkFile } from './network-file.ts'
import { observeCluster, withCluster } from './observe-cluster.ts'
import { createProgram, runProgram } from './program.ts'
import { printJson } from './show.ts'

const PROBLEMS_FOUND = 3
const DEFAULT_FILE = 'network.yaml'

export async function planCommand(args: string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === 'init') return initCommand(rest)
  if (name === 'suggest') return suggestCommand(rest)
  return checkCommand(name === 'check' ? rest : args)
}

interface CheckOptions {
  readonly output: Output
  readonly diff?: boolean
  readonly fromCluster?: boolean
  readonly kubeconfig?: string
}

async function diff(network: Network, { kubeconfig, output }: CheckOptions): Promise<number> {
  const found = departures(network, await withCluster(kubeconfig, observeCluster))
  if (output === 'json') printJson({ ok: found.length === 0, departures: found })
  else if (found.length === 0) print('The cluster is as planned.\n')
  else
    print(
      formatTable(
        [{ title: 'WHERE' }, { title: 'PLANNED' }, { title: 'IS' }],
        found.map(({ where, planned, is }) => [where, planned, is]),
      ),
    )
  return found.length === 0 ? 0 : PROBLEMS_FOUND
}

type Output = 'table' | 'json' | 'markdown'

function readOutput(text: string): Output {
  if (text === 'table' || text === 'json' || text === 'markdown') return text
  throw new UserError(`-o ${text}: there is table, json and markdown`, { exitStatus: 2 })
}

function checkCommand(args: readonly string[]): Promise<number> {
  const program = createProgram(
    'plan',
    'Checks the network of a site before anything is installed: overlaps, capacity and how long it lasts, the routes of every device, what firewalls must let through. Exit status 3 when there are problems.\n\nSubcommands: plan init writes a first network.yaml, plan suggest finds free ranges.',
    [
      'terway-edge plan init --out network.yaml',
      'terway-edge plan network.yaml',
      'terway-edge plan network.yaml -o markdown > change-request.md',
      'terway-edge plan network.yaml -o json | jq \'.routes[] | select(.how == "static")\'',
      'terway-edge plan suggest pods --nodes 500 --file network.yaml',
      'terway-edge plan --diff network.yaml --kubeconfig ~/.kube/config',
    ],
  )
    .argument('[file]', `the network of the site (default: ${DEFAULT_FILE})`)
    .option('-o, --output <format>', 'table, json or markdown', readOutput, 'table')
    .option('--diff', 'say where a running cluster departs from the file (exit status 3 where it does)')
    .option('--from-cluster', 'write a network.yaml from what a running cluster knows')
    .option('--kubeconfig <file>', 'how to reach that cluster (default: in-cluster)')
  return runProgram<CheckOptions>(program, args, async (options, [file]) => {
    const { output } = options
    if (options.fromCluster === true) {
      print(networkOfCluster(await withCluster(options.kubeconfig, observeCluster)))
      return 0
    }
    if (options.diff === true) return await diff(readNetwork(file), options)
    const plan = planOf(readNetwork(file), Date.now())
    show(plan, output)
    return hasProblems(plan) ? PROBLEMS_FOUND : 0
  })
}

function show(plan: Plan, output: Output): void {
  if (output === 'json') printJson({ ok: !hasProblems(plan), ...plan })
  else print(output === 'markdown' ? planMarkdown(plan) : planText(plan))
}

function readNetwork(file = DEFAULT_FILE): Network {
  return readNetworkFile(file).network
}

const FLAGS: Readonly<Record<keyof Answers, string>> = {
  vpc: '--vpc',
  service: '--service',
  pods: '--pods',
  podsPerNode: '--pods-per-node',
  dataCenter: '--data-center',
  lan: '--lan',
  gateway: '--switch',
  nodes: '--nodes',
  growth: '--growth',
  localAs: '--local-as',
  switchAs: '--switch-as',
  join: '--join',
}

type InitOptions = Partial<Record<keyof Answers | 'switch', string>> & {
  readonly ask?: boolean
  readonly out?: string
  readonly force?: boolean
}

function initCommand(args: readonly string[]): Promise<number> {
  const program = createProgram(
    'plan init',
    "Writes a first network.yaml, complete and commented. What no flag says is asked at a terminal, and else is the user document's example.",
    [
      'terway-edge plan init --out network.yaml',
      'terway-edge plan init --vpc 192.168.0.0/16 --pods 10.0.0.0/8 --data-center 172.16.0.0/16 --nodes 40 > network.yaml',
    ],
  )
  for (const { key, text } of QUESTIONS) program.option(`${FLAGS[key]} <value>`, text)
  program
    .option('--ask', 'ask for what no flag says, also where stdin is no terminal')
    .option('--out <file>', 'write it here (default: stdout)')
    .option('--force', 'overwrite a file that is there')
  return runProgram<InitOptions>(program, args, async options => {
    if (options.out !== undefined && existsSync(options.out) && options.force !== true) {
      throw new UserError(`${options.out} is there already; give --force to overwrite it`, { exitStatus: 2 })
    }
    const text = networkTemplate(answersOf(await answers(options)))
    if (options.out === undefined) print(text)
    else writeFileWhole(options.out, text, { mode: 0o644 })
    return 0
  })
}

async function answers(options: InitOptions): Promise<Record<keyof Answers, string>> {
  const given = (key: keyof Answers) => (key === 'gateway' ? options.switch : options[key])
  const anyFlag = QUESTIONS.some(({ key }) => given(key) !== undefined)
  const asking = options.ask === true || (process.stdin.isTTY === true && !anyFlag)
  const reader = asking ? createInterface({ input: process.stdin }) : undefined
  // not question(): it loses lines that come before it asks
  const lines = reader?.[Symbol.asyncIterator]()
  const texts: Partial<Record<keyof Answers, string>> = {}
  for (const question of QUESTIONS) {
    const text = given(question.key) ?? (lines === undefined ? '' : await ask(question, texts, lines))
    const answer = text === '' ? question.fallback(texts) : text
    const problem = question.problem(answer)
    if (problem !== undefined) throw new UserError(`${FLAGS[question.key]} ${answer}: ${problem}`, { exitStatus: 2 })
    texts[question.key] = answer
  }
  reader?.close()
  return complete(texts)
}

/** One line; empty at the end of the input. */
async function ask(
  { text, fallback }: Question,
  sofar: Partial<Record<keyof Answers, string>>,
  lines: AsyncIterator<string>,
): Promise<string> {
  process.stderr.write(`${text} [${fallback(sofar)}]: `)
  const line = await lines.next()
  return line.done === true ? '' : line.value.trim()
}

function complete(texts: Partial<Record<keyof Answers, string>>): Record<keyof Answers, string> {
  const entries = QUESTIONS.map(question => [question.key, texts[question.key] ?? question.fallback(texts)] as const)
  return Object.fromEntries(entries) as Record<keyof Answers, string>
}

interface SuggestOptions {
  readonly file: string
  readonly nodes?: string
  readonly podsPerNode?: string
  readonly length?: string
  readonly ipv6?: boolean
  readonly count: string
  readonly output?: 'json'
}

function suggestCommand(args: readonly string[]): Promise<number> {
  const program = createProgram(
    'plan suggest',
    'Finds free ranges: such as overlap nothing in network.yaml and nothing that has a meaning of its own. Exit status 1 when there is none.',
    [
      'terway-edge plan suggest pods --nodes 500          # a pool for 500 nodes',
      'terway-edge plan suggest service --length 20',
      'terway-edge plan suggest lan --count 3 --file site/network.yaml',
    ],
  )
    .argument('<for>', SUGGESTIONS.join(', '))
    .option('--file <file>', 'the network of the site', DEFAULT_FILE)
    .option('--nodes <number>', 'pods: how many nodes the pool is for')
    .option('--pods-per-node <number>', 'pods: instead of edge.podsPerNode of the file')
    .option('--length <bits>', 'the prefix length, instead of one that follows from the numbers')
    .option('--ipv6', 'of IPv6 (default: IPv4)')
    .option('--count <number>', 'how many to print', '3')
    .option('-o, --output <format>', 'json', text => {
      if (text === 'json') return text
      throw new UserError(`-o ${text}: there is json; leave it out for a table`, { exitStatus: 2 })
    })
  return runProgram<SuggestOptions>(program, args, async (options, [purpose]) => suggest(options, purpose ?? ''))
}

function suggest(options: SuggestOptions, text: string): number {
  const purpose = SUGGESTIONS.find(one => one === text)
  if (purpose === undefined)
    throw new UserError(`plan suggest ${text}: there is ${SUGGESTIONS.join(', ')}`, { exitStatus: 2 })
  const network = readNetwork(options.file)
  const family: Family = options.ipv6 === true ? 'ipv6' : 'ipv4'
  const length = lengthOf({
    purpose,
    family,
    ...(options.length !== undefined && { asked: number('--length', options.length) }),
    nodes: number('--nodes', options.nodes ?? '256'),
    podsPerNode:
      options.podsPerNode === undefined ? network.edge.podsPerNode : number('--pods-per-node', options.podsPerNode),
  })
  if (typeof length === 'object') throw new UserError(length.problem, { exitStatus: 2 })
  const ranges = freeRanges(network, { purpose, family, length, count: number('--count', options.count) })
  if (options.output === 'json') printJson(ranges)
  else if (ranges.length > 0)
    print(
      formatTable(
        [{ title: 'FREE' }],
        ranges.map(range => [range]),
      ),
    )
  if (ranges.length > 0) return 0
  process.stderr.write(`no /${length} is free; try a longer prefix (--length ${length + 1})\n`)
  return 1
}

function number(flag: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UserError(`${flag} ${text}: write a number`, { exitStatus: 2 })
}
