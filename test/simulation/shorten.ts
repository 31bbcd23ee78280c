/**
 * The fewest events of a script that still fail the same way: halves, quarters, … single ones are
 * left out for as long as the same invariant is hurt (delta debugging, Zeller 2002). Then faults
 * that are there all the time are switched off, one by one. Pure but for `fails`.
 */
import { CALM, type Event, type Levels, type Script } from './script.ts'

export function shorten(script: Script, fails: (script: Script) => boolean): Script {
  let least = script
  for (let size = Math.ceil(least.events.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < least.events.length; ) {
      const fewer = { ...least, events: without(least.events, start, size) }
      if (fails(fewer)) least = fewer
      else start += size
    }
  }
  for (const levels of calmer(least.levels)) {
    const quieter = { ...least, levels: levels(least.levels) }
    if (fails(quieter)) least = quieter
  }
  return least
}

function without(events: readonly Event[], start: number, size: number): readonly Event[] {
  return [...events.slice(0, start), ...events.slice(start + size)]
}

function calmer(levels: Levels): ((levels: Levels) => Levels)[] {
  const network = Object.keys(levels.network) as (keyof Levels['network'])[]
  const others = ['lateMilliseconds', 'clockMilliseconds', 'pageSize', 'writeBytes'] as const
  return [
    () => CALM,
    ...network.map(name => (from: Levels) => ({ ...from, network: { ...from.network, [name]: CALM.network[name] } })),
    ...others.map(name => (from: Levels) => ({ ...from, [name]: CALM[name] })),
  ]
}
