/** `terway-edge events`: what happened lately, as this process or the cluster recorded it. */
import type { EventRow } from '../model/snapshot.ts'
import { ageOf, type Field, runListCommand } from './show.ts'

export const EVENT_FIELDS: readonly Field<EventRow>[] = [
  { title: 'AGE', align: 'right', cell: (event, now) => ageOf(event.time, now) },
  { title: 'TYPE', cell: event => event.type, tone: ({ type }) => (type === 'Warning' ? 'doubtful' : undefined) },
  { title: 'REASON', cell: event => event.reason },
  { title: 'OBJECT', cell: event => event.object },
  { title: 'MESSAGE', flexible: true, cell: event => event.message },
]

export function eventsCommand(args: string[]): Promise<number> {
  return runListCommand<EventRow>(
    {
      name: 'events',
      description: 'What happened lately, newest first: sessions, BGPPeers, nodes.',
      examples: [
        'terway-edge events',
        'terway-edge events --watch',
        'terway-edge events --kubeconfig ~/.kube/config   # of the whole cluster, as kubectl keeps them',
        'terway-edge events -o json | jq \'.[] | select(.type == "Warning")\'',
      ],
      listing: snapshot => ({
        rows: snapshot.events,
        fields: EVENT_FIELDS,
        name: event => `${event.object}/${event.reason}`,
        none: 'No events: nothing has happened since the process started.',
      }),
    },
    args,
  )
}
