/**
 * What stdout is: a terminal of some width that shows colours, or a file or pipe that gets plain
 * text. NO_COLOR (no-color.org) and TERM=dumb are heeded.
 */
import { environment } from '../config/environment.ts'
import { stdoutTerminal } from '../lib/stdout.ts'

/** What a cell says of its row. */
export type Tone = 'good' | 'bad' | 'doubtful'

/** Columns of the terminal; undefined where stdout is none. */
export function terminalWidth(): number | undefined {
  return stdoutTerminal()?.columns
}

export function showsColours(): boolean {
  return stdoutTerminal() !== undefined && !environment.noColours()
}

/** ECMA-48 SGR: 32 green, 31 red, 33 yellow, 39 the default colour. */
const SGR: Readonly<Record<Tone, number>> = { good: 32, bad: 31, doubtful: 33 }

export function coloured(text: string, tone: Tone | undefined): string {
  return tone === undefined ? text : `\x1b[${SGR[tone]}m${text}\x1b[39m`
}

/** Clears the screen, so that what follows stands in the place of what was there. */
export const CLEAR_SCREEN = '\x1b[H\x1b[2J'
