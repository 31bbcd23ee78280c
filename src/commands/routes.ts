/** `terway-edge routes`: the routes that this node should have, and whether the kernel has them. */
import type { RouteRow } from '../model/snapshot.ts'
import { type Field, runListCommand } from './show.ts'

const FIELDS: readonly Field<RouteRow>[] = [
  { title: 'DESTINATION', cell: route => route.destination },
  { title: 'VIA', cell: route => route.via.join(',') },
  { title: 'INTERFACE', cell: route => route.interface ?? '' },
  { title: 'STATE', cell: route => route.state },
  { title: 'REASON', cell: route => route.reason },
  { title: 'PROBLEM', cell: route => route.problem ?? '' },
]

export function routesCommand(args: string[]): Promise<number> {
  return runListCommand(
    {
      name: 'routes',
      description: 'The routes to the pods of other nodes: wanted, and present in the kernel or not.',
      examples: [
        'terway-edge routes',
        'terway-edge routes -o json | jq \'.[] | select(.state != "present")\'',
        'ip route show proto 187   # what the kernel has from us',
      ],
      rows: snapshot => snapshot.routes,
      fields: FIELDS,
      none: snapshot =>
        snapshot.role === 'controller'
          ? 'No routes: this is the controller; ask on a node.'
          : 'No routes: no other node is known yet. terway-edge status says why.',
    },
    args,
  )
}
