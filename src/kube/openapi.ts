/**
 * The part of OpenAPI v3 that the schemas of our CustomResourceDefinitions are written in
 * (structural schemas, apiextensions.k8s.io/v1). Tables of these properties, keyed by the fields of
 * a type, are what config/crd-*.yaml is made of (`scripts/crds`) and where the decoders take their
 * bounds from. Pure.
 */

export type Property = TextProperty | IntegerProperty | BooleanProperty | ListProperty | ObjectProperty

/** What a value must or must not be, without a type of its own. */
interface Check {
  readonly format?: string
  readonly pattern?: string
  readonly enum?: readonly (string | number)[]
  readonly required?: readonly string[]
}

interface Described {
  readonly description?: string
  readonly not?: Check
  readonly anyOf?: readonly Check[]
}

interface TextProperty extends Described {
  readonly type: 'string'
  readonly enum?: readonly string[]
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
}

export interface IntegerProperty extends Described {
  readonly type: 'integer'
  readonly format?: 'int64'
  readonly minimum: number
  readonly maximum: number
}

interface BooleanProperty extends Described {
  readonly type: 'boolean'
}

export interface ListProperty extends Described {
  readonly type: 'array'
  readonly minItems?: number
  readonly maxItems?: number
  readonly items: Property
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'map' | 'set'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
}

/** A rule in CEL about `self`, for what needs two fields; servers before 1.25 do not know them. */
export interface Rule {
  readonly rule: string
  readonly message: string
}

export interface ObjectProperty extends Described {
  readonly type: 'object'
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Property>>
  /** Of an object whose keys are data. */
  readonly additionalProperties?: Property
  readonly maxProperties?: number
}

/** What every object has, which the server checks itself. */
export const OBJECT_PROPERTIES = {
  apiVersion: { type: 'string' },
  kind: { type: 'string' },
  metadata: { type: 'object' },
} as const

/** A property for every field of `T`: one that is missing does not compile. */
export type Properties<T> = { readonly [Field in keyof T]-?: Property }

export function text(description: string, checks: Omit<TextProperty, 'type' | 'description'> = {}): TextProperty {
  return { description, type: 'string', ...checks }
}

/** A whole number from `minimum` to `maximum`, but none of `not`. */
export function integer(description: string, minimum: number, maximum: number, not: readonly number[] = []) {
  const wide = maximum > 2_147_483_647 ? ({ format: 'int64' } as const) : {}
  const excluded = not.length === 0 ? {} : { not: { enum: not } }
  return { description, type: 'integer', ...wide, minimum, maximum, ...excluded } as const satisfies IntegerProperty
}

export function boolean(description: string): BooleanProperty {
  return { description, type: 'boolean' }
}

export function list(description: string, items: Property, rest: Partial<ListProperty> = {}): ListProperty {
  return { description, type: 'array', ...rest, items }
}

/**
 * A regular expression (RE2) for the decimal numbers from 0 to `maximum`, without leading zeros.
 */
export function decimalUpTo(maximum: number): string {
  const digits = String(maximum)
  const below = [...digits].flatMap((digit, index) => {
    const lowest = index === 0 ? 1 : 0
    const highest = Number(digit) - 1
    if (highest < lowest) return []
    const rest = digits.length - index - 1
    const range = lowest === highest ? String(lowest) : `[${lowest}-${highest}]`
    return [`${digits.slice(0, index)}${range}${rest === 0 ? '' : rest === 1 ? '[0-9]' : `[0-9]{${rest}}`}`]
  })
  const shorter = digits.length === 1 ? [] : [`[1-9][0-9]{0,${digits.length - 2}}`]
  return `(0|${[...shorter, ...below, digits].join('|')})`
}
