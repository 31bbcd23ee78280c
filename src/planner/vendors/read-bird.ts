/**
 * Reads a bird.conf of BIRD 2 or 3, or what `include` puts there: protocols and templates of BGP,
 * their channels, and the prefix sets of filters. Pure.
 */
import { canonicalAddress, type Family, networkOf, prefixOf } from '../../lib/ip.ts'
import type { Acceptance, FamilyFacts, NeighbourFacts, SwitchFacts } from './facts.ts'

/** A statement: what stands before `;` or before a block, and the statements of the block. */
interface Statement {
  readonly words: readonly string[]
  readonly block?: readonly Statement[]
  /** The text of the block. */
  readonly text?: string
}

export function readBird(text: string): SwitchFacts {
  const statements = parse(withoutComments(text))
  const templates = new Map(
    statements.filter(({ words }) => words[0] === 'template').map(({ words, block }) => [words[2] ?? '', block ?? []]),
  )
  const filters = new Map(
    statements
      .filter(({ words }) => words[0] === 'filter')
      .map(({ words, text: body }) => [words[1] ?? '', body ?? '']),
  )
  const neighbours = new Map<string, NeighbourFacts>()
  let as: number | undefined
  let gracefulRestart = false
  for (const { words, block } of statements) {
    if (words[0] !== 'protocol' || words[1] !== 'bgp') continue
    const from = words.indexOf('from')
    const all = [...(from < 0 ? [] : (templates.get(words[from + 1] ?? '') ?? [])), ...(block ?? [])]
    const neighbour = last(all, 'neighbor')
    const address = canonicalAddress(neighbour?.[1] ?? '')
    if (neighbour === undefined || address === undefined) continue
    as ??= numberAfter(last(all, 'local'), 'as')
    gracefulRestart ||= !all.some(({ words: [a, b, c] }) => a === 'graceful' && b === 'restart' && c === 'off')
    neighbours.set(address, neighbourFacts(all, filters, numberAfter(neighbour, 'as')))
  }
  return { gracefulRestart, neighbours, ...(as !== undefined && { as }) }
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/#.*$/gm, '')
}

function parse(text: string): readonly Statement[] {
  const tokens = [...text.matchAll(/"[^"]*"|'[^']*'|[{};]|[^\s{};]+/g)].map(([token]) => token)
  let at = 0
  const block = (): Statement[] => {
    const statements: Statement[] = []
    let words: string[] = []
    for (; at < tokens.length; at++) {
      const token = tokens[at] ?? ''
      if (token === '}') break
      if (token === ';') {
        if (words.length > 0) statements.push({ words })
        words = []
      } else if (token === '{' && !isSetRange(words)) {
        const begin = ++at
        const inner = block()
        statements.push({ words, block: inner, text: tokens.slice(begin, at).join(' ') })
        words = []
      } else if (token === '{') {
        words.push(`{${tokens[++at] ?? ''}}`) // 10.0.0.0/8{25,25}
        at++
      } else {
        words.push(token)
      }
    }
    if (words.length > 0) statements.push({ words })
    return statements
  }
  return block()
}

/** Whether a brace that follows belongs to a prefix of a set. */
function isSetRange(words: readonly string[]): boolean {
  return /\/\d+$/.test(words.at(-1) ?? '')
}

function last(statements: readonly Statement[], word: string): readonly string[] | undefined {
  return statements.filter(({ words }) => words[0] === word).at(-1)?.words
}

function numberAfter(words: readonly string[] | undefined, word: string): number | undefined {
  const at = words?.indexOf(word) ?? -1
  return words === undefined || at < 0 ? undefined : Number(words[at + 1])
}

function neighbourFacts(
  all: readonly Statement[],
  filters: ReadonlyMap<string, string>,
  remoteAs: number | undefined,
): NeighbourFacts {
  const bfd = last(all, 'bfd')
  const multihop = last(all, 'multihop')
  const security = last(all, 'ttl')
  const channels = all.filter(({ words: [name] }) => name === 'ipv4' || name === 'ipv6')
  const families = new Map(
    channels.map(({ words, block }): [Family, FamilyFacts] => [
      words[0] === 'ipv6' ? 'ipv6' : 'ipv4',
      familyFacts(block ?? [], filters),
    ]),
  )
  const on = security?.[2] === 'on'
  return {
    password: last(all, 'password') !== undefined,
    shutdown: all.some(({ words }) => words[0] === 'disabled' && words[1] !== 'off'),
    bfd: bfd === undefined || bfd[1] === 'off' ? 'off' : bfd[1] === 'graceful' ? 'lenient' : 'strict',
    extendedNextHop: channels.some(({ block = [] }) =>
      block.some(({ words }) => words.join(' ').startsWith('extended next hop') && words[3] !== 'off'),
    ),
    families,
    ...(remoteAs !== undefined && { remoteAs }),
    ...(on && { ttlSecurity: Number(multihop?.[1] ?? 1) }),
    ...(multihop !== undefined && { multihop: Number(multihop[1] ?? 64) }),
  }
}

function familyFacts(channel: readonly Statement[], filters: ReadonlyMap<string, string>): FamilyFacts {
  const limit = channel.filter(({ words }) => words[1] === 'limit' && words[0] !== 'export').at(-1)
  const accepts = acceptances(channel, filters)
  return {
    ...(accepts !== undefined && { accepts }),
    ...(limit !== undefined && { maximumPrefixes: Number(limit.words[2]) }),
  }
}

/**
 * The prefix sets of the import filter; undefined where everything gets in. `import` alone means
 * that in BIRD for eBGP: nothing.
 */
function acceptances(
  channel: readonly Statement[],
  filters: ReadonlyMap<string, string>,
): readonly Acceptance[] | undefined {
  const found = channel
    .filter(({ words }) => words[0] === 'import' && words[1] !== 'limit' && words[1] !== 'keep')
    .at(-1)
  if (found === undefined || found.words[1] === 'none') return []
  if (found.words[1] === 'all') return undefined
  const named = found.words[1] === 'filter' ? filters.get(found.words[2] ?? '') : undefined
  const body = named ?? found.text ?? found.words.join(' ')
  const sets = [...body.matchAll(/\[([^\]]*)\]/g)].flatMap(
    ([, inside = '']) => inside.match(/[0-9a-fA-F.:]+\/\d+(?:\s*\{[^}]*\}|[+-])?/g) ?? [],
  )
  if (sets.length === 0) return undefined // a filter that no reader of this kind understands takes anything
  return sets.flatMap(readSet)
}

/** `10.0.0.0/8{25,25}`, `10.0.0.0/8+`, `10.0.0.0/8`. */
function readSet(text: string): readonly Acceptance[] {
  const [, prefix = '', range] = /^([^{+-]+)\s*(\{[^}]*\}|[+-])?$/.exec(text.trim()) ?? []
  const cidr = networkOf(prefix.trim())
  if (cidr === undefined) return []
  const { length, family } = prefixOf(cidr)
  const most = family === 'ipv4' ? 32 : 128
  const [from, to] = (range?.match(/\d+/g) ?? []).map(Number)
  if (from !== undefined && to !== undefined) return [{ cidr, from, to }]
  return [{ cidr, from: range === '-' ? 0 : length, to: range === '+' ? most : length }]
}
