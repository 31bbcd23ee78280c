/** `terway-edge routes`: the routes that this node should have, and whether the kernel has them. */
import type { RouteRow } from '../model/snapshot.ts'
import { type AskOptions, addAskOptions } from '../status/ask.ts'
import { createProgram, runProgram } from './program.ts'
import { readSnapshot } from './read-snapshot.ts'
import { type Field, listOf, show } from './show.ts'

const FIELDS: readonly Field<RouteRow>[] = [
  { title: 'DESTINATION', cell: route => route.destination },
  { title: 'VIA', cell: route => route.via.join(',') },
  { title: 'INTERFACE', cell: route => route.interface ?? '' },
  { title: 'STATE', cell: route => route.state, tone: route => (isAsWanted(route) ? 'good' : 'bad') },
  { title: 'REASON', cell: route => route.reason },
  { title: 'PROBLEM', flexible: true, cell: route => route.problem ?? '' },
]

interface Options extends AskOptions {
  readonly diff?: boolean
}

export function routesCommand(args: string[]): Promise<number> {
  const program = addAskOptions(
    createProgram('routes', 'The routes to the pods of other nodes: wanted, and present in the kernel or not.', [
      'terway-edge routes',
      'terway-edge routes --diff   # what differs alone; exit status 1 when anything does',
      'terway-edge routes -o json | jq \'.[] | select(.state != "present")\'',
      'ip route show proto 187   # what the kernel has from us',
    ]),
    { cluster: false },
  ).option('--diff', 'only what is not as wanted: missing, refused, or there while packets go another way')
  return runProgram<Options>(program, args, options =>
    show(options, async () => {
      const snapshot = await readSnapshot(options)
      const rows = options.diff === true ? snapshot.routes.filter(route => !isAsWanted(route)) : snapshot.routes
      const none =
        options.diff === true && snapshot.routes.length > 0
          ? `All ${snapshot.routes.length} routes are as wanted, and packets take them.`
          : snapshot.role === 'controller'
            ? 'No routes: this is the controller; ask on a node.'
            : 'No routes: no other node is known yet. terway-edge status says why.'
      const said = listOf({ rows, fields: FIELDS, name: route => route.destination, none }, snapshot, options)
      return options.diff === true && rows.length > 0 ? { ...said, status: 1 } : said
    }),
  )
}

function isAsWanted({ state, problem }: RouteRow): boolean {
  return state === 'present' && problem === undefined
}
