/**
 * Node selectors of BGPPeers: the label selectors of Kubernetes (equality- and set-based, as
 * kubectl -l takes them), or `all()`. Parsing and matching are pure; an error says at which
 * character it is.
 *
 * Does not know gt and lt, which only scheduling has.
 */

export interface Requirement {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  /** Of `In` and `NotIn`; `k=v` is `In` with one value. */
  readonly values: readonly string[]
}

export type NodeSelector =
  | { readonly kind: 'all' }
  | { readonly kind: 'labels'; readonly requirements: readonly Requirement[] }

export type ParsedSelector = { readonly selector: NodeSelector } | { readonly problem: string }

/**
 * Parses `text`, or says what is wrong with it and where. An empty selector is a problem: `all()`
 * says that plainly.
 */
export function parseNodeSelector(text: string): ParsedSelector {
  if (text.trim() === '') return { problem: 'is empty; write all() to select every node' }
  if (/^\s*all\s*\(\s*\)\s*$/.test(text)) return { selector: { kind: 'all' } }
  try {
    return { selector: { kind: 'labels', requirements: new Parser(text).requirements() } }
  } catch (error) {
    if (error instanceof SelectorProblem) return { problem: error.message }
    throw error
  }
}

/**
 * Whether a node with `labels` is selected. As in Kubernetes, `!=` and `notin` also select nodes
 * without the label.
 */
export function selects(selector: NodeSelector, labels: Readonly<Record<string, string>> | undefined): boolean {
  if (selector.kind === 'all') return true
  return selector.requirements.every(requirement => meets(requirement, labels))
}

function meets({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>> | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}

class SelectorProblem extends Error {}

interface Token {
  readonly text: string
  /** 1 for the first character. */
  readonly position: number
}

const END = ''
const SYMBOLS = new Set(['=', '==', '!=', '!', ',', '(', ')', END])

class Parser {
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(text: string) {
    this.#tokens = tokensOf(text)
  }
  requirements(): readonly Requirement[] {
    const requirements = [this.#requirement()]
    while (this.#peek().text === ',') {
      this.#take()
      requirements.push(this.#requirement())
    }
    const rest = this.#peek()
    if (rest.text !== END) throw problem(rest, `expected a comma or the end, found ${quoted(rest)}`)
    return requirements
  }
  #requirement(): Requirement {
    if (this.#peek().text === '!') {
      this.#take()
      return { key: this.#key(), operator: 'DoesNotExist', values: [] }
    }
    const start = this.#peek()
    const key = this.#key()
    const operator = this.#peek()
    switch (operator.text) {
      case '=':
      case '==':
        this.#take()
        return { key, operator: 'In', values: [this.#value()] }
      case '!=':
        this.#take()
        return { key, operator: 'NotIn', values: [this.#value()] }
      case 'in':
      case 'notin':
        this.#take()
        return { key, operator: operator.text === 'in' ? 'In' : 'NotIn', values: this.#values() }
      case ',':
      case END:
        return { key, operator: 'Exists', values: [] }
      case '(':
        if (key === 'all') throw problem(start, 'all() stands alone; remove it or the other conditions')
    }
    throw problem(
      operator,
      `expected =, ==, !=, in, notin, a comma or the end after the label ${key}, found ${quoted(operator)}`,
    )
  }
  #key(): string {
    const token = this.#take()
    if (SYMBOLS.has(token.text)) throw problem(token, `expected a label, found ${quoted(token)}`)
    const wrong = labelKeyProblem(token.text)
    if (wrong !== undefined) throw problem(token, wrong)
    return token.text
  }
  /** A value of `=`, `==` or `!=`, which may be empty. */
  #value(): string {
    if (this.#peek().text === ',' || this.#peek().text === END) return ''
    const token = this.#take()
    if (SYMBOLS.has(token.text)) throw problem(token, `expected a value, found ${quoted(token)}`)
    return checkedValue(token)
  }
  #values(): readonly string[] {
    const open = this.#take()
    if (open.text !== '(') throw problem(open, `expected ( before the values, found ${quoted(open)}`)
    const values: string[] = []
    for (;;) {
      const token = this.#peek()
      if (token.text === ',' || token.text === ')') values.push('')
      else if (SYMBOLS.has(token.text)) throw problem(token, `expected a value or ), found ${quoted(token)}`)
      else values.push(checkedValue(this.#take()))
      const after = this.#take()
      if (after.text === ')') break
      if (after.text !== ',') throw problem(after, `expected a comma or ) after a value, found ${quoted(after)}`)
    }
    if (values.length === 1 && values[0] === '') throw problem(open, 'the list of values is empty')
    return values
  }
  #peek(): Token {
    return this.#tokens[this.#next] ?? { text: END, position: 1 }
  }
  #take(): Token {
    const token = this.#peek()
    if (token.text !== END) this.#next++
    return token
  }
}

function tokensOf(text: string): readonly Token[] {
  const tokens = [...text.matchAll(/==|!=|[=!,()]|[^\s=!,()]+/g)].map(match => ({
    text: match[0],
    position: match.index + 1,
  }))
  return [...tokens, { text: END, position: text.length + 1 }]
}

function problem(token: Token, what: string): SelectorProblem {
  return new SelectorProblem(`at character ${token.position}: ${what}`)
}

function quoted(token: Token): string {
  return token.text === END ? 'the end' : JSON.stringify(token.text)
}

function checkedValue(token: Token): string {
  if (token.text.length > 63) throw problem(token, 'a label value has at most 63 characters')
  if (!/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(token.text)) {
    throw problem(
      token,
      `${quoted(token)} is not a label value (letters, digits, '-', '_' and '.', a letter or digit at both ends)`,
    )
  }
  return token.text
}

/** What is wrong with a label key (`[prefix/]name`), if anything. */
function labelKeyProblem(key: string): string | undefined {
  const slash = key.indexOf('/')
  const prefix = slash < 0 ? undefined : key.slice(0, slash)
  const name = key.slice(slash + 1)
  if (name.length > 63 || !/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(name)) {
    return `${JSON.stringify(key)} is not a label (letters, digits, '-', '_' and '.', at most 63, a letter or digit at both ends)`
  }
  const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
  if (prefix !== undefined && (prefix.length > 253 || !subdomain.test(prefix))) {
    return `the prefix of the label ${JSON.stringify(key)} is not a DNS name in lower case`
  }
  return undefined
}
