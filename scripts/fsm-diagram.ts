/**
 * Prints the Mermaid diagram of the BGP state machine that stands in ARCHITECTURE.md: `step` is
 * asked for every state and event. test/bgp/machine/fsm-diagram.test.ts holds the two together.
 */
import { step } from '../src/bgp/machine/fsm.ts'
import type { State } from '../src/bgp/speaker-types.ts'
import { EVENTS, sessionIn } from '../test/bgp/machine/fsm-fixtures.ts'

const STATES: readonly State[] = ['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established']
/** More events than these on one arrow are counted. */
const MOST_NAMED = 3

/** The lines of the diagram: one arrow per pair of states, with the events that lead that way. */
export function fsmDiagram(): string {
  const arrows = new Map<string, string[]>()
  for (const from of STATES) {
    for (const event of Object.values(EVENTS)) {
      const [after] = step(sessionIn(from), event)
      if (after.state === from) continue
      const arrow = `${from} --> ${after.state}`
      arrows.set(arrow, [...(arrows.get(arrow) ?? []), event.kind])
    }
  }
  const lines = [...arrows].map(([arrow, events]) => `  ${arrow}: ${label(events)}`)
  return ['stateDiagram-v2', '  [*] --> Idle', ...lines].join('\n')
}

function label(events: readonly string[]): string {
  if (events.length <= MOST_NAMED) return events.join(', ')
  return `${events.slice(0, MOST_NAMED).join(', ')} and ${events.length - MOST_NAMED} more`
}

if (import.meta.main) process.stdout.write(`${fsmDiagram()}\n`)
