/**
 * `terway-edge nodes`: the nodes that the local process knows, with their addresses, pod CIDRs and
 * BGPPeers.
 */
import type { NodeView } from '../model/snapshot.ts'
import { type Field, runListCommand } from './show.ts'

const FIELDS: readonly Field<NodeView>[] = [
  { title: 'NAME', cell: node => node.name },
  {
    title: 'READY',
    cell: node => (node.ready === undefined ? '' : node.ready ? 'True' : 'False'),
    tone: ({ ready }) => (ready === undefined ? undefined : ready ? 'good' : 'bad'),
  },
  { title: 'ADDRESSES', cell: node => node.addresses.join(',') },
  { title: 'PODCIDRS', cell: node => node.podCIDRs.join(',') },
  { title: 'MODE', cell: node => node.cloud?.mode ?? '' },
  {
    title: 'PODS',
    cell: ({ cloud }) => (cloud === undefined ? '' : `${cloud.inUse}/${cloud.capacity}`),
  },
  { title: 'BGPPEERS', cell: node => node.peers.join(',') },
  { title: 'SPEAKEROF', cell: node => node.speakerOf.join(',') },
  { title: 'PROBLEM', flexible: true, cell: node => node.problem ?? '', tone: () => 'bad' },
]

export function nodesCommand(args: string[]): Promise<number> {
  return runListCommand<NodeView>(
    {
      name: 'nodes',
      description: 'The nodes with their pod CIDRs, the BGPPeers that select them and the speakers among them.',
      examples: [
        'terway-edge nodes',
        'terway-edge nodes --kubeconfig ~/.kube/config   # of the whole cluster, from a desk',
        "terway-edge nodes -o json | jq -r '.[] | [.name, .podCIDRs[]] | @tsv'",
      ],
      listing: snapshot => ({
        rows: snapshot.nodes,
        fields: FIELDS,
        name: node => node.name,
        none: 'No nodes: none is known yet. terway-edge status says why.',
      }),
    },
    args,
  )
}
