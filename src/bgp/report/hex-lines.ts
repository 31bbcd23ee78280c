/**
 * Lines of hexadecimal out of text that arrives in pieces. A line longer than any message is not
 * kept: memory stays bounded whatever comes in. Pure.
 */
import { fromHex } from '../../lib/bytes.ts'

/** What a line of text holds: nothing (empty, a comment), octets, or no hexadecimal at all. */
export type HexLine =
  | { readonly kind: 'empty' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'not-hex' }
  | { readonly kind: 'too-long' }

/** Characters: `0xff, ` for each of 65535 octets, and a comment. */
export const MAX_LINE = 1 << 20

/** Ignores spaces, colons and `0x`; `#` starts a comment. */
export function readHexLine(line: string): HexLine {
  const comment = line.indexOf('#')
  const digits = (comment < 0 ? line : line.slice(0, comment)).replace(/0x|[\s:]/gi, '')
  if (digits === '') return { kind: 'empty' }
  const bytes = fromHex(digits)
  return bytes === undefined ? { kind: 'not-hex' } : { kind: 'bytes', bytes }
}

export class HexLines {
  #partial = ''
  /** The line that is being read is one of which nothing is kept. */
  #tooLong = false

  /** The lines that `text` completes. */
  push(text: string): HexLine[] {
    const lines: HexLine[] = []
    for (let start = 0; ; ) {
      const end = text.indexOf('\n', start)
      this.#add(text.slice(start, end < 0 ? undefined : end))
      if (end < 0) return lines
      lines.push(this.end())
      start = end + 1
    }
  }

  /** The last line, which needs no end. */
  end(): HexLine {
    const line: HexLine = this.#tooLong ? { kind: 'too-long' } : readHexLine(this.#partial)
    this.#partial = ''
    this.#tooLong = false
    return line
  }

  #add(text: string): void {
    this.#tooLong ||= this.#partial.length + text.length > MAX_LINE
    this.#partial = this.#tooLong ? '' : this.#partial + text
  }
}
