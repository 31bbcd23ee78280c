/**
 * `terway-edge peers NAME trace`: the messages of a session from now on, a line each for people, or
 * with `-o json` all that was decoded. Ends with the process that is asked, or by Ctrl-C.
 */
import { isObject } from '../lib/json.ts'
import { print, stdoutIsRead } from '../lib/stdout.ts'
import { printable } from '../lib/table.ts'
import { type AskOptions, askLines } from '../status/ask.ts'

export async function tracePeer(options: AskOptions, bgpPeer: string): Promise<number> {
  if (process.stderr.isTTY) process.stderr.write(`Messages with the peer of BGPPeer ${bgpPeer}; Ctrl-C ends it.\n`)
  for await (const line of askLines(options, `/api/v1/peers/${encodeURIComponent(bgpPeer)}/trace`)) {
    const value: unknown = JSON.parse(line)
    if (!isObject(value)) continue
    print(options.output === 'json' ? `${line}\n` : `${traceText(value)}\n`)
    if (!(await stdoutIsRead())) break
  }
  return 0
}

type Line = Readonly<Record<string, unknown>>

/** `2026-03-01T12:00:00.125Z  sent      UPDATE         3 prefixes via 172.16.0.12` */
export function traceText(line: Line): string {
  if (typeof line.missed === 'number') return `… ${line.missed} messages were not shown: this reader was too slow`
  const { time, direction, type, outcome, reason } = line
  const wrong = outcome === 'ok' || outcome === undefined ? '' : ` [${String(outcome)}: ${String(reason)}]`
  const [when, way, what] = [String(time), String(direction).padEnd(8), String(type ?? 'unknown').padEnd(13)]
  return printable(`${when}  ${way}  ${what}  ${wordsOf(line)}${wrong}`).trimEnd()
}

function wordsOf(line: Line): string {
  switch (line.type) {
    case 'OPEN':
      return `version ${line.version}, AS ${line.asNumber}, hold time ${line.holdTime} s, identifier ${line.bgpIdentifier}, capabilities ${namesOf(line.capabilities)}`
    case 'UPDATE':
      return updateWords(line)
    case 'NOTIFICATION':
      return String(line.text)
    case 'ROUTE-REFRESH':
      return `AFI ${line.afi}, SAFI ${line.safi}, subtype ${line.subtype}`
    default:
      return ''
  }
}

function updateWords(line: Line): string {
  const attributes = isObject(line.attributes) ? line.attributes : {}
  const reach = isObject(attributes.MP_REACH_NLRI) ? attributes.MP_REACH_NLRI : {}
  const unreach = isObject(attributes.MP_UNREACH_NLRI) ? attributes.MP_UNREACH_NLRI : {}
  const announced = [...texts(line.nlri), ...texts(reach.nlri)]
  const withdrawn = [...texts(line.withdrawn), ...texts(unreach.withdrawn)]
  if (announced.length === 0 && withdrawn.length === 0) return 'End-of-RIB'
  const nextHop = reach.nextHop ?? attributes.NEXT_HOP
  return [
    ...(announced.length === 0 ? [] : [`${some(announced)} via ${String(nextHop)}`]),
    ...(withdrawn.length === 0 ? [] : [`withdrawn ${some(withdrawn)}`]),
  ].join('; ')
}

const SHOWN = 4

function some(prefixes: readonly string[]): string {
  const more = prefixes.length - SHOWN
  return `${prefixes.slice(0, SHOWN).join(' ')}${more > 0 ? ` and ${more} more` : ''}`
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function namesOf(value: unknown): string {
  const names = Array.isArray(value) ? value.filter(isObject).map(({ name }) => String(name)) : []
  return names.join(', ') || 'none'
}
