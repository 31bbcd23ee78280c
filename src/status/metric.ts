/**
 * Metrics as values, and their text: the exposition format 0.0.4 of Prometheus. Pure.
 *
 * Base units (seconds, never milliseconds), times as Unix seconds, `_total` only on what counts up.
 * A value that is not known is left out, never zero.
 */

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

export interface Metric {
  /** Without the prefix; a name that begins with `process_` has none. */
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly samples: readonly Sample[]
}

const PREFIX = 'terway_edge_'

/** The text of those that have samples. */
export function renderMetrics(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(renderMetric)
    .join('')
}

export function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'gauge', help, samples }
}

export function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'counter', help, samples }
}

export function one(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }]
}

export function flag(value: boolean): Sample[] {
  return one(value ? 1 : 0)
}

export function at(labels: Labels, time: string | undefined): Sample[] {
  const value = unixSeconds(time)
  return value === undefined ? [] : [{ labels, value }]
}

export function unixSeconds(time: string | undefined): number | undefined {
  const milliseconds = Date.parse(time ?? '')
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000
}

function renderMetric({ name, type, help, samples }: Metric): string {
  const full = name.startsWith('process_') ? name : PREFIX + name
  const lines = samples.map(({ labels, value }) => `${full}${renderLabels(labels)} ${value}\n`)
  return `# HELP ${full} ${escapeHelp(help)}\n# TYPE ${full} ${type}\n${lines.join('')}`
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
