/**
 * Prose of documents that scripts write, at most as wide as a page: tables, blocks of code, HTML
 * and lines with an address stay as they are.
 */

const COLUMNS = 100

/** `text` in lines of at most `columns`; those after the first begin with `indent`. */
export function wrapped(text: string, { columns = COLUMNS, indent = '' } = {}): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line.trim() !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = `${indent}${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join('\n')
}

/** Markdown whose paragraphs fit: one that has a line which is too long is wrapped anew. */
export function pageWide(markdown: string): string {
  const out: string[] = []
  let paragraph: string[] = []
  let inBlock = false
  const end = () => {
    const fits = paragraph.every(line => [...line].length <= COLUMNS)
    out.push(...(fits ? paragraph : [wrapped(paragraph.join(' '))]))
    paragraph = []
  }
  for (const line of markdown.split('\n')) {
    const fence = line.startsWith('```')
    if (!fence && !inBlock && isProse(line)) paragraph.push(line)
    else {
      end()
      out.push(line)
      if (fence) inBlock = !inBlock
    }
  }
  end()
  return out.join('\n')
}

function isProse(line: string): boolean {
  return line !== '' && !/^\s*([|<#>]|[-*] |\d+\. |\[\d+\])|https?:\/\/| {2}$/.test(line)
}
