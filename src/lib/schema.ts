/**
 * What documents that people write have in common, on top of zod: addresses and CIDR blocks as
 * schemas, problems in plain words, each with its path (`lans[1].hostCIDRs[0]`). Knows no document.
 * Pure.
 */
import { z } from 'zod'
import type { Problem } from './errors.ts'
import { canonicalAddress, formatPrefix, networkOf, parsePrefix } from './ip.ts'

/** An address block without host bits, as `address/length`, made canonical. */
export const cidr = z
  .string()
  .superRefine((text, context) => {
    if (parsePrefix(text) !== undefined) return
    const network = networkOf(text)
    const hint =
      network === undefined
        ? 'write it as address/length, such as 10.0.0.0/8 or fd00::/48'
        : `host bits are set; did you mean ${network}?`
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not a CIDR block: ${hint}` })
  })
  // no transform: before one, a JSON Schema of what may be written has no defaults
  .overwrite(text => {
    const prefix = parsePrefix(text)
    return prefix === undefined ? text : formatPrefix(prefix)
  })

export const cidrs = z.array(cidr)

/** An IPv4 or IPv6 address, made canonical. */
export const address = z
  .string()
  .superRefine((text, context) => {
    if (canonicalAddress(text) !== undefined) return
    const hint = text.includes('/') ? '; remove the prefix length' : ''
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not an IPv4 or IPv6 address${hint}` })
  })
  .overwrite(text => canonicalAddress(text) ?? text)

const KINDS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
}

/**
 * What a schema itself has no words for, for `safeParse(…, {error: plainMessage})`. Undefined:
 * the library's words.
 */
export function plainMessage(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is required'
    if (issue.input === null) return 'has no value: give it one, or leave the key out'
    return `must be ${KINDS[issue.expected] ?? issue.expected}, not ${JSON.stringify(issue.input)}`
  }
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`
  if (issue.code === 'too_small') return issue.origin === 'string' ? 'is empty' : `must be at least ${issue.minimum}`
  return undefined
}

/** The problems of a document, one for each unknown key. */
export function schemaProblems(error: z.core.$ZodError): Problem[] {
  return error.issues.flatMap(toProblems)
}

function toProblems(issue: z.core.$ZodIssue): Problem[] {
  const path = pathText(issue.path)
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }]
  return issue.keys.map(key => ({ path: path === '' ? key : `${path}.${key}`, message: 'unknown key' }))
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('')
}
