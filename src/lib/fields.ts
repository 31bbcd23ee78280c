/**
 * What is kept by hand for each field of a type, so that a new field does not compile until it is
 * said of it too: tables with a row for every field (how is it compared, what does its change
 * disturb), and projections that leave none out. Pure.
 */

/** A row for each field of `T`, optional ones too. */
export type FieldTable<T, Row> = { readonly [Field in keyof T]-?: Row }

/** The fields of a table, or those whose row is `row`. */
export function fieldsOf<T, Row>(table: FieldTable<T, Row>, row?: Row): readonly (keyof T)[] {
  const names = Object.keys(table) as (keyof T)[]
  return row === undefined ? names : names.filter(name => table[name] === row)
}

/** `from` with these fields alone; one that it does not have stays away. */
export function pickFields<T extends object, Field extends keyof T>(from: T, fields: readonly Field[]): Pick<T, Field> {
  const picked: Partial<Pick<T, Field>> = {}
  for (const field of fields) if (Object.hasOwn(from, field)) picked[field] = from[field]
  return picked as Pick<T, Field>
}

/** For each field of `T` when two values of it are the same; undefined: it is not looked at. */
export type Comparisons<T> = {
  readonly [Field in keyof T]-?: ((a: T[Field], b: T[Field]) => boolean) | undefined
}

/** Whether two values are the same by a table: fields are compared in its order. */
export function comparing<T>(table: Comparisons<T>): (a: T, b: T) => boolean {
  const rows = (Object.keys(table) as (keyof T)[]).flatMap(field => {
    const isSame = table[field] as ((a: unknown, b: unknown) => boolean) | undefined
    return isSame === undefined ? [] : [{ field, isSame }]
  })
  return (a, b) => rows.every(({ field, isSame }) => isSame(a[field], b[field]))
}

/** For rows of such a table: the very same value. */
export function identical(a: unknown, b: unknown): boolean {
  return a === b
}

/** For rows of such a table: the same JSON. Undefined is one of its own. */
export function sameJson(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}

/** For rows of such a table: lists of the same; of thousands most are the very same objects. */
export function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index] || Bun.deepEquals(value, b[index]))
}

/** The fields of `T` that may be absent. */
type Optional<T> = { [Field in keyof T]-?: object extends Pick<T, Field> ? Field : never }[keyof T]

/**
 * `T` with every field said, undefined where it is absent: an optional field that a projection
 * forgets does not compile.
 */
export type Said<T> = {
  readonly [Field in keyof Required<T>]: Field extends Optional<T> ? T[Field] | undefined : T[Field]
}

/** The value without what is undefined. */
export function present<T extends object>(said: Said<T>): T {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as T
}

/**
 * For the rest of a value that was taken apart: that a projection reads each field of it. A new
 * field does not compile until somebody takes it, or says that it is not wanted.
 */
export function nothingLeft(_rest: Readonly<Record<string, never>>): void {}
