/**
 * What a section of the benchmarks is: it measures and says so in Markdown. The heading, the
 * machine and the command are put around it.
 */

export interface SectionOptions {
  /** How often each single thing is done. */
  readonly rounds: number
  /** Sizes of clusters. */
  readonly nodes?: readonly number[]
  /** How long a steady state is watched. */
  readonly seconds?: number
}

export interface Section {
  readonly title: string
  /** Versions of the programs measured, `name version` each. */
  readonly versions: () => readonly string[]
  /** Throws when something that it needs is missing. */
  readonly run: (options: SectionOptions) => Promise<string>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** `heads` with the cells of `rows` as a Markdown table; all columns but the first to the right. */
export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(heads), line(heads.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}
