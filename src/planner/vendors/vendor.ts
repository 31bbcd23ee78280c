/**
 * What a vendor's file gives: the configuration in its words, how to look for the routes there, how
 * to take all of it back. The reasons, which are the same for everybody, are told here once and put
 * into comments by each vendor's mark. Pure.
 */
import type { SwitchFacts } from './facts.ts'
import type { SwitchIntent } from './intent.ts'

export interface Vendor {
  readonly name: string
  /** As people write it, with the version that the words are of. */
  readonly title: string
  /**
   * What a test loads the output into, such as `BIRD 2.0.12`; absent: nothing, its words follow its
   * sources alone.
   */
  readonly ranWith?: string | undefined
  /**
   * What has taken the output in its configuration check, without sessions
   * (`scripts/newer-daemons`).
   */
  readonly checkedWith?: string
  /** Where the words come from: what was read, and what it says; or that it is from memory. */
  readonly sources: readonly string[]
  /**
   * Parts of lines that nothing which was read has, or not on this vendor: whoever pastes them is
   * told.
   */
  readonly unconfirmed?: readonly string[]
  /** Begins a comment. */
  readonly comment: string
  /** The lines of the configuration, with comments where the vendor's dialect takes them. */
  readonly configure: (intent: SwitchIntent) => readonly string[]
  /** Commands that show sessions and routes. */
  readonly look: (intent: SwitchIntent) => readonly string[]
  /** What takes all of it back. */
  readonly undo: (intent: SwitchIntent) => readonly string[]
  /** What `undo` leaves, as it is of the whole switch and others may need it. */
  readonly stays?: string
  /** What the BGPPeer asks for and this vendor has no word for, or does in another way. */
  readonly missing: (intent: SwitchIntent) => readonly string[]
  /** Reads a running configuration, for `--verify`; absent: that is not possible yet. */
  readonly read?: (text: string) => SwitchFacts
}

/** Why a line stands there. Each vendor puts these above its own words. */
export const WHY = {
  prefixes: 'only the blocks of nodes: each pool, with the mask that a node gets',
  nothing: 'nothing is sent to the nodes: they import nothing (RFC 8212 wants it said)',
  speakers: 'one neighbour for each speaker; all of them announce the blocks of all nodes of the LAN',
  helper: (seconds: number) =>
    `graceful restart as helper: while a speaker restarts (upgrades, crashes) its routes stay, for up to ${seconds} s (RFC 4724)`,
  maximum: (limit: number) => `at most ${limit} prefixes: a fault there must not fill the table here`,
  paths:
    'equal paths are used side by side; the speakers announce the same next hop, so this matters where two LANs do',
  bfd: 'BFD finds a dead path in less than a second; the words behind it let a restart keep the routes',
  password: 'TCP MD5 (RFC 2385)',
  gtsm: (hops: number) =>
    `GTSM (RFC 5082): packets from farther than ${hops} ${hops === 1 ? 'hop' : 'hops'} are dropped`,
  nextHop:
    'next hops are the nodes that own the blocks, not the speakers (RFC 4271 section 5.1.3): leave them as they are',
  routerId: 'a BGP Identifier (RFC 6286); leave it out where the switch has an IPv4 address or one already',
  extended: 'IPv4 prefixes with IPv6 next hops (RFC 8950): the nodes have no IPv4 address',
} as const

/**
 * The whole text: what it is, the configuration, what is missing, how to look, how to take it back.
 */
export function switchConfigText(vendor: Vendor, intent: SwitchIntent): string {
  const { comment } = vendor
  const note = (text: string) => `${comment} ${text}`.trimEnd()
  const prose = (text: string, hanging = '') => wrapComment(note(text), { comment, hanging })
  const status =
    vendor.ranWith === undefined
      ? `Its words follow the sources in docs/switches/${vendor.name}.md and were not run on a device: try them on one switch first.`
      : `This output is tested with the real ${vendor.ranWith}.`
  const missing = vendor.missing(intent)
  const configuration = vendor.configure(intent)
  const doubtful = (vendor.unconfirmed ?? []).filter(words => configuration.some(line => line.includes(words)))
  return [
    ...prose(`${vendor.title}: the switch's side of BGPPeer ${intent.bgpPeer}. ${status}`),
    ...(missing.length === 0
      ? []
      : [note('Not possible here:'), ...missing.flatMap(text => prose(`  - ${text}`, '    '))]),
    ...(doubtful.length === 0
      ? []
      : prose(`Not found in a reference, look whether it is taken: ${doubtful.join('; ')}`)),
    ...configuration.flatMap(line => wrapComment(line, { comment })),
    note(''),
    note('To look:'),
    ...vendor.look(intent).map(line => note(`  ${line}`)),
    note('To take all of it back:'),
    ...vendor.undo(intent).map(line => note(`  ${line}`)),
    ...(vendor.stays === undefined ? [] : prose(`  (of the whole switch, stays: ${vendor.stays})`, '  ')),
    '',
  ].join('\n')
}

const COLUMNS = 100

/**
 * A comment that is wider than a page goes on below, behind the same mark; `hanging` stands before
 * what goes on. Every other line stays one: it is to be pasted.
 */
function wrapComment(line: string, { comment, hanging = '' }: { comment: string; hanging?: string }): string[] {
  const at = line.search(/\S/)
  if (line.length <= COLUMNS || !line.startsWith(comment, at)) return [line]
  const end = line.lastIndexOf(' ', COLUMNS)
  const mark = `${line.slice(0, at)}${comment} ${hanging}`
  if (end <= mark.length) return [line]
  return [line.slice(0, end), ...wrapComment(`${mark}${line.slice(end + 1)}`, { comment, hanging })]
}
