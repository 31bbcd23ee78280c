/**
 * A long run: a lab is built, one fault after another befalls it, and after each it must be well
 * again, as pings, switches and its own processes say; packets are counted meanwhile, and memory is
 * read when all is calm. The same seed draws the same faults in the same order; packets and
 * processes are real, so what happens in between may differ.
 */
import { errorText } from '../../src/lib/errors.ts'
import { seeded } from '../support/seeded.ts'
import type { Chance, Fault } from './faults.ts'
import { type Growth, growthOf, type Sample } from './growth.ts'
import { Site } from './site.ts'

export interface SoakOptions {
  readonly seed: number
  /** No fault begins later than this, s. */
  readonly seconds: number
  readonly switches: readonly ['bird' | 'frr', 'bird' | 'frr']
  readonly ipv6: boolean
  /** Empty, or absent yet. */
  readonly directory: string
  /** Absent: from the sources. */
  readonly executable?: string
  /** In this order, until time is over or there are no more: `drawn`, or some that a test names. */
  readonly faults: (chance: Chance) => Iterable<Fault>
  /** Ends the run early: what was seen until then is told. */
  readonly signal?: AbortSignal
  readonly say: (line: string) => void
}

/** One kind of fault over the whole run. */
export interface FaultRow {
  readonly name: string
  readonly times: number
  /** The longest that the site took to be well again, s. */
  readonly longest: number
  readonly lost: number
}

export interface Soak {
  readonly minutes: number
  readonly faults: readonly FaultRow[]
  readonly sent: number
  readonly growth: readonly Growth[]
  /** What must not be; none is what is wanted. */
  readonly violations: readonly string[]
}

/** So long may a site take to be well again, s: hold times, pauses, a slow machine. */
const WELL_SECONDS = 240

export async function soak(options: SoakOptions): Promise<Soak> {
  const { seed, say } = options
  const lab = { directory: options.directory, switches: options.switches, ipv6: options.ipv6, cloud: false }
  const site = await Site.open({ ...lab, nodes: ['node-1', 'node-2', 'node-3', 'node-4'] }, options)
  const begun = performance.now()
  const elapsed = () => (performance.now() - begun) / 1000
  const violations: string[] = []
  const befallen: { fault: Fault; seconds: number; lost: number }[] = []
  const samples: Sample[] = [...site.samples(0)]
  let sent = 0
  const violated = (text: string) => {
    violations.push(`seed ${seed}, at ${Math.round(elapsed())} s: ${text}`)
    say(violations.at(-1) ?? '')
  }
  try {
    const chance = seeded(seed)
    for (const fault of options.faults(chance)) {
      if (elapsed() > options.seconds || options.signal?.aborted === true) break
      say(`${Math.round(elapsed())} s: ${fault.name}`)
      let seconds = 0
      const counts = await site.counting(async () => {
        await fault.happen(site, chance).catch(error => violated(`${fault.name}: ${errorText(error)}`))
        const undone = elapsed()
        const problems = await untilWell(site, options.signal)
        seconds = elapsed() - undone
        if (problems.length > 0) violated(`${fault.name}: not well within ${WELL_SECONDS} s: ${problems.join('; ')}`)
      })
      let lost = 0
      for (const flow of site.flows) {
        const counted = counts.get(flow.name)
        sent += counted?.sent ?? 0
        lost += counted?.lost ?? 0
        if (counted !== undefined && counted.lost > 0 && !fault.mayCost(flow))
          violated(`${fault.name}: ${counted.lost} of ${counted.sent} packets lost, ${flow.name}`)
      }
      befallen.push({ fault, seconds, lost })
      samples.push(...site.samples(elapsed()))
    }
    const growth = growthOf(samples)
    for (const row of growth)
      if (row.verdict.endsWith('grow') || row.verdict.endsWith('grows')) violated(`${row.name}: ${row.verdict}`)
    return { minutes: elapsed() / 60, faults: rowsOf(befallen), sent, growth, violations }
  } finally {
    for (const message of await site.close()) say(message)
  }
}

/** Waits until nothing is wrong; what is wrong in the end. */
async function untilWell(site: Site, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const end = performance.now() + WELL_SECONDS * 1000
  for (;;) {
    const problems = await site.problems().catch(error => [String(error)])
    if (problems.length === 0 || performance.now() > end || signal?.aborted === true) return problems
    await Bun.sleep(1000)
  }
}

function rowsOf(befallen: readonly { fault: Fault; seconds: number; lost: number }[]): readonly FaultRow[] {
  return [...Map.groupBy(befallen, ({ fault }) => fault.name)]
    .map(([name, all]) => ({
      name,
      times: all.length,
      longest: Math.max(...all.map(({ seconds }) => seconds)),
      lost: all.reduce((sum, { lost }) => sum + lost, 0),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
