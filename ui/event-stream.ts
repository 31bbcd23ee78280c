/**
 * Takes a stream of server-sent events apart (WHATWG HTML, "Interpreting an event stream"): bytes
 * as text in, events out. No document.
 */

export interface StreamEvent {
  readonly type: string
  readonly data: string
}

export class EventStream {
  #rest = ''

  /** The events that `text` completes. Comments and other fields are passed over. */
  push(text: string): StreamEvent[] {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    return blocks.map(parseBlock).filter(event => event.data !== '')
  }
}

function parseBlock(block: string): StreamEvent {
  let type = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const value = line.slice(colon + 1).replace(/^ /, '')
    if (line.startsWith('event:')) type = value
    else if (line.startsWith('data:')) data.push(value)
  }
  return { type, data: data.join('\n') }
}
