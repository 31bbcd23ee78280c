/**
 * Of every vendor's output what can be judged without a device: it is built as the vendor's
 * configurations are (blocks, indentation, statements, TOML), quotes and brackets are closed, each
 * line begins with a word that the vendor has there, and each name that it makes is used, and each
 * that it uses is made.
 */
import { describe, expect, test } from 'bun:test'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { INTENTS } from './intents.ts'

/** How a vendor's configurations are built, and the words that lines may begin with. */
interface Form {
  readonly kind: 'indented' | 'statements' | 'braces' | 'toml'
  readonly words: string
}

const IOS = `bgp exit exit-address-family ip ipv6 match maximum-paths neighbor no route-map router address-family`
const FORMS: Readonly<Record<string, Form>> = {
  'arista-eos': {
    kind: 'indented',
    words: `${IOS} service graceful-restart-helper graceful-restart long-lived bfd interface router-id seq`,
  },
  bird: { kind: 'braces', words: '' },
  'cisco-ios-xe': { kind: 'indented', words: IOS },
  'cisco-ios-xr': {
    kind: 'indented',
    words:
      'address-family bfd bgp commit configure description drop ebgp-multihop else end-policy end-set endif if maximum-paths maximum-prefix neighbor neighbor-group pass password prefix-set remote-as root route-policy router session-open-mode timers ttl-security use next-hop-unchanged capability long-lived-graceful-restart ebgp-recv-extcommunity-dmz',
  },
  'cisco-nx-os': {
    kind: 'indented',
    words: `${IOS} feature graceful-restart router-id template remote-as timers transport password ttl-security ebgp-multihop bfd maximum-prefix inherit description`,
  },
  frr: { kind: 'indented', words: `${IOS} bfd profile receive-interval transmit-interval detect-multiplier` },
  gobgp: { kind: 'toml', words: '' },
  'h3c-comware': {
    kind: 'indented',
    words:
      'address-family balance bfd bgp graceful-restart group ip ipv6 peer quit route-policy router-id save interface timer',
  },
  'huawei-vrp': {
    kind: 'indented',
    words: 'bfd bgp commit graceful-restart group ip ipv4-family ipv6-family maximum peer quit route-policy router-id',
  },
  'juniper-junos': { kind: 'statements', words: 'set commit delete' },
  'mikrotik-routeros': { kind: 'statements', words: '/routing/' },
  'nokia-srlinux': { kind: 'statements', words: 'enter set commit delete' },
  openbgpd: { kind: 'braces', words: '' },
  ruijie: { kind: 'indented', words: `${IOS} bfd` },
  sonic: { kind: 'indented', words: `${IOS} bfd profile receive-interval transmit-interval detect-multiplier` },
  vyos: { kind: 'statements', words: 'configure set commit save delete' },
}

test('every vendor has a form', () => {
  expect(Object.keys(FORMS).sort()).toEqual(VENDORS.map(({ name }) => name).sort())
})

/** Lines that a device reads. */
function linesOf(text: readonly string[], comment: string): string[] {
  return text.flatMap(entry => entry.split('\n')).filter(line => line.trim() !== '' && !line.trim().startsWith(comment))
}

/** What is not closed, or closed and never opened; quotes hide what is in them. */
function unbalanced(text: string): string {
  const open: string[] = []
  const closing: Readonly<Record<string, string>> = { '}': '{', ')': '(', ']': '[' }
  const bare = text.replace(/"[^"\n]*"/g, '""')
  for (const char of bare) {
    if ('{(['.includes(char)) open.push(char)
    const opened = closing[char]
    if (opened !== undefined && open.pop() !== opened) return `${char} closes nothing`
  }
  return open.length > 0 ? `${open.join('')} is not closed` : (bare.match(/"/g)?.length ?? 0) % 2 === 1 ? 'a quote' : ''
}

/** Lines that stand deeper than the line before allows. */
function leaps(lines: readonly string[]): string[] {
  const depths = [0]
  return lines.filter(line => {
    const depth = line.length - line.trimStart().length
    while (depth < (depths.at(-1) ?? 0)) depths.pop()
    if (depth === depths.at(-1)) return false
    depths.push(depth)
    return depth - (depths.at(-2) ?? 0) > 3
  })
}

/** Lines that begin a block, by how the family writes them: what is below may be deeper. */
const OPENERS =
  /^(router|address-family|template|neighbor|neighbor-group|route-map|route-policy|prefix-set|bgp|group|interface|bfd|profile|ipv[46]-family|if|else|vrf|feature|peer|ip|ipv6)\b/

describe.each(VENDORS.map(vendor => [vendor.name, vendor] as const))('%s', (name, vendor) => {
  const form = FORMS[name]
  if (form === undefined) throw new Error(name)

  test.each(Object.entries(INTENTS))('%s', (_, intent) => {
    const lines = linesOf(vendor.configure(intent), vendor.comment)
    const text = lines.join('\n')
    expect(unbalanced(text)).toBe('')
    if (form.kind === 'toml') {
      expect(() => Bun.TOML.parse(text)).not.toThrow()
      return
    }
    if (form.kind === 'braces') {
      const depthless = lines.filter(line => /;\s*;|\{\s*;/.test(line))
      expect(depthless).toEqual([])
    } else {
      const words = form.words.split(' ')
      const known = (line: string) =>
        words.some(word => (word.endsWith('/') ? line.startsWith(word) : line.trim().split(/\s+/)[0] === word)) ||
        /^\s*[0-9a-f:.]+\/\d+/.test(line) // a prefix of a set
      expect(lines.filter(line => !known(line))).toEqual([])
    }
    if (form.kind === 'indented') {
      expect(leaps(lines)).toEqual([])
      const openers = lines.filter((line, index) => indent(lines[index + 1]) > indent(line))
      expect(openers.filter(line => !OPENERS.test(line.trim()))).toEqual([])
    }
  })

  test.each(Object.entries(INTENTS))('%s: a name that is made is used, and the other way round', (_, intent) => {
    const text = linesOf(vendor.configure(intent), vendor.comment).join('\n')
    const names = new Map<string, number>()
    for (const [word] of text.matchAll(/\bTERWAY[-_]EDGE[-_]\w[\w-]*/gi)) names.set(word, (names.get(word) ?? 0) + 1)
    const own = [...names].filter(([word]) => !/node[-_]\d$/i.test(word)) // a neighbour's own name
    expect(own.length).toBeGreaterThan(vendor.name === 'openbgpd' ? -1 : 0)
    expect(own.filter(([, count]) => count < 2)).toEqual([])
    // a file is taken back as a whole, in a test of its own
    if (vendor.ranWith !== undefined && name !== 'frr') return
    // by its name, or with all whose names begin so
    const undo = vendor.undo(intent).join('\n')
    const all = /"\^(TERWAY-EDGE-[A-Z-]+-)"/.exec(undo)?.[1]
    const removed = (word: string) => new RegExp(`${word}(?![\\w-])`).test(undo)
    const left = own.filter(([word]) => !removed(word) && (all === undefined || !word.startsWith(all)))
    expect(left).toEqual([])
  })
})

function indent(line = ''): number {
  return line.length - line.trimStart().length
}

test('the judges judge: a bracket, a quote, a leap and a lonely name are noticed', () => {
  expect(unbalanced('a { b; ')).toBe('{ is not closed')
  expect(unbalanced('a } b')).toBe('} closes nothing')
  expect(unbalanced('password "x')).toBe('a quote')
  expect(leaps(['router bgp 1', '     neighbor x'])).toEqual(['     neighbor x'])
})
