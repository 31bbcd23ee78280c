/**
 * `terway-edge nodes`: the nodes that the local process knows, with their addresses, pod CIDRs and
 * BGPPeers.
 */
import type { NodeView } from '../model/snapshot.ts'
import { type Field, runListCommand } from './show.ts'

const FIELDS: readonly Field<NodeView>[] = [
  { title: 'NAME', cell: node => node.name },
  { title: 'READY', cell: node => (node.ready === undefined ? '' : node.ready ? 'True' : 'False') },
  { title: 'ADDRESSES', cell: node => node.addresses.join(',') },
  { title: 'PODCIDRS', cell: node => node.podCIDRs.join(',') },
  { title: 'MODE', cell: node => node.cloud?.mode ?? '' },
  {
    title: 'PODS',
    cell: ({ cloud }) => (cloud === undefined ? '' : `${cloud.inUse}/${cloud.capacity}`),
  },
  { title: 'BGPPEERS', cell: node => node.peers.join(',') },
  { title: 'SPEAKEROF', cell: node => node.speakerOf.join(',') },
  { title: 'PROBLEM', cell: node => node.problem ?? '' },
]

export function nodesCommand(args: string[]): Promise<number> {
  return runListCommand(
    {
      name: 'nodes',
      description: 'The nodes with their pod CIDRs, the BGPPeers that select them and the speakers among them.',
      examples: ['terway-edge nodes', "terway-edge nodes -o json | jq -r '.[] | [.name, .podCIDRs[]] | @tsv'"],
      rows: snapshot => snapshot.nodes,
      fields: FIELDS,
      none: () => 'No nodes: none is known yet. terway-edge status says why.',
    },
    args,
  )
}
