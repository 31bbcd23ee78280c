/** What both tables of `check` say of paths, and the line that counts up while it works. */
import { FAMILY_NAMES } from '../lib/ip.ts'
import type { ConditionStatus } from '../model/condition-status.ts'
import type { PathKindView } from '../model/snapshot.ts'

const KIND_TEXT: Readonly<Record<PathKindView['kind'], string>> = {
  direct: 'to neighbours',
  'by-switch': 'by way of the switch',
  far: 'to another LAN',
  vpc: 'to the VPC',
}

/** What is said of the routes of a switch. */
export const PROOF_TEXT: Readonly<Record<ConditionStatus, string>> = {
  True: 'proved',
  False: 'NOT there',
  Unknown: 'not known',
}

/** The cells of one kind of path: which, to where, family, size, answers, round trip. */
export function pathCells({ kind, lan, family, size, sent, lost, roundTripMilliseconds }: PathKindView): string[] {
  return [
    KIND_TEXT[kind] ?? kind, // a node of another version may know one more
    lan,
    FAMILY_NAMES[family],
    size,
    `${sent - lost} of ${sent}`,
    roundTripMilliseconds === undefined ? '-' : `${roundTripMilliseconds.toFixed(1)} ms`,
  ]
}

/** One line that counts up to `all`, on a terminal alone, and goes when it has. */
export function countingLine(wanted: boolean, of: string): (done: number, all: number) => void {
  if (!wanted || !process.stderr.isTTY) return () => {}
  return (done, all) => {
    process.stderr.write(done === all ? '\r\x1b[K' : `\r${done} of ${all} ${of}`)
  }
}
