/**
 * `terway-edge kubeconfig`: an identity for each node, with the rights of a node and nothing more,
 * as a kubeconfig to install it with. Run where one is an administrator; kube/issue-kubeconfig.ts
 * does it.
 */
import { join } from 'node:path'
import { createKubeApi } from '../kube/client.ts'
import { type Holder, issueKubeconfig } from '../kube/issue-kubeconfig.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { systemClock } from '../lib/clock.ts'
import { type Problem, problemsError, UserError } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { silentLog } from '../lib/log.ts'
import { print } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'

interface Options {
  readonly kubeconfig?: string
  readonly server?: string
  readonly node?: string
  readonly nodes?: string
  readonly controller: boolean
  readonly lifetimeDays: number
  readonly out?: string
}

const DAY_SECONDS = 86_400

export function kubeconfigCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'kubeconfig',
    'Makes an identity for a node and a kubeconfig that bears it, with the rights of this node and nothing more. The node renews its token by itself. To revoke it: kubectl delete serviceaccount -n terway-edge-nodes NODE.',
    [
      'terway-edge kubeconfig --node shop-7 --kubeconfig ~/.kube/config --out shop-7.kubeconfig',
      'terway-edge kubeconfig --nodes nodes.txt --kubeconfig ~/.kube/config --out kubeconfigs/   # a name per line',
      'terway-edge kubeconfig --controller --kubeconfig ~/.kube/config --out controller.kubeconfig   # for a controller under systemd',
    ],
  )
    .option('--node <name>', "the node's name in Kubernetes")
    .option('--nodes <file>', 'a file with the names of nodes, one a line; --out is then a folder for NAME.kubeconfig')
    .option('--controller', 'for a controller that is no pod', false)
    .option('--kubeconfig <file>', "the administrator's kubeconfig (default: in-cluster)")
    .option('--server <url>', 'the address that the nodes reach the API server at (default: the same)')
    .option(
      '--lifetime-days <days>',
      'of the token: how long a node may be out of reach of the API server',
      readDays,
      365,
    )
    .option('--out <file>', 'write it here, mode 0600 (default: stdout)')
  return runProgram<Options>(program, args, async options => {
    await issueAll(options)
    return 0
  })
}

async function issueAll(options: Options): Promise<void> {
  const holders = holdersOf(options)
  const kubeconfig = loadKubeconfig(options.kubeconfig)
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
  const server = options.server ?? api.server
  const lifetimeSeconds = options.lifetimeDays * DAY_SECONDS
  try {
    for (const holder of holders) {
      const text = await issueKubeconfig({ api, kubeconfig, holder, server, lifetimeSeconds })
      const file = fileFor(holder, options)
      if (file === undefined) print(text)
      else writeFileWhole(file, text)
    }
  } finally {
    api.close()
  }
}

function fileFor(holder: Holder, { nodes, out }: Options): string | undefined {
  if (out === undefined || nodes === undefined || holder.kind === 'controller') return out
  return join(out, `${holder.node}.kubeconfig`)
}

/** RFC 1123 subdomain, as Kubernetes wants the names of Nodes. */
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

function holdersOf({ server, node, nodes, controller, out }: Options): Holder[] {
  const problems: Problem[] = []
  const given = [node, nodes].filter(name => name !== undefined).length + Number(controller)
  if (given !== 1)
    problems.push({ path: '--node', message: 'say whom it is for: --node NAME, --nodes FILE or --controller' })
  if (nodes !== undefined && out === undefined)
    problems.push({ path: '--out', message: 'name the folder for the files' })
  if (server !== undefined && !/^https?:$/.test(URL.parse(server)?.protocol ?? ''))
    problems.push({ path: '--server', message: `${server}: write a URL, such as https://api.example:6443` })
  const text = nodes === undefined ? '' : readFileIfPresent(nodes)
  if (text === undefined) problems.push({ path: '--nodes', message: `there is no file ${nodes}` })
  const listed = (text ?? '').split('\n').map(line => line.replace(/#.*/, '').trim())
  const names = [...listed.filter(Boolean), ...(node === undefined ? [] : [node])]
  if (nodes !== undefined && text !== undefined && names.length === 0)
    problems.push({ path: '--nodes', message: `${nodes} names no node` })
  for (const name of names)
    if (!NAME.test(name))
      problems.push({
        path: node === undefined ? '--nodes' : '--node',
        message: `${JSON.stringify(name)} is not the name of a node`,
      })
  if (problems.length > 0) throw problemsError('the command line', problems)
  return controller ? [{ kind: 'controller' }] : [...new Set(names)].map(node => ({ kind: 'node', node }))
}

function readDays(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new UserError(`--lifetime-days ${text}: write a number of days from 1 to 9999`, { exitStatus: 2 })
}
