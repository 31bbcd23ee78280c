/**
 * Reads a bird.conf of BIRD 2 or 3, or what `include` puts there: protocols and templates of BGP,
 * their channels, and the prefix sets of filters. Pure.
 */
import { canonicalAddress, type Family, networkOf, overlaps, prefixOf } from '../../lib/ip.ts'
import type { Acceptance, FamilyFacts, NeighbourFacts, PrefixRange, SwitchFacts } from './facts.ts'

/** A statement: what stands before `;` or before a block, and the statements of the block. */
interface Statement {
  readonly words: readonly string[]
  readonly block?: readonly Statement[]
  /** The text of the block. */
  readonly text?: string
}

/** What protocols refer to by name. */
interface Named {
  readonly templates: ReadonlyMap<string, Statement>
  readonly filters: ReadonlyMap<string, string>
  /** `define NAME = VALUE;` */
  readonly defines: ReadonlyMap<string, string>
}

/** A template may come from another, and so on: so many at most. */
const DEEPEST = 8

export function readBird(text: string): SwitchFacts {
  const statements = parse(withoutComments(text))
  const named: Named = {
    templates: byName(statements, 'template', 2),
    filters: new Map(
      [...byName(statements, 'filter', 1), ...byName(statements, 'function', 1)].map(([name, one]) => [
        name.replace(/\(.*/, ''),
        one.text ?? '',
      ]),
    ),
    defines: new Map(
      statements
        .filter(({ words }) => words[0] === 'define')
        .map(({ words }) => [words[1] ?? '', words.slice(words[2] === '=' ? 3 : 2).join(' ')]),
    ),
  }
  const protocols = statements
    .filter(({ words }) => words[0] === 'protocol' && words[1] === 'bgp')
    .map(statement => protocolFacts(statement, named))
  const [as, ...others] = new Set(protocols.flatMap(({ local }) => (local === undefined ? [] : [local])))
  const neighbours = new Map<string, NeighbourFacts>()
  const ranges: { cidr: string; neighbour: NeighbourFacts }[] = []
  for (const { cidr, address, local, facts } of protocols) {
    // each protocol may have an AS of its own
    const neighbour = others.length === 0 || local === undefined ? facts : { ...facts, localAs: local }
    if (cidr !== undefined) ranges.push({ cidr, neighbour })
    else if (address !== undefined) neighbours.set(address, neighbour)
  }
  // BIRD helps neighbours that restart unless it is told otherwise, each by itself
  return { gracefulRestart: true, neighbours, ranges, ...(as !== undefined && { as }) }
}

/** Of one protocol: whom it speaks with, and as which AS. */
function protocolFacts(statement: Statement, named: Named) {
  const all = wholeOf(statement, named)
  const neighbour = last(all, 'neighbor')
  const isRange = neighbour?.[1] === 'range'
  const where = meaningOf(neighbour?.[isRange ? 2 : 1] ?? '', named)
  return {
    cidr: isRange ? networkOf(where) : undefined,
    address: canonicalAddress(where),
    local: asOf(last(all, 'local'), named),
    facts: neighbourFacts(all, named, remoteAsOf(neighbour, named)),
  }
}

function byName(statements: readonly Statement[], word: string, at: number): ReadonlyMap<string, Statement> {
  return new Map(statements.filter(({ words }) => words[0] === word).map(one => [one.words[at] ?? '', one]))
}

/** Its own statements behind those of the templates that it comes from. */
function wholeOf({ words, block = [] }: Statement, named: Named, depth = 0): readonly Statement[] {
  const from = words.indexOf('from')
  const template = from < 0 || depth > DEEPEST ? undefined : named.templates.get(words[from + 1] ?? '')
  return template === undefined ? block : [...wholeOf(template, named, depth + 1), ...block]
}

/** The value of a name that `define` gave, or the word itself. */
function meaningOf(word: string, { defines }: Named): string {
  return defines.get(word) ?? word
}

function asOf(words: readonly string[] | undefined, named: Named): number | undefined {
  const at = words?.indexOf('as') ?? -1
  if (words === undefined || at < 0) return undefined
  const number = Number(meaningOf(words[at + 1] ?? '', named))
  return Number.isNaN(number) ? undefined : number
}

function remoteAsOf(words: readonly string[] | undefined, named: Named): NeighbourFacts['remoteAs'] {
  const as = asOf(words, named)
  if (as !== undefined) return as
  return words?.includes('external') ? 'external' : words?.includes('internal') ? 'internal' : undefined
}

function withoutComments(text: string): string {
  return text.replace(/"[^"\n]*"|\/\*[\s\S]*?\*\/|#.*$/gm, found => (found.startsWith('"') ? found : ' '))
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

function neighbourFacts(all: readonly Statement[], named: Named, remoteAs: NeighbourFacts['remoteAs']): NeighbourFacts {
  const bfd = all.filter(({ words: [word] }) => word === 'bfd').at(-1)
  const multihop = last(all, 'multihop')
  const security = last(all, 'ttl')
  const vrf = last(all, 'vrf')?.[1]?.replaceAll('"', '')
  // a channel of a template goes on in the protocol
  const channels = (['ipv4', 'ipv6'] as const).flatMap(family => {
    // not `ipv4 multicast`, `ipv4 mpls`
    const parts = all.filter(({ words }) => words.length === 1 && words[0] === family)
    return parts.length === 0 ? [] : [[family, parts.flatMap(({ block = [] }) => block)] as const]
  })
  const families = new Map(
    channels.map(([family, block]): [Family, FamilyFacts] => [family, familyFacts(block, named)]),
  )
  const restart = last(all, 'graceful')
  return {
    password: last(all, 'password') !== undefined,
    shutdown: isOn(last(all, 'disabled')?.slice(1), false),
    bfd: !isOn(bfd?.words.slice(1), false) ? 'off' : bfd?.words[1] === 'graceful' ? 'lenient' : 'strict',
    extendedNextHop: channels.some(([, block]) =>
      block.some(({ words }) => words.join(' ').startsWith('extended next hop') && isOn(words.slice(3), false)),
    ),
    families,
    ...(restart !== undefined && !isOn(restart.slice(2), true) && { gracefulRestart: false }),
    ...(vrf !== undefined && vrf !== 'default' && { vrf }),
    ...(remoteAs !== undefined && { remoteAs }),
    ...(isOn(security?.slice(2), false) && { ttlSecurity: Number(multihop?.[1] ?? 1) }),
    ...(multihop !== undefined && { multihop: Number(multihop[1] ?? 64) }),
  }
}

/** Of `option;`, `option yes;`, `option off;`. `absent`: where the option is not there. */
function isOn(words: readonly string[] | undefined, absent: boolean): boolean {
  if (words === undefined) return absent
  return !/^(off|no|false|0)$/.test(words[0] ?? 'on')
}

function familyFacts(channel: readonly Statement[], named: Named): FamilyFacts {
  const limit = channel.filter(({ words }) => words[1] === 'limit' && words[0] !== 'export').at(-1)
  const accepts = acceptances(channel, named)
  return {
    ...(accepts !== undefined && { accepts }),
    ...(limit?.words[3] === 'action' && limit.words[4] === 'warn' && { warnsOnly: true }),
    ...(limit !== undefined &&
      limit.words[2] !== 'off' && { maximumPrefixes: Number(meaningOf(limit.words[2] ?? '', named)) }),
  }
}

/**
 * The prefix sets of the import filter; undefined where everything gets in. Without `import` BIRD
 * takes nothing from an eBGP neighbour.
 */
function acceptances(channel: readonly Statement[], named: Named): readonly Acceptance[] | undefined {
  const found = channel
    .filter(({ words }) => words[0] === 'import' && words[1] !== 'limit' && words[1] !== 'keep' && words[1] !== 'table')
    .at(-1)
  if (found === undefined || found.words[1] === 'none') return []
  if (found.words[1] === 'all') return undefined
  const filter = found.words[1] === 'filter' ? named.filters.get(found.words[2] ?? '') : undefined
  const body = withNames(filter ?? found.text ?? found.words.join(' '), named)
  return found.words[1] === 'where' ? accepted(`if ${body.replace(/^import where/, '')} then accept`) : accepted(body)
}

/** Names of sets and of functions that a filter calls, by what they stand for. */
function withNames(body: string, { defines, filters }: Named, depth = 0): string {
  const replaced = body.replace(/\b([A-Za-z_]\w*)(\s*\([^)]*\))?/g, (word, name: string, call?: string) => {
    if (call !== undefined) return filters.get(name) ?? word
    return defines.get(name) ?? word
  })
  return replaced === body || depth > DEEPEST
    ? replaced
    : withNames(replaced, { defines, filters, templates: new Map() }, depth + 1)
}

/** A set, what its condition says besides, and what comes of it. */
const RULE = /(!?~)\s*\[([^\]]*)\](?:([^;{}]*?)then\s*\{?\s*(?:[^;{}]*;\s*)*?(accept|reject|return\s+\w+))?/g

/**
 * In order: sets whose prefixes are accepted, without what was rejected before; `!~ SET then
 * reject` with an accept behind it takes the set. A filter without sets takes anything.
 */
function accepted(text: string): readonly Acceptance[] | undefined {
  // a prefix alone holds what lies in it
  const body = text.replace(/~\s*([0-9a-fA-F.:]+\/\d+)(?![\d{+-])/g, '~ [ $1+ ]')
  const rules = [...body.matchAll(RULE)]
  if (rules.length === 0) return /\baccept\b/.test(body) ? undefined : []
  const refused: PrefixRange[] = []
  const found: Acceptance[] = []
  for (const { 1: sign, 2: inside = '', 3: behind = '', 4: verdict = 'accept', index } of rules) {
    const before =
      body
        .slice(0, index)
        .split(/\bif\b/)
        .at(-1) ?? ''
    const sets = (inside.match(/[0-9a-fA-F.:]+\/\d+(?:\s*\{[^}]*\}|[+-])?/g) ?? [])
      .flatMap(readSet)
      .flatMap(set => ofLengths(set, sign === '~' ? `${before} ${behind}` : ''))
    const takes = /accept|true/.test(verdict) === (sign === '~')
    if (!takes && sign === '~') refused.push(...sets)
    else if (takes)
      found.push(...sets.map(one => ({ ...one, unless: refused.filter(({ cidr }) => overlaps(cidr, one.cidr)) })))
  }
  const rest = body.slice((rules.at(-1)?.index ?? 0) + (rules.at(-1)?.[0].length ?? 0))
  // every rule refuses, and the rest is accepted
  return found.length === 0 && /\baccept\b/.test(rest) ? undefined : found
}

/** What of a set has the lengths that `net.len = 25`, `net.len <= 25` in its condition ask for. */
function ofLengths({ cidr, from, to }: PrefixRange, condition: string): readonly PrefixRange[] {
  let [least, most] = [from, to]
  for (const [, sign, number] of condition.matchAll(/\bnet\.len\s*(<=|>=|<|>|=)\s*(\d+)/g)) {
    const length = Number(number)
    if (sign === '=' || sign === '>=') least = Math.max(least, length)
    if (sign === '=' || sign === '<=') most = Math.min(most, length)
    if (sign === '>') least = Math.max(least, length + 1)
    if (sign === '<') most = Math.min(most, length - 1)
  }
  return least > most ? [] : [{ cidr, from: least, to: most }]
}

/** `10.0.0.0/8{25,25}`, `10.0.0.0/8+`, `10.0.0.0/8`. */
function readSet(text: string): readonly PrefixRange[] {
  const [, prefix = '', range] = /^([^{+-]+)\s*(\{[^}]*\}|[+-])?$/.exec(text.trim()) ?? []
  const cidr = networkOf(prefix.trim())
  if (cidr === undefined) return []
  const { length, family } = prefixOf(cidr)
  const most = family === 'ipv4' ? 32 : 128
  const [from, to] = (range?.match(/\d+/g) ?? []).map(Number)
  if (from !== undefined && to !== undefined) return [{ cidr, from, to }]
  return [{ cidr, from: range === '-' ? 0 : length, to: range === '+' ? most : length }]
}
